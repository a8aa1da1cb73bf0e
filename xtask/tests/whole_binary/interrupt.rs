//! Ctrl-C, the lock between two runs, and podmans that hang.

use std::path::Path;

use rustix::process::Signal;

use crate::{
    agents::Health,
    fixture::Fixture,
    golden,
    tool::{Outcome, Running, wait_until},
};

#[test]
fn ctrl_c_ends_a_build() {
    let fixture = Fixture::new();
    let tool = fixture.tool(&["build-images", "--jobs", "1"]);
    let running = tool
        .fail(&["build localhost/trial/trial-audio:*=hang"])
        .start();
    running.wait_for_call("build --tag localhost/trial/trial-audio:");
    running.signal(Signal::INT);
    let outcome = running.end().expect(130);
    golden::check("interrupt_build", &fixture, &outcome);
    assert_no_fake_left(&outcome);
    // What was built before counts.
    let rest = fixture.run(&["build-images"]).expect(0);
    let built = rest
        .changes()
        .iter()
        .filter(|call| call.starts_with("build "))
        .count();
    assert_eq!(built, 3);
}

#[test]
fn ctrl_c_ends_a_wait_for_an_agent() {
    let fixture = Fixture::built();
    fixture.set_health("CoordinatorAgent", Health::Deaf);
    let running = fixture.tool(&["deploy", "--jobs", "1"]).start();
    running.wait_for_call("start coordinator-agent");
    wait_for_gate(&running);
    running.signal(Signal::INT);
    let outcome = running.end().expect(130);
    golden::check("interrupt_deploy", &fixture, &outcome);
    assert_no_fake_left(&outcome);
    fixture.set_health("CoordinatorAgent", Health::Good);
    fixture.deploy().expect(0);
    fixture.assert_whole();
}

#[test]
fn ctrl_c_lets_a_short_call_finish() {
    let fixture = Fixture::built();
    let tool = fixture.tool(&["deploy", "--jobs", "1"]);
    let running = tool.fail(&["start system-digital-twin=slow:600"]).start();
    running.wait_for_call("start system-digital-twin");
    running.signal(Signal::INT);
    let outcome = running.end().expect(130);
    assert_eq!(outcome.open_calls(), [0; 0], "the start ended by itself");
    let starts = outcome
        .changes()
        .iter()
        .filter(|call| call.starts_with("start "))
        .count();
    assert_eq!(starts, 1);
    fixture.deploy().expect(0);
    fixture.assert_whole();
}

/// A podman that is ended in the middle of a stop leaves a container that the
/// next one may forget while its processes run.
#[test]
fn no_ctrl_c_ends_a_change_half_way() {
    let fixture = Fixture::deployed();
    let tool = fixture.tool(&["down", "--jobs", "1"]);
    let running = tool.fail(&["stop emotion-engine=slow:1500"]).start();
    running.wait_for_call("stop --time 1 emotion-engine");
    running.signal(Signal::INT);
    running.wait_for_stderr("what podman has begun");
    running.signal(Signal::INT);
    running.wait_for_stderr("still waiting for podman");
    let outcome = running.end().expect(130);
    assert_eq!(outcome.open_calls(), [0; 0], "the stop ended by itself");
    outcome.says("left running: ");
    outcome.says("stopped: EmotionEngine");
    fixture.run(&["down"]).expect(0);
}

#[test]
fn a_third_ctrl_c_leaves_podman_to_itself() {
    let fixture = Fixture::deployed();
    let tool = fixture.tool(&["down", "--jobs", "1"]);
    let running = tool.fail(&["stop emotion-engine=hold"]).start();
    running.wait_for_call("stop --time 1 emotion-engine");
    for words in ["what podman has begun", "once more", "by itself"] {
        running.signal(Signal::INT);
        running.wait_for_stderr(words);
    }
    let outcome = running.end().expect(130);
    let [pid] = outcome.open_calls()[..] else {
        panic!("{:?}", outcome.open_calls())
    };
    assert!(
        Path::new(&format!("/proc/{pid}")).exists(),
        "podman works on"
    );
    fixture.write("podman/released", "");
    wait_until("the stop", || {
        fixture
            .containers()
            .contains(&("emotion-engine".into(), "exited".into()))
    });
    fixture.run(&["down"]).expect(0);
}

