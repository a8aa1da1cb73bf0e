//! The catalogue of messages: the full text of every way in which carrying out
//! a plan can fail. Why no plan can be made stands in `work/failures/tests.rs`.

use model::plan::Gate;

use super::*;
use crate::carry_out::{Passed, StepFailure};

/// As `ui` shows it, with the exit code in front.
pub fn text(failure: &Failure) -> String {
    let mut lines = vec![format!("{} error: {failure}", failure.exit as u8)];
    lines.extend(
        failure
            .detail
            .iter()
            .map(|line| format!("  {line}").trim_end().to_owned()),
    );
    lines.extend(failure.hint.iter().map(|hint| format!("hint: {hint}")));
    lines.join("\n")
}

#[track_caller]
fn check(failure: &Failure, expected: &str) {
    assert_eq!(text(failure), expected);
}

fn gate() -> Action {
    Action::Gate(Gate {
        agent: "Alpha".into(),
        container: "alpha".into(),
        host_health_port: 7001,
        health_port: 7001,
        health: Default::default(),
        timeout_ms: 60_000,
        attempts: 2,
        restarts: true,
        stop_timeout_s: 5,
        unanswered: model::plan::step::Unanswered::Fail,
    })
}

fn start() -> Action {
    Action::StartContainer {
        container: "alpha".into(),
        host_ports: Vec::new(),
    }
}

fn stop() -> Action {
    Action::StopContainer {
        container: "alpha".into(),
        timeout_s: 5,
    }
}

fn failed(reason: Reason, restored: bool) -> StepResult {
    StepResult::Failed(StepFailure { reason, restored })
}

fn done() -> StepResult {
    StepResult::Done {
        elapsed_ms: 10,
        passed: None,
    }
}

/// A plan whose steps wait for nothing, and what happened to them.
fn run(steps: Vec<(&str, Action, StepResult)>) -> (Plan, Report) {
    let mut plan = Plan::default();
    let mut results = Vec::new();
    for (subject, action, result) in steps {
        plan.push(subject, action, Vec::new(), "a test");
        results.push(result);
    }
    (
        plan,
        Report {
            results,
            left: None,
        },
    )
}

/// The failure of a plan of one step.
fn of(reason: Reason) -> Failure {
    let (plan, report) = run(vec![("Alpha", start(), failed(reason, false))]);
    failure(&plan, &report, Exit::Gate).expect("it failed")
}

fn sick(agent: &str, status: AgentStatus, reason: &str) -> Sick {
    Sick {
        agent: agent.into(),
        container: agent.to_lowercase(),
        status,
        reason: reason.into(),
        waited_ms: 1_500,
        attempts: 1,
        reply: None,
        log: Vec::new(),
        run: None,
    }
}

fn podman_error(how: How, stderr: &[&str]) -> PodmanError {
    PodmanError::Failed {
        purpose: "start `alpha`".into(),
        command: "podman start alpha".into(),
        how,
        stderr: stderr.iter().map(|line| (*line).to_owned()).collect(),
    }
}

#[test]
fn podman_fails() {
    let error = podman_error(How::Code(125), &["one", "Error: no such container"]);
    assert_eq!(error.reason(), "no such container");
    check(
        &of(Reason::Podman(error)),
        "6 error: Alpha: failed to start `alpha`: exit code 125
  $ podman start alpha
  one
  Error: no such container",
    );
}

#[test]
fn podman_hangs() {
    let of = |hangs| {
        let how = How::TimedOut {
            deadline_ms: 120_000,
            hangs,
        };
        of(Reason::Podman(podman_error(how, &[])))
    };
    check(
        &of(true),
        "6 error: Alpha: failed to start `alpha`: did not finish within 120.0 s
  $ podman start alpha
hint: podman hangs: it does not list containers either; end what holds it up (`ps -ef` shows other podmans), then run the same command again",
    );
    check(
        &of(false),
        "6 error: Alpha: failed to start `alpha`: did not finish within 120.0 s
  $ podman start alpha
hint: podman answers other calls, so this one alone stood still or the host is very busy; run the same command again, which repairs what was left half done",
    );
}

