//! Tests in a copy of the reference system: nothing of the copy stays, however
//! the run ends, and what is deployed beside it does not notice.

use std::fs;

use super::support::{INTERRUPTED, Running, containers_of, podman, run, xtask};

/// Name of the copy.
const COPY: &str = "ai-system-test";
const SUITE: [&str; 3] = [
    "test-integration",
    "--isolated",
    "inter-service-communication",
];

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

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn a_copy_is_removed_however_its_run_ends() {
    // What the run itself builds first is no part of this.
    run(xtask(&["build-images"])).expect(0);
    let before = podman(&["ps", "--all", "--format", "{{.ID}} {{.Status}}"])
        .lines()
        .count();

    let mut killed = Running::start(xtask(&SUITE));
    killed.until("agents of the copy run", || containers_of(COPY).len() >= 4);
    killed.signal("-KILL");
    killed.finish();
    assert!(!left().is_empty());

    let mut interrupted = Running::start(xtask(&SUITE));
    // Not those of the run before.
    interrupted.until("the copy is deployed anew", || {
        left()
            .iter()
            .any(|name| name.starts_with("ai-system-test-test-"))
    });
    interrupted.signal("-INT");
    interrupted.finish().expect(INTERRUPTED);
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
