//! Tests in a copy of the reference system: nothing of the copy stays, however
//! the run ends, and what is deployed beside it does not notice.

use std::{
    fs,
    process::{Child, Stdio},
    time::Instant,
};

use super::support::{INTERRUPTED, containers_of, finish, podman, run, signal, until, xtask};

/// Name of the copy.
const COPY: &str = "ai-system-test";
const SUITE: [&str; 3] = [
    "test-integration",
    "--isolated",
    "inter-service-communication",
];

fn start() -> Child {
    let mut command = xtask(&SUITE);
    let command = command.stdin(Stdio::null());
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Containers, networks and volumes of the copy.
fn left() -> Vec<String> {
    let mut left = containers_of(COPY);
    left.extend(
        podman(&[
            "ps",
            "--all",
            "--filter",
            "label=ai-system.test",
            "--format",
            "{{.Names}}",
        ])
        .lines()
        .map(str::to_owned),
    );
    let networks = podman(&["network", "ls", "--format", "{{.Name}}"]);
    left.extend(
        networks
            .lines()
            .filter(|name| name.ends_with("-test"))
            .map(str::to_owned),
    );
    let volumes = podman(&["volume", "ls", "--format", "{{.Name}}"]);
    left.extend(
        volumes
            .lines()
            .filter(|name| name.starts_with(COPY))
            .map(str::to_owned),
    );
    left
}

fn some_run() {
    until("agents of the copy run", || containers_of(COPY).len() >= 4);
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn a_copy_is_removed_however_its_run_ends() {
    // What the run itself builds first is no part of this.
    run(xtask(&["build-images"])).expect(0);
    let before = podman(&["ps", "--all", "--format", "{{.ID}} {{.Status}}"])
        .lines()
        .count();

    let started = Instant::now();
    let killed = start();
    some_run();
    signal(&killed, "-KILL");
    finish(killed, started);
    assert!(!left().is_empty());

    let started = Instant::now();
    let interrupted = start();
    // Not those of the run before.
    until("the copy is deployed anew", || {
        left()
            .iter()
            .any(|name| name.starts_with("ai-system-test-test-"))
    });
    signal(&interrupted, "-INT");
    finish(interrupted, started).expect(INTERRUPTED);
    assert_eq!(left(), Vec::<String>::new());

    let ended = run(xtask(&SUITE)).expect(0);
    ended.says(&["7 passed, 0 failed, 0 skipped"]);
    assert_eq!(left(), Vec::<String>::new());
    let after = podman(&["ps", "--all", "--format", "{{.ID}} {{.Status}}"])
        .lines()
        .count();
    assert_eq!(after, before);
    let report = super::support::repository().join("target/test-results/integration/all.xml");
    assert!(
        fs::read_to_string(report)
            .unwrap()
            .contains("inter-service-communication")
    );
}
