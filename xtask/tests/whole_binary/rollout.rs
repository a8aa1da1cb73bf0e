//! A roll-out that fails goes back as a whole, agents that are only busy are left
//! alone, and what left the manifest is told and removed.

use serde_json::Value;

use crate::{
    agents::Health,
    fixture::{AGENTS, Fixture},
};

/// Two agents of one chain and one behind both.
const CHANGED: [(&str, &str); 3] = [
    ("SystemDigitalTwin", "system-digital-twin"),
    ("CoordinatorAgent", "coordinator-agent"),
    ("EmotionEngine", "emotion-engine"),
];

/// Gives three agents another environment; `mark` is in their command lines then.
fn change(fixture: &Fixture, mark: &str) {
    for (agent, _) in CHANGED {
        let table = format!("agents.{agent}]");
        let line = format!("{table}\nmemory_mb = {mark}");
        fixture.edit_manifest(&table, &line);
    }
}

fn ids(fixture: &Fixture) -> Vec<(String, Value)> {
    let state = fixture.state();
    let found = |name: &str| state["containers"][name]["id"].clone();
    AGENTS
        .map(|(_, name)| (name.to_owned(), found(name)))
        .to_vec()
}

#[test]
fn agents_that_end_while_they_settle_give_way_to_the_whole_set_of_before() {
    let fixture = Fixture::deployed();
    let before = ids(&fixture);
    change(&fixture, "333");
    let running = fixture.tool(&["deploy", "--settle", "1500ms"]).start();
    running.wait_for_stderr("settling");
    fixture.change_state(|state| {
        let container = &mut state["containers"]["coordinator-agent"];
        container["state"] = "exited".into();
        container["exit_code"] = 3.into();
    });
    let outcome = running.end().expect(6);
    outcome.says("CoordinatorAgent is not healthy: exited with code 3");
    outcome.says("the containers of before are back, and healthy: SystemDigitalTwin, CoordinatorAgent, EmotionEngine");
    assert_eq!(ids(&fixture), before);
    fixture.assert_whole();
}

#[test]
fn one_that_fails_its_gate_takes_back_those_that_were_replaced_before_it() {
    let fixture = Fixture::deployed();
    let before = ids(&fixture);
    change(&fixture, "334");
    fixture.shorten_patience("EmotionEngine");
    fixture.set_health("EmotionEngine", Health::GoodUnless("334m"));
    let args = ["deploy", "--settle", "0s", "--format", "json"];
    let outcome = fixture.run(&args).expect(6);
    assert_eq!(ids(&fixture), before);
    fixture.assert_whole();
    let agents = outcome.json()["agents"].clone();
    let result = |name: &str| {
        let all = agents.as_array().expect("agents");
        let found = all.iter().find(|agent| agent["name"] == name);
        found.expect("listed")["result"].clone()
    };
    assert_eq!(result("SystemDigitalTwin"), "rolled_back");
    assert_eq!(result("CoordinatorAgent"), "rolled_back");
    assert_eq!(result("EmotionEngine"), "failed");
    assert_eq!(result("ModelManagerAgent"), "unchanged");
}

#[test]
fn what_came_up_stays_where_that_is_wanted() {
    let fixture = Fixture::deployed();
    let before = ids(&fixture);
    change(&fixture, "335");
    fixture.shorten_patience("EmotionEngine");
    fixture.set_health("EmotionEngine", Health::GoodUnless("335m"));
    let args = [
        "deploy",
        "--settle",
        "0s",
        "--no-rollback",
        "--format",
        "json",
    ];
    let outcome = fixture.run(&args).expect(6);
    let after = ids(&fixture);
    assert_ne!(after[0], before[0]);
    assert_eq!(
        after[4], before[4],
        "its own container is back all the same"
    );
    let agents = outcome.json()["agents"].clone();
    let twin = &agents.as_array().expect("agents")[0];
    // It runs its new code, although the run did not come to its end.
    assert_eq!(twin["result"], "healthy");
    // With the cause mended, the next run tidies up.
    fixture.set_health("EmotionEngine", Health::Good);
    fixture.deploy().expect(0);
    fixture.assert_whole();
}

