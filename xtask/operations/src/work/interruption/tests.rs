//! The message after Ctrl-C says what podman lists, not what was planned.

use model::plan::state::Status;

use super::*;
use crate::carry_out::{Reason, StepFailure};

fn start(container: &str) -> Action {
    Action::StartContainer {
        container: container.into(),
        host_ports: Vec::new(),
    }
}

fn stop(container: &str) -> Action {
    Action::StopContainer {
        container: container.into(),
        timeout_s: 5,
    }
}

fn rename(from: &str, to: &str) -> Action {
    Action::RenameContainer {
        from: from.into(),
        to: to.into(),
    }
}

fn remove(container: &str) -> Action {
    Action::RemoveContainer {
        container: container.into(),
        pid: None,
    }
}

fn done() -> StepResult {
    StepResult::Done {
        elapsed_ms: 10,
        passed: None,
    }
}

fn blocked() -> StepResult {
    StepResult::Blocked { by: 0 }
}

fn failed() -> StepResult {
    StepResult::Failed(StepFailure {
        reason: Reason::Interrupted,
        restored: false,
    })
}

/// What is said after these steps, when these containers run.
#[track_caller]
fn check(steps: Vec<(&str, Action, StepResult)>, running: Option<&[&str]>, expected: &str) {
    let mut plan = Plan::default();
    let mut results = Vec::new();
    for (subject, action, result) in steps {
        plan.push(subject, action, Vec::new(), "a test");
        results.push(result);
    }
    let listed = |names: &[&str]| {
        let container = || Container {
            status: Status::Running,
            ..Container::default()
        };
        let names = names.iter();
        names
            .map(|name| ((*name).to_owned(), container()))
            .collect()
    };
    let report = Report {
        results,
        left: running.map(listed),
    };
    let failure = failure(&plan, &report);
    let hint = failure.hint.unwrap_or_default();
    let said = hint.trim_end_matches("; run the same command again to go on");
    assert_eq!(said, expected);
}

#[test]
fn agents_that_were_put_back_and_those_whose_turn_had_not_come() {
    let steps = vec![
        ("Alpha", stop("alpha"), done()),
        (
            "Alpha",
            rename("alpha", "alpha-previous"),
            StepResult::PutBack(None),
        ),
        ("Alpha", start("alpha"), blocked()),
        ("Beta", stop("beta"), StepResult::Cancelled),
        ("Beta", start("beta"), blocked()),
        ("Gamma", stop("gamma"), StepResult::Cancelled),
        ("Gamma", start("gamma"), blocked()),
    ];
    let running = ["alpha", "beta", "gamma"];
    check(
        steps,
        Some(&running),
        "Alpha was put back; 2 agents not yet replaced",
    );
}

#[test]
fn agents_that_run_and_such_that_do_not() {
    let steps = || {
        vec![
            ("Alpha", start("alpha"), done()),
            ("Beta", start("beta"), failed()),
            ("Gamma", start("gamma"), StepResult::Cancelled),
        ]
    };
    check(steps(), Some(&["alpha", "other"]), "left running: Alpha");
    check(steps(), Some(&[]), "nothing was left running");
    check(
        steps(),
        None,
        "podman does not say what is left running; `cargo xtask status` shows it once podman answers",
    );
}

#[test]
fn an_agent_that_could_not_be_put_back() {
    let steps = vec![
        ("Alpha", stop("alpha"), done()),
        (
            "Alpha",
            start("alpha"),
            StepResult::PutBack(Some(Reason::Defect("lost".into()))),
        ),
    ];
    check(
        steps,
        Some(&[]),
        "stopped: Alpha; nothing was left running; not restored: Alpha (this tool failed: lost)",
    );
}

#[test]
fn a_removal_that_was_interrupted() {
    let steps = vec![
        ("Alpha", stop("alpha"), done()),
        ("Alpha", remove("alpha"), done()),
        ("Beta", stop("beta"), done()),
        ("Beta", remove("beta"), StepResult::Cancelled),
        ("Gamma", stop("gamma"), StepResult::Cancelled),
        ("Gamma", remove("gamma"), blocked()),
    ];
    check(
        steps,
        Some(&["gamma"]),
        "left running: Gamma; stopped: Beta; 1 agent removed",
    );
}
