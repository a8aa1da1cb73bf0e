//! All that CI runs, in the order in which failures are cheapest.

use std::time::Instant;

use diagnostics::{Exit, Failure};
use xshell::{Shell, cmd};

use super::app::App;
use crate::{host::install::run as install_missing, ui::Paint};

/// How a run of all tests ended.
#[derive(Debug)]
pub enum SelfTest {
    /// A dry run: the command lines.
    Planned(Vec<String>),
    /// Each step, and its time in ms.
    Passed(Vec<(&'static str, u64)>),
}

/// Runs everything; without what needs podman if `quick`. A dry run gives the
/// command lines.
pub fn run(app: &App, install: bool, quick: bool) -> Result<SelfTest, Failure> {
    let system = app.system()?;
    let shell = Shell::new().map_err(|error| failed("shell", &error))?;
    shell.change_dir(&system.root);
    let steps = steps(quick);
    if app.settings.dry_run {
        let lines = steps.iter().map(|(_, words)| words.join(" "));
        return Ok(SelfTest::Planned(lines.collect()));
    }
    if install && !quick {
        install_missing(&app.cancel, &|line: &str| app.ui.note(line))?;
    }
    let mut times = Vec::new();
    for (name, words) in steps {
        let started = Instant::now();
        app.ui.note(
            app.ui
                .paint(Paint::Bold, &format!("== {name}: {}", words.join(" "))),
        );
        let (program, rest) = words.split_first().expect("steps name a program");
        // Tests of the command line must not see the settings of this run.
        cmd!(shell, "{program} {rest...}")
            .env_remove("AI_SYSTEM_MONOREPO")
            .quiet()
            .run()
            .map_err(|error| match app.cancel.requested() {
                // The step has seen the same Ctrl-C.
                true => Failure::interrupted(format!("stopped in {name}")),
                false => failed(name, &error),
            })?;
        times.push((name, started.elapsed().as_millis() as u64));
    }
    Ok(SelfTest::Passed(times))
}

/// Name and command line of every step.
fn steps(quick: bool) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut steps = vec![
        ("format", vec!["cargo", "fmt", "--all", "--check"]),
        (
            "lints",
            vec![
                "cargo",
                "clippy",
                "--quiet",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ],
        ),
        // The repository's own lists, locks and agents: offline, in no time.
        (
            "requirements are current",
            vec!["cargo", "xtask", "split-requirements", "--check"],
        ),
        (
            "agents have what they import",
            vec!["cargo", "xtask", "scan", "--check"],
        ),
        // Unit tests, the tidy test and whole-binary tests on a fake podman.
        ("tests", vec!["cargo", "test", "--quiet", "--workspace"]),
    ];
    if !quick {
        steps.extend(slow_steps());
    }
    steps
}

/// Those that need podman, the package index or minutes.
fn slow_steps() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut steps = Vec::new();
    // Ignored by plain `cargo test`, since it takes minutes: a fault at every
    // podman call.
    let faults = [
        "cargo",
        "test",
        "--quiet",
        "--package",
        "xtask",
        "--test",
        "whole_binary",
        "--",
        "--ignored",
    ];
    steps.push(("faults at podman calls", faults.to_vec()));
    // Ignored by plain `cargo test`: one asks the package index, the other
    // needs Python's test suite.
    for (name, package, filter) in [
        ("locks against the index", "xtask-requirements", "lock::"),
        ("scanner against Python", "xtask-python", "oracle"),
    ] {
        let words = [
            "cargo",
            "test",
            "--quiet",
            "--package",
            package,
            filter,
            "--",
            "--ignored",
        ];
        steps.push((name, words.to_vec()));
    }
    // Ignored by plain `cargo test`, since they need podman and minutes.
    let engine = [
        "cargo",
        "test",
        "--workspace",
        "--test",
        "engine",
        "--",
        "--ignored",
        "--test-threads",
        "1",
        "--nocapture",
    ];
    steps.push(("engine tests", engine.to_vec()));
    // The agents' own, with what the manifest says of them.
    steps.push(("unit tests of agents", vec!["cargo", "xtask", "test-unit"]));
    let isolated = ["cargo", "xtask", "test-integration", "--isolated"];
    steps.push(("integration tests in a copy", isolated.to_vec()));
    steps
}

fn failed(name: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Tests, format!("{name} failed: {error}"))
        .hint("the output above says where; `cargo xtask test --quick` leaves the slow ones out")
}
