//! `history` and `rollback`: what is written down, and the way back.

use std::fs;

use serde_json::{Value, json};

use crate::{fixture::Fixture, golden, tool::Outcome};

const CODE: &str = "repo/containers/monorepo/main_pc_code/agents/emotion-engine.py";

fn history(fixture: &Fixture) -> Vec<Value> {
    let outcome = fixture.run(&["history", "--format", "json"]).expect(0);
    let found = outcome.json();
    found["deployments"].as_array().expect("a list").clone()
}

fn rollback(fixture: &Fixture, args: &[&str]) -> Outcome {
    let all = [&["rollback", "--settle", "0s", "--jobs", "1"], args].concat();
    fixture.run(&all)
}

/// The image that an agent's container was made from.
fn image(fixture: &Fixture, container: &str) -> String {
    let state = fixture.state();
    let image = state["containers"][container]["image"].as_str();
    image.expect("a container").to_owned()
}

/// 1: everything; 2: new code of one group; 3: another variable of one agent.
fn three() -> Fixture {
    let fixture = Fixture::deployed();
    fixture.write(CODE, "# changed");
    fixture.run(&["build-images"]).expect(0);
    fixture.deploy().expect(0);
    fixture.edit_manifest("MODE = \"plain\"", "MODE = \"other\"");
    fixture.run(&["up", "--settle", "0s"]).expect(0);
    fixture
}

#[test]
fn what_was_deployed_is_counted_and_told() {
    let fixture = three();
    // Nothing to do is no deployment.
    fixture.deploy().expect(0);
    let rows = history(&fixture);
    let told: Vec<(Value, Value, Value, Value)> = rows
        .into_iter()
        .map(|mut row| {
            let current = row["current"].take();
            (
                row["number"].take(),
                row["by"].take(),
                current,
                row["changes"].take(),
            )
        })
        .collect();
    let engine = json!({"EmotionEngine": "image", "ModelManagerAgent": "image"});
    let coordinator = json!({"CoordinatorAgent": "configuration"});
    assert_eq!(told[0], (3.into(), "up".into(), true.into(), coordinator));
    assert_eq!(told[1], (2.into(), "deploy".into(), false.into(), engine));
    let first = told[2].3.as_object().expect("changes");
    assert!(first.len() == 5 && first.values().all(|change| change == "added"));
    // Containers say which deployment has made them.
    let state = fixture.state();
    let label = |name: &str| state["containers"][name]["labels"]["ai-system.deployment"].clone();
    assert_eq!(label("coordinator-agent"), "3");
    assert_eq!(label("emotion-engine"), "2");
    assert_eq!(label("system-digital-twin"), "1");
}

#[test]
fn a_rollback_brings_back_configuration_and_content() {
    let fixture = three();
    let images =
        |fixture: &Fixture| ["emotion-engine", "coordinator-agent"].map(|c| image(fixture, c));
    let third = images(&fixture);
    let would = fixture.run(&["rollback", "1", "--dry-run"]).expect(0);
    let done = rollback(&fixture, &["1"]).expect(0);
    golden::check("rollback", &fixture, &done);
    for call in done
        .changes()
        .iter()
        .filter(|call| call.starts_with("rename "))
    {
        assert!(would.stdout.contains(call), "{call}: {}", would.stdout);
    }
    fixture.assert_whole();
    let first = images(&fixture);
    assert_ne!(first[0], third[0]);
    let state = fixture.state();
    let create = state["containers"]["coordinator-agent"]["create"].to_string();
    assert!(create.contains("MODE=plain"), "{create}");
    let rows = history(&fixture);
    assert_eq!(
        (&rows[0]["number"], &rows[0]["by"]),
        (&4.into(), &"rollback to 1".into())
    );
    assert_eq!(rows[0]["current"], true);
    // The same again is nothing to do, and the next deployment releases anew.
    let again = rollback(&fixture, &["1"]).expect(0);
    assert!(again.stdout.contains("nothing to do"), "{}", again.stdout);
    assert_eq!(again.changes(), [""; 0]);
    fixture.deploy().expect(0);
    assert_eq!(images(&fixture), third);
    // Without a number it is the one before; only what is named goes.
    rollback(&fixture, &["EmotionEngine"]).expect(0);
    let mixed = images(&fixture);
    assert_eq!((&mixed[0], &mixed[1]), (&first[0], &third[1]));
    let rows = history(&fixture);
    assert_eq!(rows[0]["by"], "rollback to 4 of EmotionEngine");
    assert_eq!(
        rows[0]["agents"].as_object().map(serde_json::Map::len),
        Some(5)
    );
    assert_eq!(rows[0]["changes"], json!({"EmotionEngine": "image"}));
}

