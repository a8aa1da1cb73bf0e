//! Agents that behave and agents that do not: what `deploy` says, what stays
//! up, and that the next run completes.

use std::{net::TcpListener, time::Duration};

use super::support::{AGENTS, DEPLOY_FAILED, NOT_READY, Small, UNHEALTHY, containers_of, podman};

/// How the second agent misbehaves, what is said about it, and the status
/// that `health-check` gives it afterwards.
const SICK: [(&str, &[&str], &str); 5] = [
    (
        "exits",
        &["exited with code 1", "RuntimeError: no configuration found"],
        "exited",
    ),
    (
        "exits-0",
        &["exited with code 0", "nothing to do"],
        "exited",
    ),
    (
        "silent",
        &["listens on no port", "thinking for ever"],
        "exited",
    ),
    (
        "error",
        &["database is down", "healthy is a JSON reply"],
        "exited",
    ),
    (
        "wrong-port",
        &["listens on ", "set `health_port` of Second"],
        "exited",
    ),
];

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn a_sick_agent_ends_the_deployment_with_its_own_message() {
    let small = Small::new(1);
    for (mode, said, status) in SICK {
        small.manifest(["ok", mode, "ok", "ok"], "");
        let ended = small
            .run(&["deploy", "--settle", "0s"])
            .expect(DEPLOY_FAILED);
        assert!(
            ended.took < Duration::from_secs(30),
            "{mode} took {:?}",
            ended.took
        );
        let ended = ended.says(said);
        ended.says(&[
            "error: Second is not healthy",
            "blocks 2: Third, Fourth",
            "hint: ",
        ]);
        assert_eq!(
            small.statuses(),
            ["healthy", status, "exited", "exited"],
            "{mode}"
        );
        // Once the cause is gone the next run completes.
        small.manifest(["ok"; 4], "");
        small.run(&["deploy", "--settle", "0s"]).expect(0);
        assert_eq!(small.statuses(), ["healthy"; 4], "{mode}");
        small.run(&["down"]).expect(0);
    }
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn an_agent_that_dies_in_the_settle_window_fails_the_deployment() {
    let small = Small::new(2);
    small.manifest(["ok", "ok", "dies", "ok"], "");
    let ended = small
        .run(&["deploy", "--settle", "4s"])
        .expect(DEPLOY_FAILED);
    ended.says(&["Third is not healthy: exited with code 0", "lost my mind"]);
    small.manifest(["ok"; 4], "");
    small.run(&["deploy", "--settle", "1s"]).expect(0);
    assert_eq!(containers_of(&small.name).len(), 4);
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn a_taken_port_is_named_with_its_owner() {
    let small = Small::new(3);
    let port = small.port(1);
    let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let ended = small.run(&["deploy", "--settle", "0s"]).expect(NOT_READY);
    let owner = format!("(process {})", std::process::id());
    ended.says(&[
        &format!("port {port}, which Second publishes, is taken"),
        &owner,
    ]);
    // Agents that need nothing of it are none the worse for it.
    assert_eq!(containers_of(&small.name), [small.container(0)]);
    drop(taken);
    small.run(&["deploy", "--settle", "0s"]).expect(0);
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn a_failed_replacement_restores_the_container_that_ran() {
    let small = Small::new(4);
    small.run(&["deploy", "--settle", "0s"]).expect(0);
    let id = || podman(&["inspect", "--format", "{{.Id}}", &small.container(1)]);
    let before = id();
    small.manifest(["ok", "exits", "ok", "ok"], "");
    let ended = small
        .run(&["deploy", "--settle", "0s"])
        .expect(DEPLOY_FAILED);
    ended.says(&["the container that ran before has been restored"]);
    assert_eq!(id(), before);
    assert_eq!(small.statuses(), ["healthy"; 4]);
    assert_eq!(containers_of(&small.name).len(), 4);
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn the_second_deployment_only_looks() {
    let small = Small::new(5);
    small.run(&["deploy", "--settle", "0s"]).expect(0);
    let ended = small
        .run(&["--verbose", "deploy"])
        .expect(0)
        .says(&["nothing to do: 4 agents"]);
    let calls: Vec<&str> = ended
        .stderr
        .lines()
        .filter(|line| line.starts_with("$ "))
        .collect();
    assert!(calls.len() <= 3, "{calls:?}");
    for call in &calls {
        let looks = ["ps --all", "images --format", "network ls"]
            .iter()
            .any(|verb| call.contains(verb));
        assert!(looks, "{call}");
    }
    eprintln!(
        "a deployment with nothing to do: {:?}, {} podman calls",
        ended.took,
        calls.len()
    );
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn printed_commands_make_the_same_system() {
    let small = Small::new(6);
    let script = small
        .run(&["deploy", "--dry-run", "--settle", "0s"])
        .expect(0)
        .stdout;
    assert_eq!(containers_of(&small.name), Vec::<String>::new());
    let mut shell = std::process::Command::new("sh");
    shell.args(["-e", "-c", &script]);
    super::support::run(shell).expect(0);
    super::support::until("all agents answer", || small.statuses() == ["healthy"; 4]);
    small
        .run(&["deploy"])
        .expect(0)
        .says(&["nothing to do: 4 agents"]);
    let images = small
        .run(&["build-images", "--dry-run", "--force"])
        .expect(0)
        .stdout;
    let mut shell = std::process::Command::new("sh");
    shell.args(["-e", "-c", &images]);
    super::support::run(shell).expect(0);
    small
        .run(&["build-images"])
        .expect(0)
        .says(&["0 built, 2 unchanged"]);
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn a_killed_agent_is_reported_as_exited_and_started_again() {
    let small = Small::new(7);
    small.run(&["deploy", "--settle", "0s"]).expect(0);
    podman(&["kill", &small.container(2)]);
    let ended = small
        .run(&["health-check", "--format", "json"])
        .expect(UNHEALTHY);
    let json = ended.json();
    assert_eq!((&json["healthy"], &json["total"]), (&3.into(), &4.into()));
    assert_eq!(json["agents"][2]["name"], AGENTS[2]);
    assert_eq!(json["agents"][2]["status"], "exited");
    small
        .run(&["deploy", "--settle", "0s"])
        .expect(0)
        .says(&["1 deployed, 3 unchanged"]);
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn down_keeps_data_and_what_is_not_ours() {
    let small = Small::new(8);
    small.run(&["deploy", "--settle", "0s"]).expect(0);
    let write = [
        "exec",
        &small.container(0),
        "sh",
        "-c",
        "echo kept > /app/logs/note",
    ];
    podman(&write);
    small.run(&["down", "--networks"]).expect(0);
    assert_eq!(containers_of(&small.name), Vec::<String>::new());
    let networks = podman(&["network", "ls", "--format", "{{.Name}}"]);
    assert!(!networks.contains(&small.name), "{networks}");
    // A container of the same name that somebody else made.
    let foreign = small.container(1);
    podman(&[
        "create",
        "--name",
        &foreign,
        "localhost/ai-system/ai-system-core:latest",
        "true",
    ]);
    small
        .run(&["deploy", "--settle", "0s"])
        .expect(11)
        .says(&["did not create has it", &foreign]);
    small.run(&["down"]).expect(0);
    podman(&["container", "exists", &foreign]);
    podman(&["rm", &foreign]);
    small.run(&["deploy", "--settle", "0s"]).expect(0);
    let note = podman(&["exec", &small.container(3), "cat", "/app/logs/note"]);
    assert_eq!(note, "kept\n");
}
