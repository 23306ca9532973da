//! The house is in order: layers and loose ends.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::workspace;

/// What a package may depend on among ours, in any table of its Cargo.toml. Features are those that are not named here.
const ARROWS: [(&str, &[&str]); 15] = [
    ("emotionviz-settings", &[]),
    ("emotionviz-core", &["emotionviz-settings"]),
    ("emotionviz-db", &["emotionviz-core", "emotionviz-settings"]),
    (
        "emotionviz-guard",
        &["emotionviz-db", "emotionviz-core", "emotionviz-settings"],
    ),
    ("emotionviz", &["*"]),
    ("http-bench", &[]),
    ("painter", &[]),
    ("test-needs", &[]),
    ("process", &["test-needs"]),
    ("local-postgres", &["process", "test-needs"]),
    ("fast-reload", &["process", "test-needs"]),
    (
        "dev-env",
        &[
            "emotionviz-settings",
            "fast-reload",
            "local-postgres",
            "process",
            "test-needs",
        ],
    ),
    (
        "dev-bench",
        &[
            "dev-env",
            "emotionviz-settings",
            "fast-reload",
            "local-postgres",
            "process",
        ],
    ),
    (
        "dev-cli",
        &[
            "dev-bench",
            "dev-env",
            "emotionviz-settings",
            "local-postgres",
            "process",
            "test-needs",
        ],
    ),
    (
        "a feature",
        &[
            "emotionviz-guard",
            "emotionviz-db",
            "emotionviz-core",
            "emotionviz-settings",
        ],
    ),
];

struct Package {
    name: String,
    folder: PathBuf,
    ours: Vec<String>,
}

fn packages() -> Vec<Package> {
    let folders = ["backend", "crates"]
        .iter()
        .flat_map(|folder| fs::read_dir(workspace().join(folder)).unwrap());
    let folders = folders
        .map(|entry| entry.unwrap().path())
        .filter(|folder| folder.join("Cargo.toml").is_file());
    let packages: Vec<Package> = folders.map(|folder| read_package(&folder)).collect();
    assert!(packages.len() >= 9, "{} packages", packages.len());
    packages
}

/// The names in the tables of dependencies; ours are those that Cargo.toml of the workspace gives a path.
fn read_package(folder: &Path) -> Package {
    let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let workspace = fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    let is_ours = |name: &str| {
        workspace
            .lines()
            .any(|line| line.starts_with(&format!("{name} = ")) && line.contains("path = "))
    };
    let mut table = "";
    let (mut name, mut ours) = (String::new(), Vec::new());
    for line in text.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            table = header.trim_end_matches(']');
        } else if let Some(value) = line.strip_prefix("name = ").filter(|_| table == "package") {
            name = value.trim_matches('"').to_owned();
        } else if table.ends_with("dependencies") {
            let dependency = line.split(['.', '=', ' ']).next().unwrap_or_default();
            if is_ours(dependency) || line.contains("path = ") {
                ours.push(dependency.to_owned());
            }
        }
    }
    Package {
        name,
        folder: folder.to_owned(),
        ours,
    }
}

fn is_feature(package: &Package) -> bool {
    package.folder.parent().unwrap().ends_with("backend")
        && ARROWS.iter().all(|(name, _)| *name != package.name)
}

#[test]
fn packages_depend_only_on_lower_layers() {
    for package in packages() {
        let rule = if is_feature(&package) {
            "a feature"
        } else {
            &package.name
        };
        let (_, allowed) = ARROWS
            .iter()
            .find(|(name, _)| *name == rule)
            .unwrap_or_else(|| panic!("{rule} has no rule here"));
        let wrong: Vec<_> = package
            .ours
            .iter()
            .filter(|name| !allowed.contains(&"*") && !allowed.contains(&name.as_str()))
            .collect();
        assert!(
            wrong.is_empty(),
            "{} must not depend on {wrong:?}",
            package.name
        );
    }
}

