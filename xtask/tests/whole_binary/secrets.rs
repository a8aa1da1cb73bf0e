//! Secrets: what podman is given, when it is forgotten, and that no value is seen on
//! the way.

use std::{fs, path::Path};

use serde_json::Value;

use crate::{
    fixture::Fixture,
    testing,
    tool::{Outcome, Tool},
};

/// Values that stand nowhere else.
const KEY: &str = "sk-Vq7-first-value";
const FILE: &str = "Zw3-second-value";
const PRINTED: &str = "Rt9-third-value";
const LINE: &str = "Hn5-fourth-value";

const SECRETS: &str = r#"
[secrets]
KEY = { env = "TRIAL_KEY" }
FILE = { file = "password" }
PRINTED = { command = ["./print-it"] }
"#;

/// A system that is built, and whose third agent has secrets of all kinds.
fn fixture() -> Fixture {
    with_secrets(Fixture::built())
}

fn with_secrets(fixture: Fixture) -> Fixture {
    let script = "agents.ChainOfThoughtAgent]";
    let given = "\nsecrets = [\"KEY\", \"FILE\", { secret = \"PRINTED\", env = \"TOKEN\" }]\n\
                 env_file = [\"agent.env\"]";
    fixture.edit_manifest(script, &format!("{script}{given}"));
    fixture.edit_manifest(
        "[groups.core-services]\n",
        &format!("{SECRETS}[groups.core-services]\n"),
    );
    fixture.write("repo/containers/password", &format!("{FILE}\n"));
    fixture.write(
        "repo/containers/agent.env",
        &format!("# shared\nLINE={LINE}\nPORT=1\n"),
    );
    // Programs of a manifest are found from its folder.
    fixture.script("print-it", &format!("echo {PRINTED}"));
    let from = fixture.path("bin/print-it");
    fs::rename(from, fixture.path("repo/containers/print-it")).expect("a script");
    fixture
}

fn tool(fixture: &Fixture, args: &[&str]) -> Tool {
    fixture.tool(args).env("TRIAL_KEY", KEY)
}

fn deploy(fixture: &Fixture) -> Outcome {
    tool(fixture, &["deploy", "--settle", "0s", "--jobs", "1"]).run()
}

/// Values by the names of the secrets, without their versions.
fn kept(fixture: &Fixture) -> Vec<(String, String)> {
    let state = fixture.state();
    let secrets = state["secrets"].as_object().into_iter().flatten();
    let plain = |(name, secret): (&String, &Value)| {
        let (name, version) = name.rsplit_once('-').expect("a version");
        assert_eq!(version.len(), 12);
        (
            name.to_owned(),
            secret["value"].as_str().unwrap_or_default().to_owned(),
        )
    };
    secrets.map(plain).collect()
}

/// No value is in what was said, in what podman was called with, or in a file that
/// the tool has written.
#[track_caller]
fn assert_hidden(fixture: &Fixture, outcome: &Outcome) {
    let mut texts = vec![outcome.stdout.clone(), outcome.stderr.clone()];
    texts.extend(outcome.calls());
    for folder in ["cache", "home", "tmp"] {
        read_all(&fixture.path(folder), &mut texts);
    }
    for value in [KEY, FILE, PRINTED, LINE] {
        let seen = texts.iter().find(|text| text.contains(value));
        assert_eq!(seen, None, "`{value}` is seen");
    }
}

