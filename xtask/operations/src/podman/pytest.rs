//! pytest in a container of an image, followed as it happens.
//!
//! pytest itself stands in an image of its own, which is mounted beside the
//! image under test: production images carry none of it, and nothing has to be
//! built on top of them.

use model::plan::{
    label,
    spec::{FillSpec, TestSpec},
};
use serde::{Deserialize, Serialize};

use super::{
    argv,
    engine::Engine,
    observe,
    run::{Call, PodmanError, tail},
};

/// What our lines start with, among whatever else a container says.
const MARK: &str = "@test ";
/// For the container to start, and pytest to end by itself.
const GRACE_S: u64 = 60;
const FILL_DEADLINE_MS: u64 = 300_000;

/// What a container of tests says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum TestEvent {
    Test(Test),
    /// A file that cannot be collected.
    Problem(Problem),
    End {
        /// pytest's exit code.
        code: i32,
        /// Its report in JUnit's format; empty if it wrote none.
        junit: String,
    },
}

/// A test that has ended.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Test {
    /// `main_pc_code/tests/test_x.py::test_y[1]`
    pub id: String,
    /// How it ended.
    pub outcome: TestOutcome,
    /// Time that it took, in seconds.
    pub elapsed_s: f64,
    /// What was wrong, or why it was skipped, in one line.
    pub message: String,
    #[serde(skip_serializing)]
    pub detail: String,
}

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum TestOutcome {
    Passed,
    Failed,
    Skipped,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Problem {
    pub id: String,
    pub message: String,
    pub detail: String,
}

/// How a container of tests ended.
#[derive(Debug)]
pub struct TestsEnded {
    /// Exit code of the container: pytest's, if it came so far.
    pub code: i32,
    pub events: Vec<TestEvent>,
    /// The end of what pytest and the tests printed.
    pub output: Vec<String>,
}

/// Runs the container to its end; `on_event` hears of everything at once,
/// except for texts that are too long for a line.
///
/// # Errors
/// podman could not run it, or it did not end in time. Failing tests are none.
pub fn run(
    engine: &Engine,
    spec: &TestSpec,
    timeout_s: u32,
    on_event: &(dyn Fn(TestEvent) + Sync),
) -> Result<TestsEnded, PodmanError> {
    let call = Call::long(
        format!("run tests in {}", spec.name),
        argv::run_test(spec, &engine.quirks),
    )
    .deadline_ms((u64::from(timeout_s) + GRACE_S) * 1000);
    let on_line = |line: &str| event(line).into_iter().for_each(on_event);
    let ended = engine.podman.probe_with(&call, Some(&on_line));
    if ended.is_err() {
        // podman was ended with the container perhaps still there; a failure to
        // remove it is put right by the next run.
        let _ = remove(engine, &spec.name);
    }
    let ended = ended?;
    Ok(TestsEnded {
        code: ended.code,
        events: ended.stdout.lines().filter_map(event).collect(),
        output: tail(&ended.stderr, 15),
    })
}

/// Fills a volume for a copy of the system.
///
/// # Errors
/// The script failed, with the end of what it said.
pub fn fill(engine: &Engine, spec: &FillSpec) -> Result<(), PodmanError> {
    let purpose = format!("fill {} by {}", spec.volume, spec.script);
    let args = argv::fill_volume(spec, &engine.quirks);
    let call = Call::long(purpose, args).deadline_ms(FILL_DEADLINE_MS);
    engine.podman.run(&call).map(drop)
}

/// Removes what a run that was killed has left; the caller sees to it that
/// there is no other.
pub fn remove_left(engine: &Engine, system: &str) -> Result<(), PodmanError> {
    let left = observe::containers(&engine.podman)?.into_iter();
    let mut left =
        left.filter(|(_, found)| found.labels.get(label::TEST).is_some_and(|of| of == system));
    left.try_for_each(|(name, _)| remove(engine, &name))
}

fn remove(engine: &Engine, name: &str) -> Result<(), PodmanError> {
    let args = ["rm", "--force", "--time", "1", name].map(str::to_owned);
    let call = Call::change("remove a container of tests", args.into());
    engine.podman.run(&call).map(drop)
}

fn event(line: &str) -> Option<TestEvent> {
    serde_json::from_str(line.strip_prefix(MARK)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_of_ours_are_events() {
        let test = r#"@test {"event": "test", "id": "a.py::b", "outcome": "skipped", "elapsed_s": 0.5, "message": "m", "detail": ""}"#;
        let found = event(test).expect("an event");
        assert!(matches!(
            found,
            TestEvent::Test(Test {
                outcome: TestOutcome::Skipped,
                ..
            })
        ));
        let end = event(r#"@test {"event": "end", "code": 1, "junit": "<x/>"}"#);
        assert_eq!(
            end,
            Some(TestEvent::End {
                code: 1,
                junit: "<x/>".into()
            })
        );
        for other in [
            &test[..40],
            &test[6..],
            "",
            "@test ",
            "@test {\"event\": \"x\"}",
        ] {
            assert_eq!(event(other), None, "{other}");
        }
    }
}