#[test]
fn modules_of_features_depend_only_on_lower_layers() {
    let forbidden = [
        (
            "models",
            &[
                "crate::api",
                "crate::schemas",
                "crate::services",
                "super::api",
                "super::schemas",
                "super::services",
                "axum",
            ][..],
        ),
        ("services", &["crate::api", "super::api", "axum"]),
        (
            "schemas",
            &[
                "crate::api",
                "crate::services",
                "crate::models",
                "super::api",
            ],
        ),
    ];
    for package in packages().iter().filter(|package| is_feature(package)) {
        for (room, names) in forbidden {
            let files = rust_files(&package.folder.join("src")).into_iter();
            for file in files.filter(|file| {
                file.with_extension("")
                    .components()
                    .any(|part| part.as_os_str() == room)
            }) {
                for line in code(&file)
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("//"))
                {
                    let wrong = names.iter().find(|name| {
                        line.match_indices(**name).any(|(at, _)| {
                            !line[at + name.len()..]
                                .starts_with(|c: char| c.is_alphanumeric() || c == '_')
                        })
                    });
                    assert!(
                        wrong.is_none(),
                        "{}: {room} must not know {wrong:?}: {line}",
                        file.display()
                    );
                }
            }
        }
    }
}

#[test]
fn sources_have_no_loose_ends() {
    let marks = ["TODO", "FIXME", "XXX", "todo!", "unimplemented!"];
    let this_file = Path::new(file!()).file_name().unwrap();
    for file in ["rs", "toml", "sql", "sh", "md"]
        .iter()
        .flat_map(|kind| sources(kind))
        .filter(|file| file.file_name() != Some(this_file))
    {
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            let mark = marks.iter().find(|mark| {
                line.split(|c: char| !(c.is_alphanumeric() || c == '!'))
                    .any(|word| word == **mark)
            });
            assert!(
                mark.is_none(),
                "{}:{}: {}",
                file.display(),
                number + 1,
                mark.unwrap_or(&"")
            );
            assert!(
                !line.ends_with([' ', '\t']) || file.extension().is_some_and(|kind| kind == "md"),
                "{}:{}: blanks at the end",
                file.display(),
                number + 1
            );
        }
        assert!(
            text.is_empty() || text.ends_with('\n') && !text.ends_with("\n\n"),
            "{} must end with one newline",
            file.display()
        );
    }
}

/// The code of a file, without its tests.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    text.split("#[cfg(test)]")
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// All files of a kind that the project has.
fn sources(kind: &str) -> Vec<PathBuf> {
    let root = workspace();
    let top = fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file());
    let folders = ["backend", "crates", "docs", "deploy", ".ci", ".cargo"]
        .iter()
        .flat_map(|folder| files(&root.join(folder)));
    top.chain(folders)
        .filter(|path| path.extension().is_some_and(|extension| extension == kind))
        .collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    files(folder)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn each_flaw_of_the_specification_has_its_row() {
    const FLAWS: u8 = 38;
    let page = workspace().join("docs/coming-from-the-specification.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, table) = page
        .split_once("## Every command of the specification")
        .unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let numbers = |part: &str| -> Option<std::ops::RangeInclusive<u8>> {
        let (first, last) = part
            .trim()
            .split_once('–')
            .unwrap_or((part.trim(), part.trim()));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    let brackets = table
        .split('[')
        .skip(1)
        .filter_map(|rest| rest.split_once(']'))
        .map(|(inside, _)| inside);
    let named: BTreeSet<u8> = brackets
        .flat_map(|inside| inside.split(','))
        .filter_map(numbers)
        .flatten()
        .collect();
    assert_eq!(named, (1..=FLAWS).collect());
}

#[test]
fn crates_that_stand_alone_do_not_mention_the_application() {
    let words = [
        "emotionviz",
        "cargo dev",
        "checkout",
        "database_url",
        "dev-env",
    ];
    for package in ["process", "local-postgres", "fast-reload", "painter"] {
        for file in files(&workspace().join("crates").join(package)) {
            // Fonts are not text.
            let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).to_lowercase();
            let found = words.iter().find(|word| text.contains(**word));
            assert!(
                found.is_none(),
                "{} mentions {}",
                file.display(),
                found.unwrap_or(&"")
            );
        }
    }
}
