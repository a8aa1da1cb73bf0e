//! `down` and `create-networks`.

use serde_json::json;

use crate::{fixture::Fixture, golden};

#[test]
fn down_removes_the_containers_in_reverse_order() {
    let fixture = Fixture::deployed();
    let before = fixture.state();
    let outcome = fixture.run(&["down", "--jobs", "1"]).expect(0);
    golden::check("down", &fixture, &outcome);
    let after = fixture.state();
    assert_eq!(after["containers"], json!({}));
    for kept in ["images", "networks", "volumes"] {
        assert_eq!(after[kept], before[kept], "{kept} stay");
    }
    let again = fixture.run(&["down"]).expect(0);
    assert_eq!(
        (again.stdout.as_str(), again.changes().len()),
        ("nothing to remove\n", 0)
    );
}

#[test]
fn down_stops_nothing_that_others_still_depend_on() {
    let fixture = Fixture::deployed();
    let outcome = fixture
        .tool(&["down"])
        .fail(&["stop=slow:60"])
        .run()
        .expect(0);
    let end_of = |container: &str| {
        let stop = format!("stop --time 1 {container}");
        let begin = outcome.journal.iter().find(|entry| {
            entry
                .begin
                .as_ref()
                .is_some_and(|words| words.join(" ") == stop)
        });
        let pid = begin.expect("a stop").pid;
        let end = outcome
            .journal
            .iter()
            .find(|entry| entry.pid == pid && entry.begin.is_none());
        end.expect("an end").ms
    };
    for (first, then) in [
        ("emotion-engine", "model-manager-agent"),
        ("model-manager-agent", "system-digital-twin"),
        ("chain-of-thought-agent", "coordinator-agent"),
        ("coordinator-agent", "system-digital-twin"),
    ] {
        let began = outcome.began(&format!("stop --time 1 {then}"));
        assert!(end_of(first) <= began, "{then} was stopped before {first}");
    }
}

#[test]
fn what_still_runs_stays_isolated_when_a_group_goes() {
    let fixture = Fixture::deployed();
    let outcome = fixture.run(&["down", "--jobs", "1", "system-services"]);
    golden::check("down_group", &fixture, &outcome.expect(0));
}

#[test]
fn down_with_networks_and_images_keeps_volumes_and_strangers() {
    let fixture = Fixture::deployed();
    fixture.change_state(|state| {
        let foreign = |mut found: serde_json::Value| {
            found["labels"] = json!({});
            found
        };
        let container = state["containers"]["emotion-engine"].clone();
        let mut container = foreign(container);
        container["networks"] = json!({});
        container["image_id"] = "elsewhere".into();
        state["containers"]["theirs"] = container;
        let network = state["networks"]["trial-core-network"].clone();
        state["networks"]["theirs"] = foreign(network);
    });
    let args = ["down", "--networks", "--images", "--jobs", "1"];
    let outcome = fixture.run(&args).expect(0);
    golden::check("down_all", &fixture, &outcome);
    let state = fixture.state();
    assert_eq!(
        fixture.containers(),
        [("theirs".to_owned(), "running".to_owned())]
    );
    assert_eq!(state["networks"].as_object().map(|all| all.len()), Some(1));
    assert_eq!(state["volumes"], json!(["trial-logs"]));
    let outcome = fixture.run(&["down", "--volumes"]);
    assert_eq!(outcome.changes(), ["volume rm trial-logs"]);
}

#[test]
fn down_takes_leftovers_along_and_names_alone() {
    let fixture = Fixture::deployed();
    fixture.change_state(|state| {
        let twin = state["containers"]["emotion-engine"].clone();
        state["containers"]["emotion-engine-previous"] = twin;
    });
    fixture.run(&["down", "EmotionEngine"]).expect(0);
    assert_eq!(fixture.containers().len(), 4);
    let outcome = fixture.run(&["down", "SystemDigitalTwin", "--networks"]);
    assert_eq!(outcome.code, 2, "networks belong to all agents");
    fixture.run(&["down"]).expect(0);
    fixture.deploy().expect(0);
    fixture.assert_whole();
}

#[test]
fn networks_are_created_once() {
    let fixture = Fixture::new();
    let outcome = fixture.run(&["create-networks", "--jobs", "1"]).expect(0);
    golden::check_in_full("networks", &fixture, &outcome);
    let again = fixture.run(&["create-networks"]).expect(0);
    assert_eq!(again.changes(), [""; 0]);
    assert_eq!(again.stdout, "networks: 0 created, 3 unchanged\n");
}

#[test]
fn networks_that_differ_or_overlap() {
    let fixture = Fixture::built();
    fixture.run(&["create-networks"]).expect(0);
    let core = |fixture: &Fixture| fixture.state()["networks"]["trial-core-network"].clone();
    let ours = core(&fixture);

    fixture.edit_manifest(
        "[networks.trial-core-network]",
        "[networks.trial-core-network]\ninternal = true",
    );
    let outcome = fixture.run(&["create-networks"]).expect(11);
    golden::check("networks_differ", &fixture, &outcome);
    let outcome = fixture.deploy().expect(11);
    assert_eq!((outcome.changes().len(), core(&fixture)), (0, ours));
    fixture.run(&["create-networks", "--recreate"]).expect(0);
    assert_eq!(core(&fixture)["internal"], true);

    fixture.change_state(|state| {
        state["networks"]["trial-core-network"]["labels"] = json!({});
        state["networks"]["trial-core-network"]["subnet"] = "10.77.0.0/16".into();
    });
    let outcome = fixture.run(&["create-networks", "--recreate"]).expect(11);
    golden::check("networks_foreign", &fixture, &outcome);

    fixture.change_state(|state| {
        let mut network = state["networks"]["trial-core-network"].take();
        network["subnet"] = "10.201.7.0/24".into();
        state["networks"]["theirs"] = network;
        state["networks"]
            .as_object_mut()
            .expect("networks")
            .remove("trial-core-network");
    });
    let outcome = fixture.run(&["create-networks"]).expect(11);
    golden::check("networks_overlap", &fixture, &outcome);
}
