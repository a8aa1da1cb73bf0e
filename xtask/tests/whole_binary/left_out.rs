//! What is wrong with one agent stops that agent and what depends on it, and
//! errors that the user knows better can be ignored.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::fixture::Fixture;

/// Somebody else's container has the name of the coordinator's.
fn taken() -> Fixture {
    let fixture = Fixture::deployed();
    fixture.run(&["down"]).expect(0);
    fixture
        .run(&["deploy", "SystemDigitalTwin", "--settle", "0s"])
        .expect(0);
    fixture.change_state(|state| {
        let containers = &mut state["containers"];
        let mut foreign = containers["system-digital-twin"].clone();
        foreign["labels"] = json!({});
        foreign["networks"] = json!({});
        foreign["create"] = json!([]);
        foreign["state"] = "exited".into();
        containers["coordinator-agent"] = foreign;
    });
    fixture
}

fn results(outcome: &Value) -> Vec<(String, String)> {
    let agents = outcome["agents"].as_array().expect("agents").iter();
    let text = |agent: &Value, key: &str| agent[key].as_str().unwrap_or_default().to_owned();
    let mut results: Vec<_> = agents
        .map(|agent| (text(agent, "name"), text(agent, "result")))
        .collect();
    results.sort();
    results
}

#[test]
fn a_name_that_is_taken_stops_its_agent_alone() {
    let fixture = taken();
    let deployed = fixture.run(&["deploy", "--settle", "0s", "--format", "json"]);
    let deployed = deployed.expect(11);
    let expected = [
        ("ChainOfThoughtAgent", "blocked"),
        ("CoordinatorAgent", "failed"),
        ("EmotionEngine", "healthy"),
        ("ModelManagerAgent", "healthy"),
        ("SystemDigitalTwin", "unchanged"),
    ];
    let expected = expected.map(|(name, result)| (name.to_owned(), result.to_owned()));
    assert_eq!(results(&deployed.json()), expected);
    deployed.says("blocks 1: ChainOfThoughtAgent");
    deployed.says("all others are as they should be");
    // Again, and nothing is left to do for the others.
    let again = fixture.run(&["deploy", "--settle", "0s"]).expect(11);
    assert_eq!(again.changes(), [""; 0]);
    let dry = fixture.run(&["deploy", "--dry-run"]).expect(0);
    dry.says("left out: ChainOfThoughtAgent depends on CoordinatorAgent");
}

#[test]
fn a_port_that_is_taken_stops_its_agent_alone() {
    let fixture = Fixture::built();
    let port = fixture.health_port("EmotionEngine");
    let Ok(held) = TcpListener::bind(("127.0.0.1", port)) else {
        panic!("the port is the fixture's own")
    };
    let deployed = fixture.deploy().expect(9);
    deployed.says("[port-taken]");
    deployed.says("`--ignore port-taken` tries all the same");
    let running = fixture.containers();
    assert_eq!(running.len(), 4, "{running:?}");
    assert!(running.iter().all(|(_, state)| state == "running"));
    drop(held);
    fixture.deploy().expect(0);
    fixture.assert_whole();
}

#[test]
fn an_error_can_be_ignored_by_its_id() {
    let fixture = Fixture::built();
    fixture.sysctl("kernel.keys.root_maxkeys", 9);
    let refused = fixture.deploy().expect(9);
    refused.says("`--ignore capacity-keys` goes on all the same");
    let ignore = ["deploy", "--settle", "0s", "--ignore", "capacity-keys"];
    fixture.run(&ignore).expect(0).says("ignored: ");
    fixture.assert_whole();
    let unknown = fixture
        .run(&["deploy", "--ignore", "capacity-kees"])
        .expect(2);
    unknown.says("unknown finding `capacity-kees`");
    unknown.says("capacity-keys");
    assert_eq!(unknown.calls(), [""; 0]);
}
