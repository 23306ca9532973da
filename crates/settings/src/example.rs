use crate::{Group, declared};

const HEAD: &str = "\
# Every setting, with its meaning and its default. Copy this file to .env at the root of the checkout, or to backend/.env, and
# change what you like; `cargo dev` needs neither. The environment comes first, then .env, then backend/.env, then the default.
# An empty value counts as not set. Put a value with spaces, quotes, # or $ between single quotes.
# The secrets below are public: for development only, and refused in production.
";

/// The text of `backend/.env.example`.
pub fn env_example() -> String {
    let mut text = HEAD.to_owned();
    for group in Group::ALL {
        text += &format!("\n# --- {}\n", group.title());
        for info in declared::ALL.iter().filter(|info| info.group == group) {
            text.push('\n');
            for line in info.meaning {
                text += &format!("# {}\n", line.trim());
            }
            text += &match (info.example, info.default) {
                (Some(example), Some(default)) => {
                    format!("# Default: {default}\n{}={example}\n", info.name)
                }
                (Some(value), None) | (None, Some(value)) => format!("{}={value}\n", info.name),
                (None, None) => format!("#{}=\n", info.name),
            };
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// The file is written from the declarations: `UPDATE_EXAMPLE=1 cargo test -p emotionviz-settings` writes it anew.
    #[test]
    fn the_example_file_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../backend/.env.example");
        let expected = super::env_example();
        if std::env::var_os("UPDATE_EXAMPLE").is_some() {
            std::fs::write(&path, &expected).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(&path).unwrap_or_default(),
            expected,
            "backend/.env.example differs from the declarations; UPDATE_EXAMPLE=1 cargo test -p emotionviz-settings writes it anew"
        );
    }

    #[test]
    fn the_example_file_can_be_read() {
        let values = crate::env_file::read(&super::env_example()).unwrap();
        for info in crate::declared::ALL {
            let there = values
                .iter()
                .find(|(name, _, _)| name == info.name)
                .map(|(_, value, _)| value.as_str());
            assert_eq!(there, info.example.or(info.default), "{}", info.name);
        }
    }
}
