//! `doctor` on real podman: agents that are broken in six ways and more, the
//! right cause for each, and in time.

use std::{fs, time::Duration};

use serde_json::Value;

use super::support::{DEPLOY_FAILED, Small, UNHEALTHY};

/// No agent takes longer to look at.
const IN_TIME: Duration = Duration::from_secs(5);

/// How the second agent is broken, how `deploy --keep` and `doctor` end, and the
/// cause with a word of its title or evidence.
const BROKEN: [(&str, i32, i32, &str, &str); 9] = [
    (
        "imports",
        DEPLOY_FAILED,
        UNHEALTHY,
        "import-failed",
        "No module named 'lost_imports'",
    ),
    (
        "wrong-port",
        DEPLOY_FAILED,
        UNHEALTHY,
        "wrong-port",
        "listens on ",
    ),
    (
        "mute",
        DEPLOY_FAILED,
        UNHEALTHY,
        "silent",
        "no reply in time",
    ),
    (
        "eats",
        DEPLOY_FAILED,
        UNHEALTHY,
        "out-of-memory",
        "limit is 64 MB",
    ),
    (
        "needs-peers",
        DEPLOY_FAILED,
        UNHEALTHY,
        "peer-unreachable",
        "First at 10.231.",
    ),
    ("no-model", 0, 0, "model-missing", "an empty folder"),
    (
        "silent",
        DEPLOY_FAILED,
        UNHEALTHY,
        "no-listener",
        "no listener",
    ),
    (
        "loopback",
        DEPLOY_FAILED,
        UNHEALTHY,
        "loopback-only",
        "127.0.0.1 only",
    ),
    ("exits-0", DEPLOY_FAILED, UNHEALTHY, "ended", "code 0"),
];

/// The second agent has an empty folder for models.
fn manifest(small: &Small, modes: [&str; 4]) {
    small.manifest(modes, "");
    let file = small.manifest_path();
    let text = fs::read_to_string(&file).unwrap();
    let mount = "mounts = [{ host = \"models\", target = \"/app/models\", read_only = true }]";
    let line = "depends_on = [\"First\"]\n";
    fs::write(file, text.replace(line, &format!("{line}{mount}\n"))).unwrap();
}

fn agent<'j>(json: &'j Value, name: &str) -> &'j Value {
    let agents = json["agents"].as_array().unwrap();
    agents.iter().find(|agent| agent["name"] == name).unwrap()
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn each_broken_agent_has_its_cause() {
    let small = Small::new(40);
    fs::create_dir_all(small.path().join("monorepo/models")).unwrap();
    for (mode, deployed, code, cause, word) in BROKEN {
        let first = if mode == "needs-peers" {
            "no-main-port"
        } else {
            "ok"
        };
        manifest(&small, [first, mode, "ok", "ok"]);
        small.run(&["deploy", "First", "--settle", "0s"]).expect(0);
        let keep = ["deploy", "Second", "--no-deps", "--keep", "--settle", "0s"];
        small.run(&keep).expect(deployed);
        let ended = small
            .run(&["doctor", "Second", "--format", "json"])
            .expect(code);
        eprintln!("doctor, {mode}: {:?}", ended.took);
        assert!(ended.took < IN_TIME, "{mode} took {:?}", ended.took);
        let json = ended.json();
        let second = agent(&json, "Second");
        let found = &second["causes"][0];
        assert_eq!(found["id"], cause, "{mode}: {second:#}");
        let said = format!("{} {}", found["title"], found["evidence"]);
        assert!(said.contains(word), "{mode}: {said}");
        assert!(found["next"].as_str().is_some_and(|next| !next.is_empty()));
        if mode == "needs-peers" {
            // The root is the peer, although nobody asked for it.
            let root = &json["blocks"][0];
            assert_eq!(
                (&root["agent"], &root["asked"]),
                (&"First".into(), &false.into())
            );
            assert_eq!(root["cause"]["id"], "main-port-closed");
        }
        small.run(&["down", "Second"]).expect(0);
    }
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn healthy_agents_are_well_in_every_check() {
    let small = Small::new(41);
    small.run(&["deploy", "--settle", "0s"]).expect(0);
    let ended = small.run(&["doctor", "--format", "json"]).expect(0);
    let json = ended.json();
    for agent in json["agents"].as_array().unwrap() {
        assert_eq!(agent["verdict"], "healthy", "{agent:#}");
        let checks = agent["checks"].as_array().unwrap();
        let bad: Vec<&Value> = checks.iter().filter(|check| check["ok"] == false).collect();
        assert!(bad.is_empty(), "{bad:#?}");
        for id in [
            "container",
            "ports",
            "health",
            "peers",
            "limits",
            "image",
            "imports",
        ] {
            assert!(
                checks.iter().any(|check| check["id"] == id),
                "{id}: {agent:#}"
            );
        }
    }
    assert!(ended.took < 2 * IN_TIME, "{:?}", ended.took);
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn a_root_that_blocks_others_is_told_once() {
    let small = Small::new(42);
    small.manifest(["exits", "ok", "ok", "ok"], "");
    small
        .run(&["deploy", "--settle", "0s"])
        .expect(DEPLOY_FAILED);
    let ended = small.run(&["doctor"]).expect(UNHEALTHY);
    assert!(ended.took < IN_TIME, "{:?}", ended.took);
    let text = &ended.stdout;
    assert_eq!(
        text.matches("blocks 3: Second, Third, Fourth").count(),
        1,
        "{text}"
    );
    assert_eq!(text.matches("most likely: ").count(), 1, "{text}");
    assert!(
        text.contains("RuntimeError: no configuration found"),
        "{text}"
    );

    // A peer that goes away later blocks those that are healthy without it.
    small.manifest(["ok"; 4], "");
    small.run(&["deploy", "--settle", "0s"]).expect(0);
    super::support::podman(&["stop", "--time", "1", &small.container(0)]);
    let json = small
        .run(&["doctor", "--format", "json"])
        .expect(UNHEALTHY)
        .json();
    assert_eq!(json["blocks"].as_array().unwrap().len(), 1, "{json:#}");
    assert_eq!(json["blocks"][0]["cause"]["id"], "stopped", "{json:#}");
    assert_eq!(json["blocks"][0]["blocks"], serde_json::json!(["Second"]));
    assert_eq!(agent(&json, "Second")["verdict"], "limited");
    assert_eq!(agent(&json, "Third")["verdict"], "healthy");
}

/// After a deployment that failed the container is stopped, which is no crash.
#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn what_a_failed_deployment_stopped_is_no_crash() {
    let small = Small::new(43);
    small.manifest(["silent", "ok", "ok", "ok"], "");
    small
        .run(&["deploy", "First", "--settle", "0s"])
        .expect(DEPLOY_FAILED);
    let json = small
        .run(&["doctor", "First", "--format", "json"])
        .expect(UNHEALTHY)
        .json();
    let found = &agent(&json, "First")["causes"][0];
    assert_eq!(found["id"], "stopped", "{json:#}");
    assert!(
        found["next"]
            .as_str()
            .unwrap()
            .contains("deploy First --keep"),
        "{found:#}"
    );
}
