//! Which runs wait for which, and for what of a run that was killed.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{fixture::Fixture, tool::wait_until};

const WAITS: &str = "waiting for the podman calls of a run that was killed";

/// One podman, one lock, whatever the environment says of caches and homes.
#[test]
fn another_cache_is_no_way_around_the_lock() {
    let fixture = Fixture::built();
    let tool = fixture.tool(&["deploy", "--settle", "0s"]);
    let first = tool.fail(&["start system-digital-twin=hold"]).start();
    first.wait_for_call("start system-digital-twin");
    let elsewhere = fixture.path("elsewhere");
    for name in ["XDG_CACHE_HOME", "XDG_STATE_HOME", "HOME"] {
        let second = fixture.tool(&["down", "--lock-timeout", "0s"]);
        let second = second.env(name, &elsewhere).expect(10);
        second.says("another run is changing `trial`: deploy (process ");
    }
    fixture.write("podman/released", "");
    first.end().expect(0);
}

/// A podman elsewhere keeps what it has on another machine; the lock hangs on
/// the user then.
#[test]
fn a_remote_podman_has_a_lock_as_well() {
    let fixture = Fixture::built();
    let home = fixture.path("known");
    fs::create_dir(&home).expect("a folder");
    let line = format!("somebody:x:$2:0::{}:/bin/sh", home.display());
    fixture.script("getent", &format!("echo {line}"));
    let deploy = |cache: &str| {
        let tool = fixture.tool(&["deploy", "--lock-timeout", "0s", "--settle", "0s"]);
        tool.env("FAKE_PODMAN_REMOTE", "1")
            .env("XDG_CACHE_HOME", fixture.path(cache))
    };
    let first = deploy("cache-a").fail(&["start system-digital-twin=hold"]);
    let first = first.start();
    first.wait_for_call("start system-digital-twin");
    deploy("cache-b").expect(10);
    fixture.write("podman/released", "");
    first.end().expect(0);
}

/// In an incident nobody waits for a build.
#[test]
fn a_build_holds_up_builds_alone() {
    let fixture = Fixture::deployed();
    let tool = fixture.tool(&["build-images", "--force"]);
    let build = tool.fail(&["build=hold"]).start();
    build.wait_for_call("build --tag");
    let now = ["--lock-timeout", "0s"];
    let refused = fixture.run(&[&["build-images"][..], &now].concat());
    let says = "another run is changing the images of `trial`: build-images (process ";
    refused.expect(10).says(says);
    let refused = fixture.run(&[&["up"][..], &now].concat()).expect(10);
    refused.says(says);
    let refused = fixture.run(&[&["down", "--images"][..], &now].concat());
    refused.expect(10).says(says);
    fixture
        .run(&[&["deploy", "--settle", "0s"][..], &now].concat())
        .expect(0);
    fixture.run(&[&["down"][..], &now].concat()).expect(0);
    fixture.write("podman/released", "");
    build.end().expect(0);
}

#[test]
fn a_follower_of_logs_is_not_waited_for() {
    let fixture = Fixture::deployed();
    // Only logs of a podman elsewhere are read through it.
    let logs = ["logs", "--follow", "EmotionEngine", "--connection", "far"];
    let logs = fixture.tool(&logs).env("FAKE_PODMAN_REMOTE", "1");
    let logs = logs.fail(&["logs --follow=hang"]).start();
    wait_until("the follower", || {
        let begun = logs.journal().into_iter().filter_map(|entry| entry.begin);
        begun
            .map(|words| words.join(" "))
            .any(|call| call.contains("--follow"))
    });
    let left = leave_a_stop(&fixture);
    fixture.write("podman/released", "");
    // A zombie has ended, too.
    let environment = |pid: &i32| fs::read(format!("/proc/{pid}/environ"));
    let ended = |pid: &i32| environment(pid).unwrap_or_default().is_empty();
    wait_until("the stop", || left.iter().all(ended));
    let started = Instant::now();
    let next = fixture.deploy().expect(0);
    assert!(started.elapsed() < Duration::from_secs(20));
    assert!(!next.stderr.contains(WAITS), "{}", next.stderr);
    logs.signal(Signal::INT);
    logs.end();
}

#[test]
fn a_change_of_a_run_that_was_killed_is_waited_for() {
    let fixture = Fixture::deployed();
    leave_a_stop(&fixture);
    let next = fixture.tool(&["deploy", "--settle", "0s"]).start();
    next.wait_for_stderr(WAITS);
    fixture.write("podman/released", "");
    next.end().expect(0);
    fixture.assert_whole();
}

/// Leaves a call behind that goes on without the tool.
fn leave_a_stop(fixture: &Fixture) -> Vec<i32> {
    let tool = fixture.tool(&["deploy", "CoordinatorAgent", "--recreate", "--no-deps"]);
    let running = tool.fail(&["stop coordinator-agent=hold"]).start();
    running.wait_for_call("stop");
    running.abandon()
}
