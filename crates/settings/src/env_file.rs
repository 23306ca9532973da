//! The text of a `.env` file.

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not NAME=value: a value with spaces, quotes, \"#\" or \"\\\" goes between single quotes")]
pub struct BadLine {
    /// Its number, from 1.
    pub line: usize,
}

/// The names and values in the text of a `.env` file, each with the number of its line.
///
/// The format is that of Compose (<https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/>):
/// `#` begins a comment, single quotes keep everything as it is, and an unquoted or double-quoted `$NAME` stands for a
/// variable of the process, or where there is none for an earlier value.
///
/// # Errors
/// The first line that cannot be read.
pub fn read(text: &str) -> Result<Vec<(String, String, usize)>, BadLine> {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let mut rest = dotenvy::Iter::new(text.as_bytes());
    let mut lines = text.lines().enumerate().map(|(i, line)| (i + 1, line.trim_start()));
    let mut values = Vec::new();
    let mut last = 0;
    for item in &mut rest {
        match item {
            Ok((name, value)) => {
                let names = |line: &str| {
                    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
                    line.strip_prefix(name.as_str()).is_some_and(|l| l.trim_start().starts_with('='))
                };
                last = lines.find(|(_, line)| names(line)).map_or(last, |(number, _)| number);
                values.push((name, value, last));
            }
            Err(dotenvy::Error::LineParse(bad, _)) => {
                let first = bad.lines().next().unwrap_or_default().trim_start();
                let line = lines.find(|(_, line)| *line == first).map_or(last + 1, |(number, _)| number);
                return Err(BadLine { line });
            }
            Err(_) => return Err(BadLine { line: last + 1 }),
        }
    }
    Ok(values)
}

/// `NAME=value` as a line that [`read`] and Compose give the same value back for.
pub fn line(name: &str, value: &str) -> String {
    if value.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:,@%+=*".contains(c)) {
        return format!("{name}={value}");
    }
    if !value.contains('\'') {
        return format!("{name}='{value}'");
    }
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
    format!("{name}=\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_comments_and_quotes() {
        let text = "# a comment\nA=1 # one\r\n\nexport B='it$ \"2\" #'\nC=\"x y\"\nD=\nE=http://localhost:*,capacitor://localhost\n";
        let read = read(text).unwrap();
        let plain: Vec<_> = read.iter().map(|(n, v, l)| (n.as_str(), v.as_str(), *l)).collect();
        assert_eq!(
            plain,
            [("A", "1", 2), ("B", "it$ \"2\" #", 4), ("C", "x y", 5), ("D", "", 6), ("E", "http://localhost:*,capacitor://localhost", 7)]
        );
    }

    #[test]
    fn a_bad_line_has_its_number() {
        assert_eq!(read("A=1\n\nthis is no setting\nB=2\n").unwrap_err().line, 3);
        assert_eq!(read("A=1\nB='open\n").unwrap_err().line, 2);
    }

    #[test]
    fn any_value_comes_back() {
        for value in ["plain", "p@ss w#rd", "$HOME", "a'b", "a'b$c\"d\\e", "a\"b\\c", "ä"] {
            assert_eq!(read(&line("X", value)).unwrap()[0].1, value, "{value}");
        }
    }
}
