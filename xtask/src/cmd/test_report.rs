//! What tests in containers found: told as it happens, then as a table, as
//! JSON, and as JUnit files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::App;
use crate::{
    podman::{
        PodmanError,
        pytest::{Ended, Event, Outcome, Test},
    },
    ui::{Paint, table},
};
use diagnostics::{Exit, Failure, excerpt::printable, words::seconds};

/// pytest's exit code where nothing was collected.
const NOTHING_COLLECTED: i32 = 5;
/// What the kernel's SIGKILL looks like from outside.
const KILLED: i32 = 137;
/// Lines of a failure's text that are shown.
const DETAIL_LINES: usize = 40;

/// All tests of one agent, or of one suite in one place.
#[derive(Debug, Serialize)]
pub struct Subject {
    pub name: String,
    /// The group in whose place it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
    pub elapsed_ms: u64,
    /// Why not all of its tests could be run.
    pub problem: Option<String>,
    pub tests: Vec<Test>,
    #[serde(skip)]
    junit: String,
}

#[derive(Debug, Serialize)]
pub struct Summary {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
    /// Subjects of which not all tests could be run.
    pub problems: usize,
    pub elapsed_ms: u64,
    pub subjects: Vec<Subject>,
    /// Agents that have no tests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without_tests: Vec<String>,
    /// All reports in one file.
    pub junit: PathBuf,
}

impl Subject {
    /// What became of a container of tests.
    pub fn new(
        name: &str,
        from: Option<&str>,
        ended: Result<Ended, PodmanError>,
        elapsed_ms: u64,
    ) -> Self {
        let mut subject = Subject {
            name: name.to_owned(),
            from: from.map(str::to_owned),
            passed: 0,
            failed: 0,
            skipped: 0,
            elapsed_ms,
            problem: None,
            tests: Vec::new(),
            junit: String::new(),
        };
        match ended {
            Ok(ended) => subject.read(ended),
            Err(error) => subject.problem = Some(format!("{error}: {}", error.reason())),
        }
        subject
    }

    /// Tests that were not run for a reason that is known.
    pub fn not_run(name: &str, from: Option<&str>, problem: String) -> Self {
        let ended = Ended {
            code: 0,
            events: Vec::new(),
            output: Vec::new(),
        };
        Subject {
            problem: Some(problem),
            ..Subject::new(name, from, Ok(ended), 0)
        }
    }

    fn read(&mut self, ended: Ended) {
        let mut end = None;
        for event in ended.events {
            match event {
                Event::Test(test) => {
                    match test.outcome {
                        Outcome::Passed => self.passed += 1,
                        Outcome::Failed => self.failed += 1,
                        Outcome::Skipped => self.skipped += 1,
                    }
                    self.tests.push(test);
                }
                Event::Problem(problem) => {
                    self.problem = Some(format!("{}: {}", problem.id, problem.message));
                }
                Event::End { code, junit } => {
                    end = Some(code);
                    self.junit = junit;
                }
            }
        }
        let unexplained = match end {
            Some(0 | NOTHING_COLLECTED) => None,
            Some(1) if self.failed > 0 => None,
            Some(code) => Some(format!("pytest ended with exit code {code}")),
            None => {
                let why = match ended.code {
                    KILLED => "was killed, perhaps for taking more memory than it may have",
                    0 => return,
                    _ => "ended before its tests did",
                };
                let last = self.tests.last().map(|test| format!(", after {}", test.id));
                let said = ended.output.last().map(|line| format!(": {line}"));
                let (last, said) = (last.unwrap_or_default(), said.unwrap_or_default());
                Some(format!(
                    "the container {why} (exit code {}{last}){said}",
                    ended.code
                ))
            }
        };
        self.problem = self.problem.take().or(unexplained);
    }

    /// `CoordinatorAgent`, or `isolation from gpu-services`.
    fn title(&self) -> String {
        match &self.from {
            Some(from) => format!("{} from {from}", self.name),
            None => self.name.clone(),
        }
    }

    fn good(&self) -> bool {
        self.failed == 0 && self.problem.is_none()
    }
}