#[test]
fn a_process_outlives_its_container() {
    let survives = Reason::Survives {
        container: "alpha".into(),
        pid: 4711,
    };
    check(
        &of(survives),
        "4 error: Alpha: podman has removed `alpha`, but its process 4711 goes on
hint: end it, lest it hold on to ports and files: `kill -9 4711`",
    );
}

#[test]
fn the_tool_itself_fails() {
    check(
        &of(Reason::Defect("index out of bounds".into())),
        "1 error: Alpha: this tool failed: index out of bounds
hint: run the same command again; if it fails in the same way, report it",
    );
}

#[test]
fn podman_is_gone() {
    let how = How::NotStarted("No such file or directory (os error 2)".into());
    check(
        &of(Reason::Podman(podman_error(how, &[]))),
        "6 error: Alpha: failed to start `alpha`: not started: No such file or directory (os error 2)
  $ podman start alpha",
    );
}

#[test]
fn the_disk_is_full() {
    let error = podman_error(How::Code(1), &["Error: write /x: no space left on device"]);
    check(
        &of(Reason::Podman(error)),
        "6 error: Alpha: failed to start `alpha`: exit code 1
  $ podman start alpha
  Error: write /x: no space left on device
hint: the disk is full: `podman system df` shows what podman holds, `podman image prune` frees dangling images",
    );
}

#[test]
fn podman_answers_nonsense() {
    let error = PodmanError::Garbage {
        purpose: "list containers".into(),
        command: "podman ps".into(),
        problem: "expected value at line 1 column 1".into(),
        answer: "oops".into(),
    };
    check(
        &of(Reason::Podman(error)),
        "6 error: Alpha: failed to list containers: podman's answer could not be understood: expected value at line 1 column 1",
    );
}

#[test]
fn a_port_is_taken() {
    let taken = |owner| Reason::PortTaken { port: 7001, owner };
    check(
        &of(taken(Some(("python3".into(), 42)))),
        "6 error: Alpha cannot start: port 7001 on 127.0.0.1 is taken by `python3` (process 42)
hint: end that process, or publish on another port (`host_port` or `host_health_port` instead of 7001 in the manifest)",
    );
    assert_eq!(taken(None).short(), "port 7001 on 127.0.0.1 is taken");
}

#[test]
fn an_agent_exits() {
    let mut sick = sick("Alpha", AgentStatus::Exited, "exited with code 1");
    sick.attempts = 2;
    sick.log = vec!["Traceback".into(), "ImportError: zmq".into()];
    check(
        &of(Reason::Sick(vec![sick])),
        "6 error: Alpha is not healthy: exited with code 1
  waited 1.50 s, 2 attempts
  last log lines:
  | Traceback
  | ImportError: zmq
hint: fix the cause in its log (`cargo xtask logs Alpha`), build the images, deploy again",
    );
}

#[test]
fn an_agent_is_sick_in_any_other_way() {
    let failure = |status, reason: &str| of(Reason::Sick(vec![sick("Alpha", status, reason)]));
    check(
        &failure(AgentStatus::WrongPort, "listens on 7000, not on 7001"),
        "6 error: Alpha is not healthy: listens on 7000, not on 7001
  waited 1.50 s
  its log is empty
hint: set `health_port` of Alpha in the manifest to the port it binds, or make it bind that one",
    );
    for (status, reason) in [
        (AgentStatus::Refused, "refused"),
        (AgentStatus::Timeout, "timeout"),
    ] {
        check(
            &failure(status, reason),
            &format!(
                "6 error: Alpha is not healthy: {reason}
  waited 1.50 s
  its log is empty
hint: if Alpha needs longer, raise `start_timeout_s`; `cargo xtask logs Alpha` shows what it did"
            ),
        );
    }
    for (status, reason) in [
        (AgentStatus::Unhealthy, "unhealthy: {\"status\": \"bad\"}"),
        (AgentStatus::Answering, "answering: pong"),
    ] {
        check(
            &failure(status, reason),
            &format!(
                "6 error: Alpha is not healthy: {reason}
  waited 1.50 s
  its log is empty
hint: healthy is a JSON reply whose `status` is `ok` or `healthy`; `health_requests` sets what is asked"
            ),
        );
    }
    check(
        &failure(AgentStatus::Missing, "has no container"),
        "6 error: Alpha is not healthy: has no container
  waited 1.50 s
  its log is empty
hint: run `cargo xtask deploy`",
    );
}

