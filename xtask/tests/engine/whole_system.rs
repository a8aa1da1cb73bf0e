//! The manifest that users get, deployed beside whatever runs already: other
//! names, subnets and loopback ports, everything else as it is written.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use serde_json::Value;

use super::support::{UNHEALTHY, containers_of, podman, repository, run, xtask};

const SYSTEM: &str = "xtask-engine-whole";
/// Added to every published port; the sums stay below the ports that the
/// kernel gives to outgoing connections.
const PORT_SHIFT: u16 = 3_000;

/// The project's manifest under another name, removed when dropped. It must
/// stand beside the original, whose paths it shares.
pub struct Copy(PathBuf);

impl Copy {
    pub fn new(repository: &std::path::Path) -> Self {
        let original = fs::read_to_string(repository.join("containers/system.toml")).unwrap();
        let path = repository.join("containers/engine-test.toml");
        fs::write(&path, renamed(&original)).unwrap();
        Copy(path)
    }

    pub fn path(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args([
                "--manifest",
                &self.path(),
                "down",
                "--networks",
                "--volumes",
            ])
            .output();
        fs::remove_file(&self.0).unwrap();
    }
}

fn renamed(manifest: &str) -> String {
    let mut text = String::new();
    for line in manifest.lines() {
        let line = line
            .replace("name = \"ai-system\"", &format!("name = \"{SYSTEM}\""))
            .replace("\"172.2", "\"10.23")
            .replace("-network\"", "-engine-test\"")
            .replace("-network]", "-engine-test]");
        text.push_str(&line);
        text.push('\n');
        let agent = line
            .split_once(".agents.")
            .map(|(_, rest)| rest.trim_end_matches(']'));
        if let Some(agent) = agent {
            text.push_str(&format!(
                "container = \"engine-test-{}\"\n",
                agent.to_lowercase()
            ));
        }
        if line.starts_with("backbone_offset") {
            text.push_str("restart = \"no\"\n");
        }
        for (key, host_key) in [
            ("port = ", "host_port"),
            ("health_port = ", "host_health_port"),
        ] {
            if let Some(port) = line.strip_prefix(key) {
                let port: u16 = port.parse().unwrap();
                text.push_str(&format!("{host_key} = {}\n", port + PORT_SHIFT));
            }
        }
    }
    text
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn eight_agents_become_healthy_and_stay_secure() {
    // Under the project's own name first, so that the images carry its label.
    let built = run(xtask(&["build-images"])).expect(0);
    eprintln!("images: {:?}\n{}", built.took, built.stdout);
    let copy = Copy::new(repository());
    let path = copy.path();
    let on = |args: &[&str]| {
        let mut all = vec!["--manifest", path.as_str()];
        all.extend(args);
        run(xtask(&all))
    };
    let first = on(&["up", "--settle", "5s"]).expect(0);
    eprintln!("{}{}", first.stderr, first.stdout);
    first.says(&["8 of 8 agents healthy"]);
    let again = || on(&["up"]).expect(0).says(&["nothing to do: 8 agents"]);
    // Other work may hold the cores in any of them.
    let took = [(); 3].map(|()| again().took);
    eprintln!("`up` again: {took:?}");
    let best = took.iter().min().unwrap();
    assert!(*best < Duration::from_secs(2), "`up` again took {took:?}");

    let containers = containers_of(SYSTEM);
    assert_eq!(containers.len(), 8);
    containers.iter().for_each(|container| inspect(container));
    let health = on(&["health-check", "--format", "json"]).expect(0).json();
    assert_eq!(
        (&health["schema"], &health["healthy"], &health["total"]),
        (&1.into(), &8.into(), &8.into())
    );
    let fields = ["name", "container", "status", "latency_ms", "reply"];
    for agent in health["agents"].as_array().unwrap() {
        assert!(
            fields.iter().all(|field| !agent[*field].is_null()),
            "{agent}"
        );
    }
    groups_meet_on_the_backbone_only();
    everyone_has_registered();

    podman(&["kill", "engine-test-emotionengine"]);
    let health = on(&["health-check", "--format", "json"])
        .expect(UNHEALTHY)
        .json();
    let engine = health["agents"]
        .as_array()
        .unwrap()
        .iter()
        .find(|agent| agent["name"] == "EmotionEngine");
    assert_eq!(engine.unwrap()["status"], "exited");
    on(&["down", "--networks"]).expect(0);
    assert!(containers_of(SYSTEM).is_empty());
    on(&["up", "--settle", "0s"])
        .expect(0)
        .says(&["8 of 8 agents healthy"]);
    // With the last container of an isolated network, podman opens the others.
    on(&["down", "system-services"]).expect(0);
    groups_meet_on_the_backbone_only();
    // One of the optional ones, which say that they have no model.
    on(&["deploy", "--settle", "0s", "PhiTranslationService"])
        .expect(0)
        .says(&["1 agents healthy"]);
}

fn inspect(container: &str) {
    let text = podman(&["inspect", container]);
    let json: Value = serde_json::from_str(&text).unwrap();
    let (config, host) = (&json[0]["Config"], &json[0]["HostConfig"]);
    for (port, bindings) in host["PortBindings"].as_object().unwrap() {
        for binding in bindings.as_array().unwrap() {
            assert_eq!(binding["HostIp"], "127.0.0.1", "{container} {port}");
        }
    }
    assert_eq!(
        host["PortBindings"].as_object().unwrap().len(),
        2,
        "{container}"
    );
    for kind in ["EffectiveCaps", "BoundingCaps"] {
        let none = json[0][kind].as_array().is_none_or(Vec::is_empty);
        assert!(none, "{container} {kind}: {}", json[0][kind]);
    }
    let options = host["SecurityOpt"].to_string();
    assert!(
        options.contains("no-new-privileges"),
        "{container} {options}"
    );
    assert_eq!(host["ReadonlyRootfs"], true, "{container}");
    assert_eq!(host["Init"], true, "{container}");
    assert!(host["Memory"].as_i64().unwrap() > 0, "{container}");
    assert!(host["PidsLimit"].as_i64().unwrap() > 0, "{container}");
    assert!(host["NanoCpus"].as_i64().unwrap() > 0, "{container}");
    let user = config["User"].as_str().unwrap();
    assert!(
        !["", "0", "root", "0:0"].contains(&user),
        "{container} runs as `{user}`"
    );
    for label in ["system", "agent", "group", "spec"] {
        assert!(
            config["Labels"][format!("ai-system.{label}")].is_string(),
            "{container} {label}"
        );
    }
    // What inspect says is what the process has.
    let status = podman(&["exec", container, "cat", "/proc/self/status"]);
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!(
        (field("CapEff:").as_str(), field("NoNewPrivs:").as_str()),
        ("0000000000000000", "1")
    );
    assert_ne!(field("Uid:"), "0");
    let tools = "for tool in gcc cc g++ ld uv; do command -v $tool || true; done";
    assert_eq!(
        podman(&["exec", container, "sh", "-c", tools]),
        "",
        "{container}"
    );
}

/// Runs Python in a container; `true` if a connection to `address` opens.
fn connects(container: &str, address: &str) -> bool {
    let (host, port) = address.rsplit_once(':').unwrap();
    let code = format!("import socket; socket.create_connection(('{host}', {port}), timeout=2)");
    let output = Command::new("podman")
        .args(["exec", container, "python3", "-c", &code])
        .output();
    output.unwrap().status.success()
}

fn groups_meet_on_the_backbone_only() {
    let (core, gpu) = ("engine-test-coordinatoragent", "engine-test-gottotagent");
    assert!(
        connects(gpu, "10.230.1.11:26002"),
        "the backbone carries gpu to core"
    );
    assert!(
        connects(core, "10.230.3.10:7000"),
        "the backbone carries core to gpu"
    );
    assert!(
        connects(core, "10.231.0.10:7120"),
        "agents of a group reach each other"
    );
    assert!(
        !connects(gpu, "10.231.0.11:26002"),
        "gpu reaches the core group's network"
    );
    assert!(
        !connects(core, "10.232.0.10:7000"),
        "core reaches the gpu group's network"
    );
}

fn everyone_has_registered() {
    let code = "import zmq; s = zmq.Context().socket(zmq.REQ); s.RCVTIMEO = 3000; \
                s.connect('tcp://localhost:7120'); s.send_json({'action': 'list_agents'}); print(s.recv().decode())";
    super::support::until("all agents have registered", || {
        let reply = podman(&[
            "exec",
            "engine-test-systemdigitaltwin",
            "python3",
            "-c",
            code,
        ]);
        let reply: Value = serde_json::from_str(&reply).unwrap();
        reply["agents"]
            .as_array()
            .is_some_and(|agents| agents.len() >= 7)
    });
}
