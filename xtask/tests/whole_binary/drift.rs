//! Containers and networks that were changed behind the tool's back.

use serde_json::{Value, json};

use crate::fixture::{AGENTS, Fixture};

const TWIN: &str = "system-digital-twin";

/// Changes a word behind `create`, as if the container had been made with it.
fn remake(fixture: &Fixture, container: &str, option: &str, value: &str) {
    fixture.change_state(|state| {
        let words = state["containers"][container]["create"]
            .as_array_mut()
            .expect("words");
        let at = words
            .iter()
            .position(|word| word == option)
            .expect("an option");
        words[at + 1] = value.into();
    });
}

/// Agent to its configuration and the first difference.
fn told(fixture: &Fixture, args: &[&str]) -> Vec<(String, String, String)> {
    let outcome = fixture
        .run(&[&["status", "--format", "json"], args].concat())
        .expect(0);
    let told = outcome.json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = told["agents"].as_array().expect("agents").iter();
    rows.filter(|row| row["configuration"] != "current")
        .map(|row| {
            let difference = &row["differences"][0]["text"];
            (
                text(&row["name"]),
                text(&row["configuration"]),
                text(difference),
            )
        })
        .collect()
}

fn drifted(text: &str) -> Vec<(String, String, String)> {
    vec![("SystemDigitalTwin".into(), "drifted".into(), text.into())]
}

#[test]
fn a_network_less_or_more_is_seen_without_a_further_call() {
    let fixture = Fixture::deployed();
    let networks = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
        fixture.change_state(|state| {
            let networks = &mut state["containers"][TWIN]["networks"];
            change(networks.as_object_mut().expect("networks"));
        });
    };
    let before = fixture.run(&["status"]).expect(0).calls().len();
    networks(&|networks| drop(networks.remove("trial-backbone")));
    let disconnected = "was disconnected from network `trial-backbone`";
    assert_eq!(told(&fixture, &[]), drifted(disconnected));
    let outcome = fixture.run(&["status"]).expect(0);
    assert_eq!(outcome.calls().len(), before);
    assert!(
        outcome.stdout.contains("drifted (networks)"),
        "{}",
        outcome.stdout
    );
    assert!(
        outcome.stderr.contains("`cargo xtask deploy` replaces"),
        "{}",
        outcome.stderr
    );
    let outcome = fixture.deploy().expect(0);
    assert!(outcome.began(&format!("create --name {TWIN}-next ")) > 0);
    fixture.assert_whole();
    assert_eq!(told(&fixture, &[]), []);

    networks(&|networks| drop(networks.insert("podman".into(), Value::Null)));
    assert_eq!(
        told(&fixture, &[]),
        drifted("was connected to network `podman`")
    );
    fixture.deploy().expect(0);
    assert_eq!(told(&fixture, &[]), []);
    assert_eq!(fixture.run(&["deploy"]).expect(0).calls().len(), 3);
}

#[test]
fn a_closer_look_is_one_call_and_finds_nothing_where_nothing_was_changed() {
    let fixture = Fixture::deployed();
    assert_eq!(told(&fixture, &["--deep"]), []);
    let outcome = fixture.run(&["deploy", "--verify"]).expect(0);
    let mut names = AGENTS.map(|(_, container)| container);
    names.sort_unstable();
    let inspect = format!("container inspect {}", names.join(" "));
    assert_eq!(outcome.calls().len(), 4);
    assert!(outcome.calls().contains(&inspect), "{:?}", outcome.calls());
    fixture.assert_whole();
}

#[test]
fn settings_changed_by_hand_are_told_and_put_right_on_demand() {
    let fixture = Fixture::deployed();
    for (option, value, text) in [
        ("--memory", "64m", "memory limit is 64 MB, should be 512 MB"),
        (
            "--memory-swap",
            "640m",
            "swap limit is 128 MB, should be 0 MB",
        ),
        (
            "--restart",
            "always",
            "restart policy is always, should be on-failure:3",
        ),
        (
            "--env",
            "AGENT_NAME=Other",
            "variable `AGENT_NAME` has another value",
        ),
    ] {
        remake(&fixture, TWIN, option, value);
        assert_eq!(told(&fixture, &[]), [], "{option} is not in a listing");
        assert_eq!(told(&fixture, &["--deep"]), drifted(text), "{option}");
        fixture.run(&["deploy", "--settle", "0s"]).expect(0);
        assert_eq!(told(&fixture, &["--deep"]), drifted(text), "{option}");
        let verify = ["deploy", "--settle", "0s", "--verify"];
        let dry = fixture
            .run(&[&verify[..], &["--dry-run"]].concat())
            .expect(0);
        assert!(dry.stdout.contains(text), "{}", dry.stdout);
        fixture.run(&verify).expect(0);
        assert_eq!(told(&fixture, &["--deep"]), [], "{option}");
        assert_eq!(fixture.run(&verify).expect(0).calls().len(), 4, "{option}");
    }
    fixture.assert_whole();
}

#[test]
fn a_network_that_lost_its_isolation_stops_a_deployment_and_is_put_right() {
    let fixture = Fixture::deployed();
    let open = |labels: Value| {
        fixture.change_state(|state| {
            let network = &mut state["networks"]["trial-backbone"];
            network["options"] = json!({});
            if !labels.is_null() {
                network["labels"] = labels;
            }
        });
    };
    open(Value::Null);
    let outcome = fixture.run(&["deploy"]).expect(11);
    let words = "is not kept apart from other networks (`isolate = true`)";
    assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    fixture.run(&["down"]).expect(0);
    fixture.run(&["create-networks", "--recreate"]).expect(0);
    fixture.deploy().expect(0);
    fixture.assert_whole();

    open(json!({}));
    let outcome = fixture.run(&["deploy"]).expect(11);
    assert!(
        outcome.stderr.contains("which this tool did not create"),
        "{}",
        outcome.stderr
    );
    fixture.run(&["down"]).expect(0);
    fixture.change_state(|state| {
        let networks = state["networks"].as_object_mut().expect("networks");
        networks.remove("trial-backbone");
    });
    fixture.deploy().expect(0);
    fixture.assert_whole();
}

#[test]
fn a_file_that_counts_replaces_the_agents_that_have_it() {
    let fixture = Fixture::built();
    let mount = "{ host = \"config\", target = \"/app/config\", read_only = true";
    fixture.edit_manifest(mount, &format!("{mount}, restart_on_change = true"));
    fixture.write("repo/containers/monorepo/config/rules.yaml", "a: 1\n");
    fixture.deploy().expect(0);
    assert_eq!(fixture.run(&["deploy"]).expect(0).calls().len(), 3);
    fixture.write("repo/containers/monorepo/config/rules.yaml", "a: 2\n");
    let rows = told(&fixture, &[]);
    assert_eq!(rows.len(), 3, "those of the group: {rows:?}");
    assert_eq!(
        (&*rows[0].1, &*rows[0].2),
        ("changed", "config/rules.yaml changed")
    );
    let dry = fixture.run(&["deploy", "--dry-run"]).expect(0);
    assert!(
        dry.stdout.contains("config/rules.yaml changed"),
        "{}",
        dry.stdout
    );
    fixture.deploy().expect(0);
    assert_eq!(told(&fixture, &[]), []);
    fixture.assert_whole();

    for index in 0..100 {
        fixture.write(&format!("repo/containers/monorepo/config/{index}.yaml"), "");
    }
    let outcome = fixture.run(&["deploy"]).expect(3);
    let words = "`config` has `restart_on_change` and holds more than 100 files";
    assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
}
