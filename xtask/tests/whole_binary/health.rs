//! `health-check`, `status` and `logs`.

use std::net::TcpStream;

use serde_json::Value;

use crate::{
    agents::Health,
    fixture::{AGENTS, Fixture},
    golden,
    tool::wait_until,
};

#[test]
fn all_healthy() {
    let fixture = Fixture::deployed();
    let outcome = fixture.run(&["health-check"]).expect(0);
    golden::check("health_good", &fixture, &outcome);
    assert_eq!(outcome.calls(), ["ps --all --format json"]);
    let round = fixture
        .run(&["health-check", "--format", "json"])
        .expect(0)
        .json();
    assert_eq!((&round["healthy"], &round["total"]), (&5.into(), &5.into()));
    let first = &round["agents"][0];
    assert_eq!(first["reply"], r#"{"status": "ok"}"#);
    assert!(
        first["latency_ms"].as_f64().is_some_and(|ms| ms > 0.0),
        "{first}"
    );
}

#[test]
fn every_kind_of_sickness_has_its_word() {
    let fixture = Fixture::deployed();
    fixture.set_health("CoordinatorAgent", Health::Reply("alive and well"));
    fixture.set_health(
        "ChainOfThoughtAgent",
        Health::Reply(r#"{"status": "degraded"}"#),
    );
    fixture.set_health("ModelManagerAgent", Health::Silent);
    fixture.set_health("EmotionEngine", Health::Deaf);
    for (_, container) in &AGENTS[1..] {
        let podman = |args: &[&str]| fixture.program("podman").args(args).run().expect(0);
        podman(&["stop", "--time", "1", container]);
        podman(&["start", container]);
    }
    fixture.change_state(|state| {
        let container = &mut state["containers"]["system-digital-twin"];
        container["state"] = "exited".into();
        container["exit_code"] = 137.into();
    });
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
    let outcome = fixture.run(&["health-check"]).expect(7);
    golden::check("health_sick", &fixture, &outcome);
    let round = fixture
        .run(&["health-check", "--format", "json"])
        .expect(7)
        .json();
    let expected = ["exited", "answering", "unhealthy", "timeout", "refused"];
    assert_eq!(words(&round, "status"), expected);
    assert_eq!(round["healthy"], 0);
    // `status` is a view, not a verdict.
    let seen = fixture
        .run(&["status", "--format", "json"])
        .expect(0)
        .json();
    assert_eq!(words(&seen, "health"), expected);

    fixture.run(&["down", "EmotionEngine"]).expect(0);
    let round = fixture.run(&["health-check", "EmotionEngine", "--format", "json"]);
    assert_eq!(words(&round.expect(7).json(), "status"), ["missing"]);
}

#[test]
fn nothing_deployed() {
    let fixture = Fixture::built();
    golden::check(
        "health_missing",
        &fixture,
        &fixture.run(&["health-check"]).expect(7),
    );
    golden::check(
        "status_missing",
        &fixture,
        &fixture.run(&["status"]).expect(0),
    );
    golden::check("logs_missing", &fixture, &fixture.run(&["logs"]).expect(7));
}

#[test]
fn waiting_for_health() {
    let fixture = Fixture::built();
    fixture.set_health("SystemDigitalTwin", Health::GoodAfter(400));
    let deploy = fixture.tool(&["deploy", "--settle", "0s", "SystemDigitalTwin"]);
    let deploy = deploy.start();
    deploy.wait_for_call("start system-digital-twin");
    let args = ["health-check", "--wait=10s", "SystemDigitalTwin"];
    fixture.run(&args).expect(0);
    deploy.end().expect(0);
}

#[test]
fn status_sees_what_deploy_would_find() {
    let fixture = Fixture::deployed();
    golden::check("status", &fixture, &fixture.run(&["status"]).expect(0));
    fixture.edit_manifest("MODE = \"plain\"", "MODE = \"new\"");
    fixture.change_state(|state| {
        let mut orphan = state["containers"]["emotion-engine"].clone();
        orphan["state"] = "exited".into();
        state["containers"]["old-agent"] = orphan;
    });
    let outcome = fixture.run(&["status"]).expect(0);
    golden::check("status_changed", &fixture, &outcome);
}

#[test]
fn logs_are_merged_and_filtered() {
    let fixture = Fixture::deployed();
    fixture.write("podman/logs/system-digital-twin", "one\ntwo Error\n");
    fixture.write("podman/logs/emotion-engine", "three\n");
    golden::check("logs", &fixture, &fixture.run(&["logs"]).expect(0));
    let outcome = fixture
        .run(&["logs", "--grep", "error", "--tail", "1"])
        .expect(0);
    assert_eq!(outcome.stdout, "SystemDigitalTwin    two Error\n");
}

fn words(round: &Value, field: &str) -> Vec<String> {
    let agents = round["agents"].as_array().expect("agents");
    let words = agents.iter().filter_map(|agent| agent[field].as_str());
    words.map(str::to_owned).collect()
}