fn read_all(folder: &Path, texts: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        match entry.path().is_dir() {
            true => read_all(&entry.path(), texts),
            false => {
                let bytes = fs::read(entry.path()).unwrap_or_default();
                texts.push(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    }
}

#[test]
fn podman_is_given_every_value_and_nobody_sees_one() {
    let fixture = fixture();
    for more in [&["--dry-run"][..], &["--dry-run", "--format", "json"]] {
        let args = [&["deploy", "--settle", "0s"], more].concat();
        let outcome = tool(&fixture, &args).expect(0);
        assert_eq!(outcome.changes(), [""; 0]);
        assert!(outcome.stdout.contains("TRIAL_KEY"), "{}", outcome.stdout);
        assert_hidden(&fixture, &outcome);
        if more.len() > 1 {
            outcome.json();
        }
    }
    let outcome = tool(&fixture, &["--verbose", "deploy", "--settle", "0s"]).expect(0);
    assert_hidden(&fixture, &outcome);
    fixture.assert_whole();
    let expected = [
        ("trial-FILE", format!("{FILE}\n")),
        ("trial-KEY", KEY.to_owned()),
        ("trial-LINE", LINE.to_owned()),
        ("trial-PRINTED", PRINTED.to_owned()),
    ];
    assert_eq!(
        kept(&fixture),
        expected.map(|(name, value)| (name.to_owned(), value))
    );
    for args in [
        &["status", "--format", "json"][..],
        &["doctor"],
        &["logs"],
        &["-v", "status"],
    ] {
        assert_hidden(&fixture, &tool(&fixture, args).run());
    }
    // With nothing to do there are two more listings than without secrets.
    let again = deploy(&fixture).expect(0);
    assert_eq!((again.changes(), again.calls().len()), (Vec::new(), 5));
}

#[test]
fn a_changed_value_replaces_the_agents_that_have_it() {
    let fixture = fixture();
    deploy(&fixture).expect(0);
    let status = |fixture: &Fixture| {
        let fleet = tool(fixture, &["status", "--format", "json"]).run().json();
        let agents = fleet["agents"].as_array().expect("agents").clone();
        let changed = agents
            .iter()
            .filter(|agent| agent["configuration"] == "changed");
        changed
            .map(|agent| agent["name"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(status(&fixture), [Value::Null; 0]);
    // Who only looks may lack the variable; then it is taken to be as it was.
    let bare = fixture.run(&["status", "--format", "json"]).json();
    assert!(!bare.to_string().contains("\"changed\""), "{bare}");
    for (file, text) in [
        ("password", "another one\n"),
        ("agent.env", "LINE=another line\n"),
        ("print-it", "#!/bin/sh\necho another print\n"),
    ] {
        fixture.write(&format!("repo/containers/{file}"), text);
        // Who only looks runs no command.
        let told = usize::from(file != "print-it");
        assert_eq!(status(&fixture).len(), told, "{file}");
        let outcome = deploy(&fixture).expect(0);
        let created = outcome.changes();
        let created: Vec<&String> = created
            .iter()
            .filter(|call| call.starts_with("create "))
            .collect();
        assert_eq!(created.len(), 1, "{created:?}");
        assert!(
            created[0].contains("chain-of-thought-agent-next"),
            "{created:?}"
        );
        let removed = outcome.position("secret rm");
        assert_eq!(
            removed,
            outcome.calls().len() - 1,
            "the old value goes last"
        );
        fixture.assert_whole();
    }
    assert_eq!(kept(&fixture).len(), 4);
    fixture.run(&["down"]).expect(0);
    assert_eq!(kept(&fixture), []);
}

#[test]
fn the_container_that_is_put_back_has_its_old_value() {
    let fixture = fixture();
    deploy(&fixture).expect(0);
    fixture.write(
        "repo/containers/print-it",
        "#!/bin/sh\necho another print\n",
    );
    let failing = tool(&fixture, &["deploy", "--settle", "0s", "--jobs", "1"])
        .fail(&["start chain-of-thought-agent=once:125:no luck"])
        .expect(6);
    assert_hidden(&fixture, &failing);
    fixture.assert_whole();
    // Once it works, the old value goes.
    deploy(&fixture).expect(0);
    assert_eq!(kept(&fixture).len(), 4);
}

#[test]
fn what_cannot_be_read_ends_it_before_anything_is_touched() {
    let fixture = fixture();
    fs::remove_file(fixture.path("repo/containers/password")).expect("a file");
    let outcome = fixture.deploy().expect(3);
    assert_eq!(outcome.calls(), [""; 0]);
    let manifest = fixture.path("repo/containers/system.toml");
    let text = fs::read_to_string(&manifest).expect("a manifest");
    for (name, why) in [
        ("KEY", "the environment variable `TRIAL_KEY` is not set"),
        ("FILE", "cannot read"),
    ] {
        let line = text
            .lines()
            .position(|line| line.starts_with(&format!("{name} = {{")));
        let line = line.expect("a line") + 1;
        outcome.says(&format!("system.toml:{line}: secret `{name}`: {why}"));
    }
    // Agents without secrets are none the worse for it.
    fixture
        .run(&["deploy", "CoordinatorAgent", "--settle", "0s"])
        .expect(0);
    assert_eq!(fixture.containers().len(), 2);
}

#[test]
fn a_failing_call_shows_no_value() {
    let fixture = fixture();
    let message = format!("cannot write {KEY} to the disk");
    let rule = format!("secret create=125:{message}");
    let outcome = tool(&fixture, &["-v", "deploy", "--settle", "0s"])
        .fail(&[&rule])
        .expect(6);
    outcome.says("cannot write … to the disk");
    assert_hidden(&fixture, &outcome);
    assert_eq!(fixture.containers(), []);
    // Nor does one of a variable in `env` whose name looks like that of a secret.
    let fixture = Fixture::built();
    fixture.edit_manifest("MODE = \"plain\"", &format!("API_KEY = \"{KEY}\""));
    let rule = format!("create coordinator-agent=125:invalid environment variable: {KEY}");
    let outcome = fixture
        .tool(&["-v", "deploy", "--settle", "0s"])
        .fail(&[&rule])
        .expect(6);
    outcome.says("API_KEY=…");
    assert!(!outcome.stderr.contains(KEY), "{}", outcome.stderr);
}

#[test]
fn a_secret_of_podmans_own_is_used_and_left_alone() {
    let fixture = Fixture::built();
    let script = "agents.CoordinatorAgent]";
    fixture.edit_manifest(script, &format!("{script}\nsecrets = [\"THEIRS\"]"));
    let tables = "[secrets]\nTHEIRS = { podman = \"trial-theirs\" }\n[groups.core-services]\n";
    fixture.edit_manifest("[groups.core-services]\n", tables);
    let outcome = fixture.deploy().expect(9);
    let of_it = |call: &String| call.contains("coordinator-agent");
    assert!(
        !outcome.changes().iter().any(of_it),
        "{:?}",
        outcome.calls()
    );
    outcome.says("CoordinatorAgent needs podman's secret `trial-theirs`, which does not exist");
    let put = |id: &str| {
        let secret = serde_json::json!({ "id": id, "labels": {}, "value": "x" });
        fixture
            .change_state(|state| state["secrets"] = serde_json::json!({ "trial-theirs": secret }));
    };
    put("1");
    fixture.deploy().expect(0);
    assert_eq!(fixture.deploy().expect(0).changes(), [""; 0]);
    put("2");
    let outcome = fixture.deploy().expect(0);
    outcome.position("create --name coordinator-agent-next");
    fixture.run(&["down"]).expect(0);
    assert!(fixture.state()["secrets"]["trial-theirs"].is_object());
}

/// The copy of a system has secrets under names of its own, which go with it.
#[test]
fn a_copy_of_the_system_has_secrets_of_its_own() {
    let fixture = with_secrets(testing::fixture(false));
    deploy(&fixture).expect(0);
    let before = kept(&fixture);
    // Nobody answers for the copy.
    fixture.edit_manifest("start_timeout_s = 10", "start_timeout_s = 1");
    let outcome = tool(&fixture, &["test-integration", "--isolated"]).expect(6);
    assert_hidden(&fixture, &outcome);
    for name in ["FILE", "KEY", "LINE", "PRINTED"] {
        for verb in ["create --label ai-system.system=trial-test", "rm"] {
            outcome.position(&format!("secret {verb} trial-test-{name}-"));
        }
    }
    let given = outcome.position("create --name chain-of-thought-agent-test");
    assert!(outcome.calls()[given].contains("--secret trial-test-KEY-"));
    assert_eq!(kept(&fixture), before);
    fixture.assert_whole();
}