/// Shows a failure at once.
pub fn show_event(app: &App, subject: &str, event: &Event) {
    let (id, message, detail) = match event {
        Event::Test(test) if test.outcome == Outcome::Failed => {
            (&test.id, &test.message, &test.detail)
        }
        Event::Problem(problem) => (&problem.id, &problem.message, &problem.detail),
        _ => return,
    };
    let word = app.ui.paint(Paint::Bad, "FAILED");
    let mut text = format!("{word} {subject}: {id}\n  {}", printable(message));
    let lines: Vec<&str> = detail.lines().collect();
    for line in &lines[lines.len().saturating_sub(DETAIL_LINES)..] {
        text.push_str(&format!("\n  | {}", printable(line)));
    }
    app.ui.rendered(&text);
}

/// One line for a subject that has ended.
pub fn show_end(app: &App, subject: &Subject) {
    let (paint, word) = match subject.good() {
        true => (Paint::Good, "passed"),
        false => (Paint::Bad, "failed"),
    };
    app.ui.note(format!(
        "{}  {}: {} of {} tests passed, {}",
        subject.title(),
        app.ui.paint(paint, word),
        subject.passed,
        subject.tests.len(),
        seconds(subject.elapsed_ms)
    ));
    if let Some(problem) = &subject.problem {
        app.ui.rendered(&format!("  {}", printable(problem)));
    }
}

/// Writes the reports below `folder` and shows the summary; fails if a test
/// did.
pub fn finish(
    app: &App,
    command: &str,
    folder: &Path,
    subjects: Vec<Subject>,
    without_tests: Vec<String>,
    elapsed_ms: u64,
) -> Result<(), Failure> {
    let junit = write(folder, &subjects).map_err(|error| {
        let message = format!("cannot write reports to `{}`: {error}", folder.display());
        Failure::new(Exit::Tests, message).hint("give another folder with --junit")
    })?;
    let sum = |count: fn(&Subject) -> usize| subjects.iter().map(count).sum();
    let summary = Summary {
        passed: sum(|subject| subject.passed),
        failed: sum(|subject| subject.failed),
        skipped: sum(|subject| subject.skipped),
        problems: sum(|subject| usize::from(subject.problem.is_some())),
        elapsed_ms,
        subjects,
        without_tests,
        junit,
    };
    if app.ui.json_wanted() {
        app.ui.json(command, &summary);
    } else {
        show(app, &summary);
    }
    verdict(&summary)
}

fn show(app: &App, summary: &Summary) {
    let head = ["TESTS", "PASSED", "FAILED", "SKIPPED", "TIME", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(summary.subjects.iter().map(|subject| {
        let failed = match subject.failed {
            0 => "0".to_owned(),
            count => app.ui.paint(Paint::Bad, &count.to_string()),
        };
        vec![
            subject.title(),
            subject.passed.to_string(),
            failed,
            subject.skipped.to_string(),
            seconds(subject.elapsed_ms),
            subject
                .problem
                .as_deref()
                .map(printable)
                .unwrap_or_default(),
        ]
    }));
    for line in table::render(&rows) {
        app.ui.out(line);
    }
    for test in summary.subjects.iter().flat_map(|subject| &subject.tests) {
        if test.outcome == Outcome::Skipped {
            app.ui
                .out(format!("skipped {}: {}", test.id, printable(&test.message)));
        }
    }
    if !summary.without_tests.is_empty() {
        app.ui.out(format!(
            "without tests: {}",
            summary.without_tests.join(", ")
        ));
    }
    app.ui.out(format!(
        "{} passed, {} failed, {} skipped, {}; {}",
        summary.passed,
        summary.failed,
        summary.skipped,
        seconds(summary.elapsed_ms),
        summary.junit.display()
    ));
}

fn verdict(summary: &Summary) -> Result<(), Failure> {
    let bad: Vec<String> = summary
        .subjects
        .iter()
        .filter(|subject| !subject.good())
        .map(|subject| match &subject.problem {
            Some(problem) => format!("{}: {problem}", subject.title()),
            None => format!("{}: {} failed", subject.title(), subject.failed),
        })
        .collect();
    if !bad.is_empty() {
        return Err(Failure::new(Exit::Tests, "tests failed").detail(bad));
    }
    if summary.passed + summary.skipped == 0 {
        return Err(Failure::new(Exit::Tests, "no test was run")
            .hint("is there a test whose name matches `-k`?"));
    }
    Ok(())
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
