//! `--format json` puts one JSON value on stdout and nothing else, with its
//! schema and the command's name, whatever the end.

use serde_json::Value;

use crate::{
    fixture::Fixture,
    tool::{Outcome, Tool},
};

#[test]
fn results() {
    let fixture = Fixture::new();
    for args in [
        &["build-images"][..],
        &["create-networks"],
        &["deploy", "--settle", "0s"],
        &["deploy"],
        &["health-check"],
        &["status"],
        &["doctor"],
        &["down"],
        &["up", "--settle", "0s"],
        &["down", "--networks", "--images", "--volumes"],
    ] {
        let outcome = json(fixture.tool(args)).expect(0);
        assert_envelope(&outcome, args[0]);
        // The preflight of `up` may warn about this very host.
        if args[0] != "up" {
            assert_eq!(outcome.stderr, "", "{args:?}");
        }
    }
    let outcome = json(fixture.tool(&["check-toolchain"])).run();
    assert_envelope(&outcome, "check-toolchain");
}

#[test]
fn dry_runs() {
    let fixture = Fixture::new();
    for args in [
        &["build-images"][..],
        &["create-networks"],
        &["up"],
        &["up", "--install"],
        &["down"],
        &["check-toolchain"],
    ] {
        let outcome = json(fixture.tool(args).args(&["--dry-run"])).run();
        assert_envelope(&outcome, args[0]);
    }
    fixture.run(&["build-images"]).expect(0);
    for command in ["deploy", "up"] {
        let outcome = json(fixture.tool(&[command, "--dry-run"])).expect(0);
        assert_envelope(&outcome, command);
    }
}

#[test]
fn failures() {
    let fixture = Fixture::built();
    let tool = fixture.tool(&["deploy", "--settle", "0s"]);
    let outcome = json(tool.fail(&["start coordinator-agent=exit:3"])).expect(6);
    assert_envelope(&outcome, "deploy");
    let agents = outcome.json()["agents"].clone();
    assert_eq!(agents[1]["result"], "failed");
    assert_eq!(agents[1]["sick"][0]["status"], "exited");
    assert_eq!(agents[2]["result"], "blocked");

    let tool = fixture.tool(&["build-images", "--force"]);
    let outcome = json(tool.fail(&["build=125:no"])).expect(5);
    assert_envelope(&outcome, "build-images");
    fixture.run(&["down"]).expect(0);
    assert_envelope(
        &json(fixture.tool(&["health-check"])).expect(7),
        "health-check",
    );

    fixture.edit_manifest("schema = 1", "schema = 1\nunknown = 2");
    let outcome = json(fixture.tool(&["deploy"])).expect(3);
    assert_envelope(&outcome, "error");
    assert_eq!(outcome.json()["problems"].as_array().map(Vec::len), Some(1));
}

/// One JSON object a line, as logs have no end.
#[test]
fn logs() {
    let fixture = Fixture::deployed();
    fixture.write("podman/logs/emotion-engine", "one\ntwo\n");
    let outcome = json(fixture.tool(&["logs"])).expect(0);
    let lines: Vec<Value> = outcome
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("a JSON line"))
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (&lines[1]["agent"], &lines[1]["text"]),
        (&"EmotionEngine".into(), &"two".into())
    );
}

fn json(tool: Tool) -> Tool {
    tool.args(&["--format", "json"])
}

#[track_caller]
fn assert_envelope(outcome: &Outcome, command: &str) {
    let value = outcome.json();
    assert_eq!(value["schema"], 1, "{command}");
    assert_eq!(value["command"], command);
}
