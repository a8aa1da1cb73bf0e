//! `deploy`: order, bounds, idempotence and its word on agents that fail.

use std::fs;

use crate::{
    agents::Health,
    fixture::{AGENTS, Fixture},
    golden,
    tool::only_looks,
};

#[test]
fn a_first_deployment() {
    let fixture = Fixture::built();
    let outcome = fixture.deploy().expect(0);
    fixture.assert_whole();
    golden::check_in_full("deploy_first", &fixture, &outcome);
}

#[test]
fn containers_are_created_ahead_and_started_in_order_behind_their_gates() {
    let fixture = Fixture::built();
    for (agent, _) in AGENTS {
        fixture.set_health(agent, Health::GoodAfter(250));
    }
    let outcome = fixture.run(&["deploy", "--settle", "0s"]).expect(0);
    let starts: Vec<u64> = AGENTS
        .map(|(_, container)| outcome.began(&format!("start {container}")))
        .to_vec();
    // The last creations may be a moment behind the first start.
    for (_, container) in AGENTS {
        let created = outcome.began(&format!("create --name {container} "));
        assert!(created < starts[1], "{container} was not created ahead");
    }
    for (index, (agent, _)) in AGENTS.iter().enumerate().take(4) {
        let healthy = fixture.agents.book.first_good(agent);
        assert!(starts[index] < healthy, "{agent} answered before its start");
        let next = AGENTS[index + 1].0;
        assert!(
            healthy <= starts[index + 1],
            "{next} did not wait for {agent}"
        );
    }
}

#[test]
fn by_dependencies_groups_start_side_by_side() {
    let fixture = Fixture::built();
    fixture.set_health("SystemDigitalTwin", Health::GoodAfter(700));
    let args = ["deploy", "--settle", "0s", "--order", "dependencies"];
    let outcome = fixture.run(&args).expect(0);
    let healthy = fixture.agents.book.first_good("SystemDigitalTwin");
    assert!(outcome.began("start model-manager-agent") < healthy);
    assert!(outcome.began("start coordinator-agent") >= healthy);
}

#[test]
fn no_more_calls_at_once_than_jobs() {
    for (jobs, expected, slow) in [("1", 1, 100), ("2", 2, 250), ("4", 4, 600)] {
        let fixture = Fixture::built();
        let tool = fixture.tool(&["deploy", "--settle", "0s", "--jobs", jobs]);
        let outcome = tool.fail(&[&format!("create=slow:{slow}")]).run().expect(0);
        let most = outcome.most_at_once(|call| !only_looks(call));
        assert_eq!(most, expected, "--jobs {jobs}");
    }
}

#[test]
fn a_second_deployment_makes_three_calls_that_only_look() {
    let fixture = Fixture::deployed();
    let before = fixture.state();
    let outcome = fixture.run(&["deploy"]).expect(0);
    let mut calls = outcome.calls();
    calls.sort();
    assert_eq!(
        calls,
        [
            "images --format json",
            "network ls --format json",
            "ps --all --external --format json",
        ]
    );
    assert_eq!(fixture.state(), before);
    golden::check("deploy_second", &fixture, &outcome);
}

#[test]
fn the_settle_window_looks_once_more() {
    let fixture = Fixture::built();
    let args = [
        "deploy",
        "--settle",
        "500ms",
        "SystemDigitalTwin",
        "--jobs",
        "1",
    ];
    golden::check("deploy_settle", &fixture, &fixture.run(&args).expect(0));

    fixture.run(&["down"]).expect(0);
    let running = fixture
        .tool(&["deploy", "--settle", "1500ms", "SystemDigitalTwin"])
        .start();
    running.wait_for_stderr("settling");
    fixture.change_state(|state| {
        let container = &mut state["containers"]["system-digital-twin"];
        container["state"] = "exited".into();
        container["exit_code"] = 137.into();
    });
    let outcome = running.end().expect(6);
    outcome.says("SystemDigitalTwin is not healthy: exited with code 137");
}

#[test]
fn names_bring_what_they_depend_on() {
    let fixture = Fixture::built();
    let outcome = fixture.run(&["deploy", "--settle", "0s", "coordinator-agent"]);
    let outcome = outcome.expect(0);
    outcome.position("start system-digital-twin");
    assert_eq!(fixture.containers().len(), 2);

    let fixture = Fixture::built();
    let args = ["deploy", "--settle", "0s", "--no-deps", "CoordinatorAgent"];
    fixture.run(&args).expect(0);
    assert_eq!(fixture.containers().len(), 1);
}

#[test]
fn an_agent_that_exits_at_once() {
    let fixture = Fixture::built();
    fixture.write(
        "podman/logs/coordinator-agent",
        "starting\nno module named zmq\n",
    );
    let tool = fixture.tool(&["deploy", "--settle", "0s", "--jobs", "1"]);
    let outcome = tool
        .fail(&["start coordinator-agent=exit:3"])
        .run()
        .expect(6);
    golden::check("deploy_exits_at_once", &fixture, &outcome);
    // What came before it stays up, and the next run completes.
    assert_eq!(
        fixture.state()["containers"]["system-digital-twin"]["state"],
        "running"
    );
    fixture.deploy().expect(0);
    fixture.assert_whole();
}