/// The terminal is closed: nobody can read stderr any more, and the signal comes
/// more than once.
#[test]
fn a_closed_terminal_puts_a_stopped_agent_back() {
    let fixture = Fixture::deployed();
    fixture.edit_manifest("MODE = \"plain\"", "MODE = \"new\"");
    let tool = fixture.tool(&["deploy", "--settle", "0s", "--jobs", "1"]);
    let tool = tool.nobody_reads_stderr();
    let running = tool.fail(&["stop coordinator-agent=slow:600"]).start();
    running.wait_for_call("stop --time 1 coordinator-agent");
    for _ in 0..4 {
        running.signal(Signal::HUP);
    }
    let outcome = running.end();
    assert_eq!(outcome.code, 130);
    let changes = outcome.changes();
    assert_eq!(
        changes.last().map(String::as_str),
        Some("start coordinator-agent")
    );
    let state = fixture.state();
    let line = state["containers"]["coordinator-agent"]["create"].to_string();
    assert!(line.contains("MODE=plain"), "{line}");
    assert_eq!(state["containers"]["coordinator-agent"]["state"], "running");
    fixture.deploy().expect(0);
    fixture.assert_whole();
}

#[test]
fn ctrl_c_while_an_old_container_is_stopped_puts_it_back() {
    let fixture = Fixture::deployed();
    fixture.edit_manifest("MODE = \"plain\"", "MODE = \"new\"");
    let tool = fixture.tool(&["deploy", "--settle", "0s", "--jobs", "1"]);
    let running = tool.fail(&["stop coordinator-agent=slow:600"]).start();
    running.wait_for_call("stop --time 1 coordinator-agent");
    running.signal(Signal::INT);
    let outcome = running.end().expect(130);
    golden::check("interrupt_stop", &fixture, &outcome);
    fixture.deploy().expect(0);
    fixture.assert_whole();
}

#[test]
fn ctrl_c_while_podman_is_asked_about_itself() {
    let fixture = Fixture::new();
    let running = fixture.tool(&["deploy"]).fail(&["info=hang"]).start();
    running.wait_for_call("info");
    running.signal(Signal::TERM);
    let outcome = running.end().expect(130);
    outcome.says("hint: nothing was started");
    assert_no_fake_left(&outcome);
}

#[test]
fn ctrl_c_during_a_replacement_restores_what_ran_before() {
    let fixture = Fixture::deployed();
    fixture.edit_manifest("MODE = \"plain\"", "MODE = \"new\"");
    fixture.set_health("CoordinatorAgent", Health::GoodUnless("MODE=new"));
    let running = fixture.tool(&["deploy", "--jobs", "1"]).start();
    running.wait_for_call("start coordinator-agent");
    wait_for_gate(&running);
    running.signal(Signal::INT);
    running.end().expect(130);
    fixture.assert_whole();
    let line = fixture.state()["containers"]["coordinator-agent"]["create"].to_string();
    assert!(line.contains("MODE=plain"), "{line}");
}

#[test]
fn a_second_run_waits_or_gives_up() {
    let fixture = Fixture::built();
    let tool = fixture.tool(&["deploy", "--settle", "0s", "--jobs", "1"]);
    let first = tool.fail(&["start system-digital-twin=hold"]).start();
    first.wait_for_call("start system-digital-twin");
    let outcome = fixture.run(&["deploy", "--lock-timeout", "0s"]).expect(10);
    golden::check("interrupt_locked", &fixture, &outcome);
    let second = fixture.tool(&["deploy", "--settle", "0s"]).start();
    second.wait_for_stderr("waiting for another run to end: deploy (process ");
    // Looking is allowed meanwhile.
    fixture.run(&["deploy", "--dry-run"]).expect(0);
    fixture.run(&["status"]).expect(0);
    fixture.write("podman/released", "");
    let (first, second) = (first.end().expect(0), second.end().expect(0));
    // The journal is common to both runs, and the last look is the second's.
    first.position("start emotion-engine");
    let begun: Vec<String> = second.calls();
    let last_start = begun.iter().rposition(|call| call.starts_with("start "));
    let looks = begun
        .iter()
        .rposition(|call| call.starts_with("network ls"));
    assert!(
        looks > last_start,
        "the second run did not wait: {begun:#?}"
    );
    assert!(
        second.stdout.starts_with("nothing to do"),
        "{}",
        second.stdout
    );
}

/// The tool looks at the containers again when an agent keeps it waiting.
fn wait_for_gate(running: &Running) {
    wait_until("the gate", || {
        let journal = running.journal();
        let looks = journal.iter().filter_map(|entry| entry.begin.as_ref());
        looks.filter(|words| words[0] == "ps").count() > 1
    });
}

#[track_caller]
fn assert_no_fake_left(outcome: &Outcome) {
    for pid in outcome.open_calls() {
        let process = format!("/proc/{pid}");
        assert!(!Path::new(&process).exists(), "process {pid} is left");
    }
}
