//! Whatever state is found, `deploy` repairs it and loses nothing.

use serde_json::json;

use crate::{agents::Health, fixture::Fixture, golden, tool::wait_until};

const SETTLED: [&str; 5] = ["deploy", "--settle", "0s", "--jobs", "1"];

#[test]
fn a_changed_configuration_replaces_one_container() {
    let fixture = Fixture::deployed();
    fixture.edit_manifest("MODE = \"plain\"", "MODE = \"new\"");
    let outcome = fixture.deploy().expect(0);
    golden::check("repair_configuration", &fixture, &outcome);
    fixture.assert_whole();
    let line = fixture.state()["containers"]["coordinator-agent"]["create"].to_string();
    assert!(line.contains("MODE=new"), "{line}");
}

#[test]
fn a_changed_image_replaces_the_containers_that_run_it() {
    let fixture = Fixture::deployed();
    fixture.write(
        "repo/requirements/requirements.audio.lock",
        "numpy==2.0.0\n",
    );
    fixture.run(&["build-images", "--jobs", "1"]).expect(0);
    let outcome = fixture.deploy().expect(0);
    golden::check("repair_image", &fixture, &outcome);
    fixture.assert_whole();
}

#[test]
fn an_exited_container_is_started() {
    let fixture = Fixture::deployed();
    exit(&fixture, "coordinator-agent", 137);
    let outcome = fixture.deploy().expect(0);
    golden::check("repair_exited", &fixture, &outcome);
    fixture.assert_whole();
}

#[test]
fn leftovers_of_a_run_that_was_cut_short() {
    let fixture = Fixture::deployed();
    fixture.change_state(|state| {
        let twin = state["containers"]["system-digital-twin"].clone();
        let stopped = |state: &str| {
            let mut container = twin.clone();
            container["state"] = state.into();
            container["create"] = json!([]);
            container
        };
        state["containers"]["system-digital-twin-next"] = stopped("created");
        state["containers"]["system-digital-twin-previous"] = stopped("exited");
    });
    let outcome = fixture.deploy().expect(0);
    golden::check("repair_leftovers", &fixture, &outcome);
    fixture.assert_whole();
}

#[test]
fn a_kill_at_any_point_of_a_replacement_is_repaired() {
    for point in [
        "stop coordinator-agent",
        "rename coordinator-agent coordinator-agent-previous",
        "rename coordinator-agent-next coordinator-agent",
        "start coordinator-agent",
        "rm coordinator-agent-previous",
    ] {
        for moment in ["hang", "hang-after"] {
            let fixture = Fixture::deployed();
            fixture.edit_manifest("MODE = \"plain\"", "MODE = \"new\"");
            let rule = format!("{point}={moment}");
            let running = fixture.tool(&SETTLED).fail(&[&rule]).start();
            let words: Vec<&str> = point.split(' ').collect();
            let options = match words[0] {
                "stop" => "stop --time 1 coordinator-agent",
                "rm" => "rm --force --time 5 coordinator-agent-previous",
                _ => point,
            };
            running.wait_for_call(options);
            if moment == "hang-after" {
                // The change itself takes a moment.
                std::thread::sleep(std::time::Duration::from_millis(60));
            }
            running.kill();
            fixture.deploy().expect(0);
            fixture.assert_whole();
            let line = fixture.state()["containers"]["coordinator-agent"]["create"].to_string();
            assert!(line.contains("MODE=new"), "{rule}: {line}");
            let again = fixture.deploy().expect(0);
            assert_eq!(again.changes(), [""; 0], "{rule}");
        }
    }
}

#[test]
fn a_cut_short_replacement_can_be_followed_by_another_one() {
    for point in [
        "rename coordinator-agent coordinator-agent-previous",
        "rm coordinator-agent-previous",
    ] {
        let fixture = Fixture::deployed();
        fixture.edit_manifest("MODE = \"plain\"", "MODE = \"new\"");
        let rule = format!("{point}=hang-after");
        let running = fixture.tool(&SETTLED).fail(&[&rule]).start();
        let call = point.replace("rm ", "rm --force --time 5 ");
        running.wait_for_call(&call);
        wait_until("the change", || {
            let all = fixture.containers();
            let aside = all
                .iter()
                .any(|(name, _)| name == "coordinator-agent-previous");
            aside == point.starts_with("rename")
        });
        running.kill();
        if point.starts_with("rm") {
            // As if the kill had come a moment before.
            fixture.change_state(|state| {
                let mut old = state["containers"]["coordinator-agent"].clone();
                old["state"] = "exited".into();
                state["containers"]["coordinator-agent-previous"] = old;
            });
        }
        fixture.edit_manifest("MODE = \"new\"", "MODE = \"newer\"");
        fixture.deploy().expect(0);
        fixture.assert_whole();
    }
}