#[test]
fn what_cannot_be_gone_back_to_says_why() {
    let fixture = Fixture::deployed();
    rollback(&fixture, &[])
        .expect(2)
        .says("there is no deployment before the last one");
    rollback(&fixture, &["7"])
        .expect(2)
        .says("there is no deployment 7 to go back to");
    fixture.write(CODE, "# changed");
    fixture.run(&["build-images"]).expect(0);
    fixture.deploy().expect(0);
    fixture.change_state(|state| {
        let containers = state["containers"].clone();
        let used = |id: &str| {
            containers
                .as_object()
                .expect("containers")
                .values()
                .any(|c| c["image_id"] == id)
        };
        let images = state["images"].as_object_mut().expect("images");
        images.retain(|id, image| used(id) || !image["names"].to_string().contains("-services:"));
    });
    let outcome = rollback(&fixture, &[]).expect(5);
    outcome.says("and that image has been removed");
    assert_eq!(outcome.changes(), [""; 0]);
    let rows = history(&fixture);
    assert_eq!(
        (&rows[1]["can_go_back"], &rows[0]["can_go_back"]),
        (&false.into(), &true.into())
    );
}

#[test]
fn a_lost_journal_is_made_up_for_from_what_runs() {
    let fixture = three();
    let folder = fixture.path("home/.local/state/ai-system-xtask/trial/deployments");
    assert_eq!(fs::read_dir(&folder).expect("a journal").count(), 3);
    fs::remove_dir_all(&folder).expect("a journal");
    let rows = history(&fixture);
    assert_eq!(
        (rows.len(), &rows[0]["number"], &rows[0]["by"]),
        (1, &3.into(), &Value::Null)
    );
    assert_eq!(
        rows[0]["agents"].as_object().map(serde_json::Map::len),
        Some(5)
    );
    rollback(&fixture, &[]).expect(2);
    // No number is given twice.
    fixture.edit_manifest("MODE = \"other\"", "MODE = \"third\"");
    fixture.deploy().expect(0);
    assert_eq!(history(&fixture)[0]["number"], 4);
}

#[test]
fn images_of_the_last_sets_are_kept() {
    let fixture = Fixture::built();
    fixture.edit_manifest("[system]", "[system]\nkeep_images = 2");
    fixture.deploy().expect(0);
    let count = || {
        let state = fixture.state();
        let images = state["images"].as_object().expect("images");
        let names = images.values().map(|image| image["names"].to_string());
        names
            .filter(|names| names.contains("trial-system-services:"))
            .count()
    };
    for (round, expected) in [(1, 2), (2, 2), (3, 2)] {
        fixture.write(CODE, &format!("# {round}"));
        fixture.run(&["build-images"]).expect(0);
        let would = fixture.run(&["deploy", "--dry-run"]).expect(0);
        let done = fixture.deploy().expect(0);
        let removes = |call: &&String| call.starts_with("rmi ");
        for call in done.changes().iter().filter(removes) {
            assert!(
                would.stdout.contains(call.as_str()),
                "{call}: {}",
                would.stdout
            );
        }
        assert_eq!(count(), expected, "round {round}");
        rollback(&fixture, &["--dry-run"]).expect(0);
    }
}
