use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// The tests of one run that were skipped because of the same need.
#[derive(Debug, PartialEq, Eq)]
pub struct Skipped {
    /// What the machine lacks.
    pub need: String,
    /// What to do about it.
    pub hint: String,
    /// The names of the tests, sorted.
    pub tests: Vec<String>,
}

/// Appends the current test to a report. Tests of several processes write to the same file.
pub(crate) fn append(report: &Path, need: &str, hint: &str) -> io::Result<()> {
    // nextest runs each test in the main thread of a process; the harness names its threads after the tests.
    let test = std::env::var("NEXTEST_TEST_NAME")
        .ok()
        .or_else(|| std::thread::current().name().map(str::to_owned))
        .unwrap_or_default();
    let line = [need, hint, &test]
        .map(|field| field.replace(['\t', '\n'], " "))
        .join("\t");
    File::options()
        .append(true)
        .create(true)
        .open(report)?
        .write_all((line + "\n").as_bytes())
}

/// Reads the report of a run, grouped by need. A missing file means that no test was skipped.
///
/// # Errors
/// If the file exists and cannot be read.
pub fn read_report(report: &Path) -> io::Result<Vec<Skipped>> {
    let text = match std::fs::read_to_string(report) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        text => text?,
    };
    let mut needs = BTreeMap::<(&str, &str), Vec<String>>::new();
    for line in text.lines() {
        let mut fields = line.split('\t');
        if let (Some(need), Some(hint), Some(test)) = (fields.next(), fields.next(), fields.next())
        {
            needs.entry((need, hint)).or_default().push(test.to_owned());
        }
    }
    Ok(needs
        .into_iter()
        .map(|((need, hint), mut tests)| {
            tests.sort();
            tests.dedup();
            Skipped {
                need: need.to_owned(),
                hint: hint.to_owned(),
                tests,
            }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_tests_are_grouped_by_what_they_need() {
        let folder = tempfile::tempdir().unwrap();
        let report = folder.path().join("report");
        assert_eq!(read_report(&report).unwrap(), []);
        append(&report, "a disk", "mount one").unwrap();
        append(&report, "a disk", "mount one").unwrap();
        append(&report, "a tab\tin it", "none").unwrap();
        let skipped = read_report(&report).unwrap();
        assert_eq!(
            skipped
                .iter()
                .map(|skipped| skipped.need.as_str())
                .collect::<Vec<_>>(),
            ["a disk", "a tab in it"]
        );
        let name = "report::tests::skipped_tests_are_grouped_by_what_they_need";
        assert_eq!(skipped[0].tests, [name]);
    }
}