#[test]
fn what_ran_before_a_cut_short_replacement_can_still_be_restored() {
    let fixture = Fixture::deployed();
    let before = id(&fixture, "coordinator-agent");
    fixture.shorten_patience("CoordinatorAgent");
    fixture.edit_manifest("MODE = \"plain\"", "MODE = \"broken\"");
    fixture.set_health("CoordinatorAgent", Health::GoodUnless("MODE=broken"));
    let point = "rename coordinator-agent-next";
    let running = fixture
        .tool(&SETTLED)
        .fail(&[&format!("{point}=hang")])
        .start();
    running.wait_for_call(point);
    running.kill();
    fixture.deploy().expect(6);
    fixture.assert_whole();
    assert_eq!(id(&fixture, "coordinator-agent"), before);
}

#[test]
fn a_failed_gate_restores_what_ran_before() {
    let fixture = Fixture::deployed();
    fixture.shorten_patience("CoordinatorAgent");
    fixture.edit_manifest("MODE = \"plain\"", "MODE = \"broken\"");
    fixture.set_health("CoordinatorAgent", Health::GoodUnless("MODE=broken"));
    let before = id(&fixture, "coordinator-agent");
    let outcome = fixture.deploy().expect(6);
    golden::check("repair_restores", &fixture, &outcome);
    fixture.assert_whole();
    assert_eq!(id(&fixture, "coordinator-agent"), before);
    let round = fixture.run(&["health-check", "--wait=5s"]);
    round.expect(0);
}

#[test]
fn a_failed_gate_leaves_all_as_it_is_with_keep() {
    let fixture = Fixture::deployed();
    fixture.shorten_patience("CoordinatorAgent");
    fixture.edit_manifest("MODE = \"plain\"", "MODE = \"broken\"");
    fixture.set_health("CoordinatorAgent", Health::GoodUnless("MODE=broken"));
    fixture.tool(&SETTLED).args(&["--keep"]).run().expect(6);
    let states = fixture.containers();
    let state = |name: &str| {
        states
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, s)| s.as_str())
    };
    assert_eq!(state("coordinator-agent"), Some("running"));
    assert_eq!(state("coordinator-agent-previous"), Some("exited"));
    // With the cause mended, the next run tidies up.
    fixture.edit_manifest("MODE = \"broken\"", "MODE = \"mended\"");
    fixture.deploy().expect(0);
    fixture.assert_whole();
}

#[test]
fn a_step_of_a_replacement_that_fails_is_undone() {
    for rule in [
        "rename coordinator-agent-previous=125:cannot rename",
        "rename coordinator-agent-next=125:cannot rename",
        "start coordinator-agent=once:126:cannot start",
        "create coordinator-agent-next=125:cannot create",
    ] {
        let fixture = Fixture::deployed();
        fixture.edit_manifest("MODE = \"plain\"", "MODE = \"new\"");
        let before = id(&fixture, "coordinator-agent");
        let outcome = fixture.tool(&SETTLED).fail(&[rule]).run().expect(6);
        outcome.says("cannot ");
        let container = &fixture.state()["containers"]["coordinator-agent"];
        assert_eq!(container["state"], "running", "{rule}");
        assert_eq!(id(&fixture, "coordinator-agent"), before, "{rule}");
        fixture.deploy().expect(0);
        fixture.assert_whole();
    }
}