#[test]
fn an_exited_agent_is_started_again_as_often_as_the_manifest_says() {
    let fixture = Fixture::built();
    fixture.edit_manifest("start_attempts = 1", "start_attempts = 3");
    fixture.edit_manifest(
        "[groups.core-services]",
        "[groups.core-services]\nrestart = \"no\"",
    );
    let tool = fixture.tool(&["deploy", "--settle", "0s", "SystemDigitalTwin"]);
    let rules = [
        "start system-digital-twin=once:125:database is locked",
        "start=exit:1",
    ];
    let outcome = tool.fail(&rules).run().expect(6);
    outcome.says("3 attempts");
    let starts = outcome
        .calls()
        .iter()
        .filter(|call| call.starts_with("start "))
        .count();
    assert_eq!(starts, 4, "one for the locked database, three attempts");
}

#[test]
fn an_agent_that_answers_an_error() {
    let fixture = Fixture::built();
    fixture.shorten_patience("ModelManagerAgent");
    let sick = Health::Reply(r#"{"status": "error", "detail": "no model"}"#);
    fixture.set_health("ModelManagerAgent", sick);
    let outcome = fixture.deploy().expect(6);
    golden::check("deploy_answers_an_error", &fixture, &outcome);
}

#[test]
fn a_port_that_is_taken() {
    let fixture = Fixture::built();
    let port = fixture.health_port("CoordinatorAgent");
    let take = || std::net::TcpListener::bind(("127.0.0.1", port)).expect("reserved");
    let listener = take();
    let outcome = fixture.deploy().expect(9);
    outcome.says(&format!(
        "port {port}, which CoordinatorAgent publishes, is taken"
    ));
    assert!(!outcome.changes().join(" ").contains("coordinator-agent"));
    drop(listener);
    fixture.run(&["down"]).expect(0);
    // Taken once the host has been looked at.
    let rule = format!(
        "start coordinator-agent=126:rootlessport listen tcp 127.0.0.1:{port}: bind: address already in use"
    );
    let tool = fixture.tool(&["deploy", "--settle", "0s", "--jobs", "1"]);
    let running = tool.fail(&[&rule]).start();
    running.wait_for_call("create --name system-digital-twin");
    let listener = take();
    let outcome = running.end().expect(6);
    let words = format!("port {port} on 127.0.0.1 is taken by `");
    outcome
        .says(&words)
        .says(&format!("(process {})", std::process::id()));
    outcome.says("blocks 3: ChainOfThoughtAgent, ModelManagerAgent, EmotionEngine");
    drop(listener);
    fixture.deploy().expect(0);
    fixture.assert_whole();
}

#[test]
fn an_address_that_is_still_leased_is_cleaned_up_once() {
    let fixture = Fixture::built();
    let tool = fixture.tool(&["deploy", "--settle", "0s", "SystemDigitalTwin"]);
    let rule = "start=once:126:IPAM error: requested ip address 10.201.0.10 is already allocated";
    let outcome = tool.fail(&[rule]).run().expect(0);
    outcome.position("container cleanup system-digital-twin");
}

#[test]
fn an_optional_agent_without_an_implementation() {
    let fixture = Fixture::built();
    let outcome = fixture.run(&["deploy", "TinyLlamaService"]).expect(3);
    golden::check("deploy_not_implemented", &fixture, &outcome);
}

#[test]
fn images_that_are_missing_or_out_of_date() {
    let fixture = Fixture::new();
    let outcome = fixture.deploy().expect(5);
    golden::check("deploy_without_images", &fixture, &outcome);

    let fixture = Fixture::built();
    let script = fixture.path("repo/containers/monorepo/main_pc_code/agents/new.py");
    fs::write(script, "print()").expect("a file");
    let outcome = fixture.deploy().expect(0);
    outcome.says("image `trial-core-services` is out of date");
}

#[test]
fn options_that_the_host_needs_go_into_every_call() {
    let fixture = Fixture::new();
    let needs = "--cgroup-manager cgroupfs";
    let tool = |args: &[&str]| fixture.tool(args).env("FAKE_PODMAN_NEEDS", needs);
    tool(&["build-images"]).run().expect(0);
    let outcome = tool(&["deploy", "--settle", "0s"]).run().expect(0);
    let bare = outcome
        .calls()
        .into_iter()
        .find(|call| !call.starts_with(needs));
    assert_eq!(bare, None);

    let fixture = Fixture::new();
    let tool = fixture
        .tool(&["build-images"])
        .env("FAKE_PODMAN_NEEDS", "--root /x");
    let outcome = tool.run().expect(4);
    outcome.says("podman cannot run a container on this host");
}

#[test]
fn a_change_to_what_is_gone_is_made_once_and_a_look_that_trips_again() {
    let fixture = Fixture::built();
    let gone = "create system-digital-twin=125:localhost/trial/trial-core: image not known";
    let deploy = ["deploy", "--settle", "0s", "SystemDigitalTwin"];
    let outcome = fixture.tool(&deploy).fail(&[gone]).run().expect(6);
    let count = |verb: &str| {
        let calls = outcome.calls();
        calls.iter().filter(|call| call.starts_with(verb)).count()
    };
    assert_eq!(count("create "), 1, "{:?}", outcome.calls());

    let trips = "images=once:125:0123456789ab: image not known";
    let outcome = fixture.tool(&deploy).fail(&[trips]).run().expect(0);
    let calls = outcome.calls();
    let looks = calls.iter().filter(|call| call.starts_with("images "));
    assert_eq!(looks.count(), 2, "{calls:?}");
}
