//! `doctor`: what it shows, what it does not change, and that nothing it asks can
//! hold it up.

use std::{
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    agents::Health,
    fixture::{AGENTS, Fixture},
    golden,
    tool::wait_until,
};

const TRACEBACK: &str = "Traceback (most recent call last):\n  \
    File \"/app/main_pc_code/agents/system-digital-twin.py\", line 3, in <module>\n    \
    import yaml\nModuleNotFoundError: No module named 'yaml'\n";

#[test]
fn all_healthy() {
    let fixture = Fixture::deployed();
    let outcome = fixture.run(&["doctor"]).expect(0);
    golden::check("doctor_good", &fixture, &outcome);
    assert_eq!(outcome.changes(), Vec::<String>::new());
    let named = fixture.run(&["doctor", "ChainOfThoughtAgent"]).expect(0);
    golden::check("doctor_named", &fixture, &named);
}

#[test]
fn nothing_deployed() {
    let fixture = Fixture::built();
    let outcome = fixture.run(&["doctor"]).expect(7);
    golden::check("doctor_missing", &fixture, &outcome);
    fixture
        .run(&["doctor", "NoSuchAgent"])
        .expect(2)
        .says("unknown agent or group `NoSuchAgent`");
}

/// One crashed, one complains, one is silent, one was stopped, one lacks a model.
#[test]
fn each_has_its_own_trouble() {
    let fixture = Fixture::deployed();
    let reply = Health::Reply(r#"{"status": "error", "error": "database is down"}"#);
    fixture.set_health("CoordinatorAgent", reply);
    fixture.set_health("ChainOfThoughtAgent", Health::Silent);
    let reply = Health::Reply(r#"{"status": "ok", "model_problem": "no model below models/"}"#);
    fixture.set_health("ModelManagerAgent", reply);
    for (_, container) in &AGENTS[1..] {
        let podman = |args: &[&str]| fixture.program("podman").args(args).run().expect(0);
        podman(&["stop", "--time", "1", container]);
        if *container != "emotion-engine" {
            podman(&["start", container]);
        }
    }
    fixture.change_state(|state| {
        let container = &mut state["containers"]["system-digital-twin"];
        container["state"] = "exited".into();
        container["exit_code"] = 1.into();
        for container in state["containers"].as_object_mut().unwrap().values_mut() {
            let started = container["started_at"].as_i64().unwrap();
            container["started_at"] = (started - 100).into();
        }
        // Those that run again are older than their start timeout, and were not
        // told to stop since.
        let stops = state["stops"].as_array_mut().unwrap();
        stops.retain(|stop| stop[0] == "emotion-engine");
    });
    fixture.write("podman/logs/system-digital-twin", TRACEBACK);
    let inside = r#"{"own_port": {"outcome": "open", "greets": false}}"#;
    fixture.write("podman/inside-of/chain-of-thought-agent", inside);
    fixture
        .agents
        .book
        .catch_up(&fixture.path("podman/state.json"));
    for agent in [
        "CoordinatorAgent",
        "ChainOfThoughtAgent",
        "ModelManagerAgent",
    ] {
        let port = fixture.health_port(agent);
        wait_until(agent, || TcpStream::connect(("127.0.0.1", port)).is_ok());
    }
    let outcome = fixture.run(&["doctor"]).expect(7);
    golden::check("doctor_sick", &fixture, &outcome);
    assert_eq!(outcome.changes(), Vec::<String>::new());

    let json = fixture
        .run(&["doctor", "--format", "json"])
        .expect(7)
        .json();
    let first = |agent: &Value| agent["causes"][0]["id"].as_str().map(str::to_owned);
    let agents = json["agents"].as_array().expect("agents");
    let causes: Vec<Option<String>> = agents.iter().map(first).collect();
    let expected = [
        "import-failed",
        "peer-unreachable",
        "silent",
        "model-missing",
        "stopped",
    ];
    assert_eq!(causes, expected.map(|id| Some(id.to_owned())));
    assert_eq!(agents[3]["verdict"], "limited");
    let checks = agents[0]["checks"].as_array().expect("checks");
    assert!(
        checks
            .iter()
            .any(|check| check["id"] == "exit" && check["ok"] == false)
    );
    assert_eq!(json["blocks"][0]["agent"], "SystemDigitalTwin");
}

/// A limited agent says that it is healthy: exit code 0, as of `health-check`.
#[test]
fn a_root_that_nobody_asked_for_is_named() {
    let fixture = Fixture::deployed();
    fixture
        .program("podman")
        .args(&["stop", "--time", "1", "system-digital-twin"])
        .expect(0);
    let outcome = fixture.run(&["doctor", "CoordinatorAgent"]).expect(0);
    golden::check("doctor_root", &fixture, &outcome);
}

#[test]
fn what_cannot_be_had_is_said() {
    let fixture = Fixture::deployed();
    let tool = fixture.tool(&["doctor", "--format", "json"]);
    let started = Instant::now();
    let hanging = [
        "exec emotion-engine=hang",
        "container inspect=125:no such container",
    ];
    let outcome = tool.fail(&hanging).expect(0);
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
    let json = outcome.json();
    let peers = json["agents"][4]["checks"]
        .as_array()
        .and_then(|checks| checks.iter().find(|check| check["id"] == "peers"));
    let evidence = &peers.expect("a check")["evidence"][0];
    let text = evidence.as_str().expect("a text");
    assert!(
        text.starts_with(
            "not looked at: failed to look into emotion-engine: did not finish within 4.0 s"
        ),
        "{text}"
    );
    assert_eq!(peers.expect("a check")["ok"], Value::Null);
}

#[test]
fn a_podman_that_hangs_is_given_up() {
    let fixture = Fixture::deployed();
    let started = Instant::now();
    let outcome = fixture.tool(&["doctor"]).fail(&["ps=hang"]).expect(4);
    outcome.says("failed to list containers: did not finish within 8.0 s");
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_program_that_answers_nonsense_is_no_evidence() {
    let fixture = Fixture::deployed();
    for (_, container) in AGENTS {
        fixture.write(
            &format!("podman/inside-of/{container}"),
            "Segmentation fault",
        );
    }
    let outcome = fixture.run(&["doctor", "EmotionEngine"]).expect(0);
    assert!(
        outcome
            .stdout
            .contains("not looked at: failed to look into emotion-engine"),
        "{}",
        outcome.stdout
    );
}