#[test]
fn containers_of_others_are_never_touched() {
    for suffix in ["", "-next", "-previous"] {
        let fixture = Fixture::deployed();
        fixture.edit_manifest("MODE = \"plain\"", "MODE = \"new\"");
        let name = format!("coordinator-agent{suffix}");
        fixture.change_state(|state| {
            let mut foreign = state["containers"]["coordinator-agent"].clone();
            foreign["labels"] = json!({});
            foreign["create"] = json!(["by", "somebody", "else"]);
            foreign["state"] = "exited".into();
            state["containers"][&name] = foreign;
        });
        let before = fixture.state();
        let outcome = fixture.deploy();
        if suffix.is_empty() {
            golden::check("repair_foreign", &fixture, &outcome);
        }
        assert_eq!(outcome.code, 11, "{name}: {}", outcome.stderr);
        assert_eq!(fixture.state(), before, "{name}");
        fixture.run(&["down"]).expect(0);
        assert_eq!(fixture.containers(), [(name, "exited".to_owned())]);
    }
}

fn id(fixture: &Fixture, container: &str) -> String {
    fixture.state()["containers"][container]["id"].to_string()
}

fn exit(fixture: &Fixture, container: &str, code: i32) {
    fixture.change_state(|state| {
        let container = &mut state["containers"][container];
        container["state"] = "exited".into();
        container["exit_code"] = code.into();
        container["pid"] = 0.into();
    });
}

#[test]
fn a_paused_container_goes_on() {
    let fixture = Fixture::deployed();
    stand(&fixture, "coordinator-agent", "paused");
    let outcome = fixture.deploy().expect(0);
    assert_eq!(outcome.changes(), ["unpause coordinator-agent"]);
    fixture.assert_whole();
}

#[test]
fn a_stop_that_was_cut_short_is_done_to_the_end() {
    let fixture = Fixture::deployed();
    stand(&fixture, "coordinator-agent", "stopping");
    let status = fixture.run(&["status"]).expect(0);
    assert!(status.stdout.contains("stopping"), "{}", status.stdout);
    let outcome = fixture.deploy().expect(0);
    assert_eq!(
        outcome.changes(),
        ["stop --time 1 coordinator-agent", "start coordinator-agent"]
    );
    fixture.assert_whole();
    stand(&fixture, "coordinator-agent", "stopping");
    fixture.run(&["down"]).expect(0);
    assert_eq!(fixture.state()["orphans"], json!([]));
}

/// podman was killed in the middle of a creation: the name is taken in storage, by
/// a container that no listing shows without being asked.
#[test]
fn what_is_left_of_a_creation_is_removed() {
    let fixture = Fixture::built();
    let leave = |names: [&str; 2]| {
        fixture.change_state(|state| state["half_made"] = json!(names));
    };
    leave(["coordinator-agent", "emotion-engine-next"]);
    let outcome = fixture.deploy().expect(0);
    let changes = outcome.changes();
    let removed: Vec<&String> = changes
        .iter()
        .filter(|call| call.starts_with("rm "))
        .collect();
    assert_eq!(removed.len(), 2, "{changes:?}");
    fixture.assert_whole();
    leave(["coordinator-agent-next", "somebody-else"]);
    fixture.run(&["down"]).expect(0);
    assert_eq!(fixture.state()["half_made"], json!(["somebody-else"]));
}

/// The agent and the process that watched it were killed together: podman has
/// not noticed, and trips over it in the stop.
#[test]
fn a_container_whose_process_is_gone_is_started_again() {
    let fixture = Fixture::deployed();
    let mut ended = std::process::Command::new("true")
        .spawn()
        .expect("a process");
    ended.wait().expect("it ends");
    fixture.change_state(|state| {
        state["containers"]["coordinator-agent"]["pid"] = json!(ended.id());
    });
    fixture.set_health("CoordinatorAgent", Health::Deaf);
    let status = fixture.run(&["health-check"]).expect(7);
    assert!(
        status.stdout.contains("its process is gone"),
        "{}",
        status.stdout
    );
    fixture.set_health("CoordinatorAgent", Health::Good);
    let tool = fixture.tool(&SETTLED);
    let outcome = tool
        .fail(&["stop coordinator-agent=after:125:timed out waiting for file /run/libpod/exits/0: internal libpod error"])
        .run()
        .expect(0);
    assert_eq!(
        outcome.changes(),
        ["stop --time 1 coordinator-agent", "start coordinator-agent"]
    );
    fixture.assert_whole();
}

fn stand(fixture: &Fixture, container: &str, state: &str) {
    fixture.change_state(|all| all["containers"][container]["state"] = json!(state));
}