#[test]
fn several_agents_do_not_stay_healthy() {
    let sick = vec![
        sick("Alpha", AgentStatus::Exited, "exited with code 1"),
        sick("Beta", AgentStatus::Timeout, "timeout"),
    ];
    assert_eq!(
        Reason::Sick(sick.clone()).short(),
        "exited with code 1; timeout"
    );
    check(
        &of(Reason::Sick(sick)),
        "6 error: 2 agents did not stay healthy
  Alpha is not healthy: exited with code 1
    waited 1.50 s
    its log is empty
  Beta is not healthy: timeout
    waited 1.50 s
    its log is empty
hint: `cargo xtask logs NAME` shows more",
    );
}

#[test]
fn no_source_of_the_base_image_works() {
    let sources = vec![
        ("pull x".to_owned(), "no route to host".to_owned()),
        (
            "bootstrap with mmdebstrap".to_owned(),
            "could not be started".to_owned(),
        ),
    ];
    let reason = Reason::Base(sources);
    assert_eq!(
        reason.short(),
        "pull x: no route to host; bootstrap with mmdebstrap: could not be started"
    );
    check(
        &of(reason),
        "5 error: no source for the base image works
  pull x: no route to host
  bootstrap with mmdebstrap: could not be started
hint: `cargo xtask up --install` installs mmdebstrap; or make a registry reachable",
    );
    check(
        &of(Reason::Base(Vec::new())),
        "5 error: the base image does not exist, and the manifest allows no other source
hint: make it, or allow `pull` or `bootstrap` in `sources` of [base]",
    );
}

#[test]
fn a_file_cannot_be_written() {
    let reason = Reason::File {
        path: "/cache/x".into(),
        error: "Permission denied (os error 13)".into(),
    };
    check(
        &of(reason),
        "6 error: cannot write /cache/x: Permission denied (os error 13)",
    );
}

#[test]
fn packages_that_do_not_import() {
    let test = model::plan::spec::SmokeSpec {
        tag: "localhost/torch:latest".into(),
        packages: vec!["torch".into(), "triton".into()],
        built: true,
    };
    let test = || Action::SmokeTest(test.clone());
    let lines = [
        "torch: import torch: OSError: libgomp.so.1",
        "triton: not installed",
    ];
    let reason = Reason::Imports(lines.map(|line| format!("smoke test: {line}")).to_vec());
    assert_eq!(
        reason.short(),
        "smoke test: torch: import torch: OSError: libgomp.so.1; 1 more"
    );
    let (plan, report) = run(vec![("torch", test(), failed(reason, false))]);
    check(
        &failure(&plan, &report, Exit::Build).expect("it failed"),
        "5 error: torch: its packages do not import
  smoke test: torch: import torch: OSError: libgomp.so.1
  smoke test: triton: not installed
hint: a missing library of the system belongs in `system_packages` of the image, a version that fits in your requirements",
    );
    assert_eq!(outcomes(&plan, &report)[0].result, Ended::Failed);
}

#[test]
fn ctrl_c_during_builds_keeps_what_was_built() {
    let build = model::plan::spec::BuildSpec {
        system: Some("demo".into()),
        code: false,
        tag: "localhost/core:latest".into(),
        containerfile: "/Containerfile".into(),
        context: "/".into(),
        ignorefile: None,
        args: Default::default(),
        env: std::collections::BTreeMap::new(),
        target: None,
        secrets: Vec::new(),
        inputs_hash: String::new(),
    };
    let reason = failed(Reason::Interrupted, false);
    let (plan, report) = run(vec![("core", Action::BuildImage(build), reason)]);
    check(
        &failure(&plan, &report, Exit::Build).expect("interrupted"),
        "130 error: interrupted
hint: what was built is kept; run the same command again to go on",
    );
}

