//! Updates on real podman: one that fails goes back as a whole, and ports and
//! addresses pass from one agent to another.

use std::{
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use super::support::{AGENTS, DEPLOY_FAILED, Small, containers_of, podman};

fn ids(small: &Small) -> Vec<String> {
    let id = |index| podman(&["inspect", "--format", "{{.Id}}", &small.container(index)]);
    (0..AGENTS.len()).map(id).collect()
}

/// How long nobody listened at a port meanwhile, each time.
fn outages<T>(port: u16, work: impl FnOnce() -> T) -> (T, Vec<Duration>) {
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut found = Vec::new();
            let mut since = None;
            while !ended.load(Ordering::Relaxed) {
                match (TcpStream::connect(("127.0.0.1", port)).is_ok(), since) {
                    (false, None) => since = Some(Instant::now()),
                    (true, Some(began)) => {
                        found.push(Instant::now() - began);
                        since = None;
                    }
                    _ => {}
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            found
        });
        let result = work();
        ended.store(true, Ordering::Relaxed);
        (result, watch.join().expect("it only looks"))
    })
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn an_update_that_answers_and_dies_later_gives_way_to_the_former_set() {
    let small = Small::new(40);
    small.run(&["deploy", "--settle", "0s"]).expect(0);
    let before = ids(&small);
    small.manifest(["ok", "ok", "dies", "ok"], "");
    small.agent_line("First", "memory_mb = 65");
    let started = Instant::now();
    let (ended, outages) = outages(small.port(0) + 1, || {
        small
            .run(&["deploy", "--settle", "4s"])
            .expect(DEPLOY_FAILED)
    });
    ended.says(&[
        "Third is not healthy: exited with code 0",
        "lost my mind",
        "the containers of before are back, and healthy: First, Third",
    ]);
    eprintln!(
        "the whole run took {:?}, First did not listen for {outages:?}",
        started.elapsed()
    );
    // Once while it is replaced, once while it is put back.
    assert!(
        outages
            .iter()
            .all(|outage| *outage < Duration::from_secs(5)),
        "{outages:?}"
    );
    assert_eq!(ids(&small), before, "the same containers, not new ones");
    assert_eq!(small.statuses(), ["healthy"; 4]);
    assert_eq!(containers_of(&small.name).len(), 4, "nothing is left over");
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn two_agents_change_places() {
    let small = Small::new(41);
    small.run(&["deploy", "--settle", "0s"]).expect(0);
    // First and Second, of which the second depends on the first, take each
    // other's ports and addresses.
    let text = std::fs::read_to_string(small.manifest_path()).unwrap();
    let subnet = small.first_port % 250;
    let (first, second) = (
        format!("port = {}\nip = \"10.231.{subnet}.10\"", small.port(0)),
        format!("port = {}\nip = \"10.231.{subnet}.11\"", small.port(1)),
    );
    assert!(text.contains(&first) && text.contains(&second));
    let swapped = text
        .replace(&first, "@")
        .replace(&second, &first)
        .replace('@', &second);
    std::fs::write(small.manifest_path(), &swapped).unwrap();
    small.run(&["deploy", "--settle", "0s"]).expect(0);
    assert_eq!(small.statuses(), ["healthy"; 4]);
    small
        .run(&["deploy", "--settle", "0s"])
        .expect(0)
        .says(&["nothing to do"]);

    // The same back, but Second fails: all are where they were.
    let before = ids(&small);
    let broken = text.replacen(
        "[groups.one.agents.Second]\nscript = \"code/agent.py\"\nargs = [\"ok\"]",
        "[groups.one.agents.Second]\nscript = \"code/agent.py\"\nargs = [\"exits\"]",
        1,
    );
    assert_ne!(broken, text);
    std::fs::write(small.manifest_path(), broken).unwrap();
    small
        .run(&["deploy", "--settle", "0s"])
        .expect(DEPLOY_FAILED)
        .says(&["the containers of before are back, and healthy: First, Second"]);
    assert_eq!(ids(&small), before);
    std::fs::write(small.manifest_path(), swapped).unwrap();
    assert_eq!(small.statuses(), ["healthy"; 4]);
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn a_renamed_agent_takes_over_what_it_had() {
    let small = Small::new(42);
    small.run(&["deploy", "--settle", "0s"]).expect(0);
    let text = std::fs::read_to_string(small.manifest_path()).unwrap();
    let renamed = text
        .replace("agents.Fourth]", "agents.Last]")
        .replace(&small.container(3), &format!("{}-last", small.name));
    std::fs::write(small.manifest_path(), &renamed).unwrap();
    small.run(&["deploy", "--settle", "0s"]).expect(11).says(&[
        "Last needs port",
        "of Fourth holds",
        "--prune",
    ]);
    let ended = small
        .run(&["deploy", "--settle", "0s", "--prune"])
        .expect(0);
    assert!(ended.took < Duration::from_secs(60));
    let names = containers_of(&small.name);
    assert!(!names.contains(&small.container(3)), "{names:?}");
    assert_eq!(small.statuses(), ["healthy"; 4]);
    small
        .run(&["deploy", "--settle", "0s"])
        .expect(0)
        .says(&["nothing to do"]);
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn two_deployments_back_code_and_configuration_are_what_they_were() {
    let small = Small::new(44);
    let code = small.path().join("monorepo/code/version.txt");
    let deployed = |code_text: &str, memory_mb: u32| {
        std::fs::write(&code, code_text).unwrap();
        small.manifest(["ok"; 4], "");
        small.agent_line("First", &format!("memory_mb = {memory_mb}"));
        small.run(&["up", "--settle", "0s"]).expect(0);
        let history = small.run(&["history", "--format", "json"]).expect(0).json();
        history["deployments"][0]["number"].to_string()
    };
    let runs = || {
        let container = small.container(0);
        let code = podman(&["exec", &container, "cat", "/app/code/version.txt"]);
        let memory = ["inspect", "--format", "{{.HostConfig.Memory}}", &container];
        (code, podman(&memory).trim().to_owned())
    };
    let first = deployed("one", 65);
    let before = runs();
    deployed("two", 65);
    deployed("three", 66);
    assert_eq!(runs(), ("three".to_owned(), (66 << 20).to_string()));
    // Nothing of the manifest or of the code is what it was.
    small.run(&["rollback", &first, "--settle", "2s"]).expect(0);
    assert_eq!(runs(), before);
    assert_eq!(before, ("one".to_owned(), (65 << 20).to_string()));
    assert_eq!(small.statuses(), ["healthy"; 4]);
    small
        .run(&["rollback", &first, "--settle", "0s"])
        .expect(0)
        .says(&["nothing to do"]);
}
