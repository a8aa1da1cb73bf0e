//! What became of tests in containers, and what is told meanwhile.

use std::path::PathBuf;

use diagnostics::{Exit, Failure};
use serde::Serialize;

use super::{build_report::ImageReport, deploy::Deployment, dry_run::Script};
use crate::podman::{
    PodmanError,
    pytest::{Test, TestEvent, TestOutcome, TestsEnded},
};

/// pytest's exit code where nothing was collected.
const NOTHING_COLLECTED: i32 = 5;

/// What the kernel's SIGKILL looks like from outside.
const KILLED: i32 = 137;

/// All tests of one agent, or of one suite in one place.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Subject {
    /// The agent, or the suite.
    pub name: String,
    /// The group in whose place a suite ran; left out where it had a place on the
    /// backbone alone, and for unit tests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Tests that passed.
    pub passed: usize,
    /// Tests that failed.
    pub failed: usize,
    /// Tests that were skipped.
    pub skipped: usize,
    /// Time that its container took, in ms.
    pub elapsed_ms: u64,
    /// Why not all of its tests could be run; null if they were.
    pub problem: Option<String>,
    /// In the order in which they ended.
    pub tests: Vec<Test>,
    #[serde(skip)]
    pub junit: String,
}

/// The end of `test-unit` or `test-integration`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TestReport {
    /// Tests that passed, of all subjects.
    pub passed: usize,
    /// Tests that failed.
    pub failed: usize,
    /// Tests that were skipped.
    pub skipped: usize,
    /// Subjects of which not all tests could be run.
    pub problems: usize,
    /// Time that all of it took, in ms.
    pub elapsed_ms: u64,
    /// All tests of an agent, or of a suite in one place, each.
    pub subjects: Vec<Subject>,
    /// Agents that have no tests; left out if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without_tests: Vec<String>,
    /// File with all reports in JUnit's format.
    pub junit: PathBuf,
}

impl Subject {
    /// What became of a container of tests.
    pub fn new(
        name: &str,
        from: Option<&str>,
        ended: Result<TestsEnded, PodmanError>,
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
        let ended = TestsEnded {
            code: 0,
            events: Vec::new(),
            output: Vec::new(),
        };
        Subject {
            problem: Some(problem),
            ..Subject::new(name, from, Ok(ended), 0)
        }
    }

    fn read(&mut self, ended: TestsEnded) {
        let mut end = None;
        for event in ended.events {
            match event {
                TestEvent::Test(test) => {
                    match test.outcome {
                        TestOutcome::Passed => self.passed += 1,
                        TestOutcome::Failed => self.failed += 1,
                        TestOutcome::Skipped => self.skipped += 1,
                    }
                    self.tests.push(test);
                }
                TestEvent::Problem(problem) => {
                    self.problem = Some(format!("{}: {}", problem.id, problem.message));
                }
                TestEvent::End { code, junit } => {
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
    pub fn title(&self) -> String {
        match &self.from {
            Some(from) => format!("{} from {from}", self.name),
            None => self.name.clone(),
        }
    }

    /// All tests were run, and none failed.
    pub fn good(&self) -> bool {
        self.failed == 0 && self.problem.is_none()
    }
}

/// Word of a run of tests that is not over yet.
#[derive(Debug)]
pub enum News<'n> {
    /// A dry run: what would be run, under the name of a command.
    WouldRun(&'static str, &'n Script),
    WouldRunLine(String),
    /// Images that tests need could not be built.
    ImagesFailed(&'n ImageReport),
    /// The copy could not be deployed.
    DeploymentFailed(&'n Deployment),
    /// A subject, and what one of its tests has come to.
    Event(&'n str, TestEvent),
    Ended(&'n Subject),
}

/// Is told news, from several threads.
pub type Tell<'t> = &'t (dyn Fn(News<'_>) + Sync);

/// How tests are run.
#[derive(Debug, Clone, Default)]
pub struct TestOptions {
    /// What pytest is given besides files.
    pub pytest: Vec<String>,
    /// Folder for JUnit reports.
    pub reports: PathBuf,
}

/// Fails if a test did, or none was run.
pub fn verdict(report: &TestReport) -> Result<(), Failure> {
    let bad: Vec<String> = report
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
    if report.passed + report.skipped == 0 {
        return Err(Failure::new(Exit::Tests, "no test was run")
            .hint("is there a test whose name matches `-k`?"));
    }
    Ok(())
}