#[test]
fn what_was_undone_is_told() {
    let told = |undo: Vec<Action>, restored| {
        let reason = Reason::Sick(vec![sick("Alpha", AgentStatus::Timeout, "timeout")]);
        let (mut plan, report) = run(vec![("Alpha", gate(), failed(reason, restored))]);
        plan.steps[0].on_failure = undo;
        let failure = failure(&plan, &report, Exit::Gate).expect("it failed");
        failure.detail.get(2).cloned().unwrap_or_default()
    };
    assert_eq!(told(Vec::new(), false), "");
    assert_eq!(told(vec![stop()], true), "its container has been stopped");
    assert_eq!(
        told(vec![stop(), start()], true),
        "the container that ran before has been restored"
    );
    assert_eq!(
        told(vec![stop(), start()], false),
        "what it had changed could not be undone; the next `cargo xtask deploy` repairs it"
    );
}

/// Alpha fails; Beta and Gamma wait for it; Delta fails by itself.
fn two_causes() -> (Plan, Report) {
    let reason = || Reason::Sick(vec![sick("Alpha", AgentStatus::Timeout, "timeout")]);
    run(vec![
        ("Alpha", gate(), failed(reason(), false)),
        ("Beta", start(), StepResult::Blocked { by: 0 }),
        ("Beta", gate(), StepResult::Blocked { by: 0 }),
        ("Gamma", gate(), StepResult::Blocked { by: 0 }),
        ("Alpha", stop(), StepResult::Blocked { by: 0 }),
        (
            "Delta",
            start(),
            failed(
                Reason::PortTaken {
                    port: 7000,
                    owner: None,
                },
                false,
            ),
        ),
    ])
}

#[test]
fn every_root_cause_is_told_once_with_whom_it_blocks() {
    let (plan, report) = two_causes();
    check(
        &failure(&plan, &report, Exit::Gate).expect("it failed"),
        "6 error: Alpha is not healthy: timeout
  waited 1.50 s
  its log is empty
  blocks 2: Beta, Gamma

  Delta cannot start: port 7000 on 127.0.0.1 is taken
  hint: end that process, or publish on another port (`host_port` or `host_health_port` instead of 7000 in the manifest)
hint: if Alpha needs longer, raise `start_timeout_s`; `cargo xtask logs Alpha` shows what it did",
    );
}

#[test]
fn outcomes_are_told_per_subject() {
    let (mut plan, report) = two_causes();
    plan.unchanged.push("Epsilon".into());
    let told: Vec<(String, &str)> = outcomes(&plan, &report)
        .into_iter()
        .map(|outcome| (outcome.name, outcome.result.as_str()))
        .collect();
    let expected = [
        ("Alpha", "failed"),
        ("Beta", "blocked"),
        ("Gamma", "blocked"),
        ("Delta", "failed"),
        ("Epsilon", "unchanged"),
    ];
    assert_eq!(
        told,
        expected.map(|(name, result)| (name.to_owned(), result))
    );
}

#[test]
fn a_healthy_outcome_counts_its_attempts_and_its_time() {
    let passed = StepResult::Done {
        elapsed_ms: 300,
        passed: Some(Passed { attempts: 2 }),
    };
    let (plan, report) = run(vec![("Alpha", start(), done()), ("Alpha", gate(), passed)]);
    assert!(failure(&plan, &report, Exit::Gate).is_none());
    let outcome = &outcomes(&plan, &report)[0];
    assert_eq!(
        (
            outcome.result.as_str(),
            outcome.elapsed_ms,
            outcome.attempts
        ),
        ("healthy", Some(310), Some(2))
    );
}
