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
        .fail(&["build localhost/trial-audio:latest=hang"])
        .start();
    running.wait_for_call("build --tag localhost/trial-audio:latest");
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

#[test]
fn a_second_ctrl_c_ends_a_call_that_hangs() {
    let fixture = Fixture::built();
    let tool = fixture.tool(&["deploy", "--jobs", "1"]);
    let running = tool.fail(&["start system-digital-twin=hang"]).start();
    running.wait_for_call("start system-digital-twin");
    running.signal(Signal::INT);
    running.wait_for_stderr("press Ctrl-C again");
    running.signal(Signal::INT);
    let outcome = running.end().expect(130);
    assert_no_fake_left(&outcome);
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
    let tool = fixture.tool(&["deploy", "--settle", "0s"]);
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