#[test]
fn a_way_back_that_fails_is_told() {
    let fixture = Fixture::deployed();
    change(&fixture, "336");
    fixture.shorten_patience("EmotionEngine");
    fixture.set_health("EmotionEngine", Health::GoodUnless("336m"));
    let tool = fixture.tool(&["deploy", "--settle", "0s"]);
    let rule = "rm system-digital-twin=125:cannot remove";
    let outcome = tool.fail(&[rule]).run().expect(6);
    outcome.says("the container that SystemDigitalTwin had before is not back: cannot remove");
    fixture.set_health("EmotionEngine", Health::Good);
    fixture.deploy().expect(0);
    fixture.assert_whole();
}

#[test]
fn a_running_agent_that_does_not_answer_is_told_and_not_touched() {
    let fixture = Fixture::deployed();
    fixture.set_health("EmotionEngine", Health::Silent);
    restart(&fixture, "emotion-engine");
    let outcome = fixture.deploy().expect(6);
    outcome.says("EmotionEngine is not healthy: timeout");
    assert_eq!(outcome.changes(), [""; 0]);
    fixture.assert_whole();

    // Asked for, it is restarted, and answers then.
    fixture.set_health("EmotionEngine", Health::Good);
    let args = ["deploy", "--settle", "0s", "--restart-hung"];
    let outcome = fixture.run(&args).expect(0);
    assert_eq!(outcome.changes(), ["restart --time 1 emotion-engine"]);
    fixture.assert_whole();
}

#[test]
fn what_left_the_manifest_is_told_until_it_is_removed() {
    let gone = || {
        let fixture = Fixture::deployed();
        let text = std::fs::read_to_string(fixture.path("repo/containers/system.toml"));
        let text = text.expect("a manifest");
        let at = text.find("[groups.system-services.agents.EmotionEngine]");
        let (kept, rest) = text.split_at(at.expect("in the manifest"));
        let next = rest[1..].find("\n[").expect("another table") + 1;
        let text = format!("{kept}{}", &rest[next..]);
        fixture.write("repo/containers/system.toml", &text);
        fixture
    };
    let names = |fixture: &Fixture| -> Vec<String> {
        let all = fixture.containers();
        all.into_iter().map(|(name, _)| name).collect()
    };
    let fixture = gone();
    let outcome = fixture.deploy().expect(0);
    outcome.says("EmotionEngine still runs (`emotion-engine`), but the manifest has no such agent");
    assert_eq!(outcome.changes(), [""; 0]);
    let outcome = fixture
        .run(&["deploy", "--settle", "0s", "--prune"])
        .expect(0);
    let removal = [
        "stop --time 10 emotion-engine",
        "rm --force --time 5 emotion-engine",
    ];
    assert_eq!(outcome.changes(), removal);
    assert_eq!(names(&fixture).len(), AGENTS.len() - 1);

    for name in ["EmotionEngine", "emotion-engine"] {
        let fixture = gone();
        fixture.run(&["down", name]).expect(0);
        assert_eq!(names(&fixture).len(), AGENTS.len() - 1, "{name}");
        assert!(!names(&fixture).contains(&"emotion-engine".to_owned()));
        fixture.run(&["down", "EmotionEngin"]).expect(2);
    }
}

#[test]
fn a_recreation_is_of_the_named_agents_alone() {
    let fixture = Fixture::deployed();
    let before = ids(&fixture);
    let args = [
        "deploy",
        "--settle",
        "0s",
        "--recreate",
        "ChainOfThoughtAgent",
    ];
    fixture.run(&args).expect(0);
    let after = ids(&fixture);
    for index in 0..AGENTS.len() {
        let replaced = AGENTS[index].0 == "ChainOfThoughtAgent";
        assert_eq!(
            before[index] != after[index],
            replaced,
            "{}",
            AGENTS[index].0
        );
    }
}

/// As a user would, by hand.
fn restart(fixture: &Fixture, container: &str) {
    let podman = |args: &[&str]| fixture.program("podman").args(args).run().expect(0);
    podman(&["stop", "--time", "1", container]);
    podman(&["start", container]);
    let state = fixture.path("podman/state.json");
    fixture.agents.book.catch_up(&state);
}
