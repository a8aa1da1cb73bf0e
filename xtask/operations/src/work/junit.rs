//! JUnit reports of tests that ran in containers.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use diagnostics::{Exit, Failure};

use super::test_results::{Subject, TestReport};

/// Writes the reports below `folder`; fails if they cannot be written.
pub fn report(
    folder: &Path,
    subjects: Vec<Subject>,
    without_tests: Vec<String>,
    elapsed_ms: u64,
) -> Result<TestReport, Failure> {
    let junit = write(folder, &subjects).map_err(|error| {
        let message = format!("cannot write reports to `{}`: {error}", folder.display());
        Failure::new(Exit::Tests, message).hint("give another folder with --junit")
    })?;
    let sum = |count: fn(&Subject) -> usize| subjects.iter().map(count).sum();
    Ok(TestReport {
        passed: sum(|subject| subject.passed),
        failed: sum(|subject| subject.failed),
        skipped: sum(|subject| subject.skipped),
        problems: sum(|subject| usize::from(subject.problem.is_some())),
        elapsed_ms,
        subjects,
        without_tests,
        junit,
    })
}

/// A file for each subject, and one with all of them.
fn write(folder: &Path, subjects: &[Subject]) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let mut all = String::new();
    for subject in subjects {
        let title = subject.title();
        let suites = suites(subject, &title);
        let file = folder.join(format!("{}.xml", title.replace(' ', "-")));
        fs::write(file, document(&suites))?;
        all.push_str(&suites);
    }
    let merged = folder.join("all.xml");
    fs::write(&merged, document(&all))?;
    Ok(merged)
}

fn document(suites: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<testsuites>\n{suites}</testsuites>\n")
}

/// The `<testsuite>` elements of pytest's report under the subject's name, and
/// one for what kept tests from running.
fn suites(subject: &Subject, title: &str) -> String {
    let title = escaped(title);
    let mut text = String::new();
    let report = &subject.junit;
    if let (Some(start), Some(end)) = (report.find("<testsuite "), report.rfind("</testsuite>")) {
        let name = format!("name=\"{title}\"");
        text.push_str(&report[start..end].replacen("name=\"pytest\"", &name, 1));
        text.push_str("</testsuite>\n");
    }
    if let Some(problem) = &subject.problem {
        let problem = escaped(problem);
        text.push_str(&format!(
            "<testsuite name=\"{title}\" tests=\"1\" errors=\"1\"><testcase classname=\"{title}\" \
             name=\"all tests are run\"><error message=\"{problem}\"/></testcase></testsuite>\n"
        ));
    }
    text
}

/// Text for an attribute; characters that XML cannot hold are left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(' '),
            other if !other.is_control() => escaped.push(other),
            _ => {}
        }
    }
    escaped
}
