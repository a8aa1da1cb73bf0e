//! Ctrl-C and kill at any moment: no half-started child is left, and the next
//! run completes.

use std::{process::Command, time::Duration};

use super::support::{INTERRUPTED, Small, containers_of, podman};

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn ctrl_c_in_a_build_ends_what_the_build_runs() {
    let small = Small::new(21);
    let marker = "sleep 1234.5";
    small.containerfile(&format!("RUN {marker}"));
    let working = || {
        podman(&["ps", "--all", "--external", "--format", "{{.ID}}"])
            .lines()
            .count()
    };
    let before = working();
    let mut child = small.start(&["build-images"]);
    child.until("the build runs its command", || running(marker));
    child.signal("-INT");
    let ended = child.finish().expect(INTERRUPTED);
    ended.says(&["interrupted", "run the same command again"]);
    assert!(!running(marker), "the build's command still runs");
    assert_eq!(
        working(),
        before,
        "a working container of the build is left"
    );
    small.containerfile("");
    small.run(&["build-images"]).expect(0);
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn ctrl_c_in_a_deployment_leaves_whole_containers() {
    let small = Small::new(22);
    small.manifest(["ok", "slow", "ok", "ok"], "start_attempts = 1");
    let mut child = small.start(&["deploy", "--settle", "0s"]);
    let second = small.container(1);
    child.until("the second agent runs", || state(&second) == "running");
    child.signal("-INT");
    let ended = child.finish().expect(INTERRUPTED);
    assert!(ended.took < Duration::from_secs(20), "{:?}", ended.took);
    ended.says(&["left running: First"]);
    let call = format!("podman .*{}", small.name);
    assert!(!running(&call), "a podman call is left");
    small.manifest(["ok"; 4], "");
    small.run(&["deploy", "--settle", "0s"]).expect(0);
    assert_eq!(small.statuses(), ["healthy"; 4]);
    assert_eq!(containers_of(&small.name).len(), 4);
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn a_kill_in_the_middle_of_a_replacement_is_repaired_by_the_next_run() {
    let small = Small::new(23);
    small.run(&["deploy", "--settle", "0s"]).expect(0);
    for (round, delay_ms) in [150, 400, 650, 900, 1300, 1800].into_iter().enumerate() {
        small.manifest(["ok"; 4], &format!("env = {{ ROUND = \"{round}\" }}"));
        let child = small.start(&["deploy", "--settle", "0s"]);
        std::thread::sleep(Duration::from_millis(delay_ms));
        child.signal("-KILL");
        child.finish();
        small.run(&["deploy", "--settle", "0s"]).expect(0);
        assert_eq!(
            small.statuses(),
            ["healthy"; 4],
            "killed after {delay_ms} ms"
        );
        assert_eq!(
            containers_of(&small.name).len(),
            4,
            "killed after {delay_ms} ms"
        );
        let round = round.to_string();
        let env = podman(&["exec", &small.container(3), "printenv", "ROUND"]);
        assert_eq!(env.trim(), round);
    }
}

/// A process whose command line starts with `text` exists.
fn running(text: &str) -> bool {
    let output = Command::new("pgrep")
        .args(["--full", &format!("^{text}")])
        .output()
        .unwrap();
    output.status.success()
}

fn state(container: &str) -> String {
    let output = Command::new("podman")
        .args(["inspect", "--format", "{{.State.Status}}", container])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
