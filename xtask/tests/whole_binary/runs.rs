//! What runs leave behind: numbered folders with the evidence of what failed.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use serde_json::Value;

use crate::fixture::Fixture;

const LOG: &str = "\
2026-11-23T00:36:07.100000000+00:00 stdout F starting
2026-11-23T00:36:07.200000000+00:00 stderr P no module
2026-11-23T00:36:07.300000000+00:00 stderr F  named zmq
";

fn runs(fixture: &Fixture) -> PathBuf {
    fixture.path("home/.local/state/ai-system-xtask/trial/runs")
}

fn numbers(fixture: &Fixture) -> Vec<String> {
    let folders = fs::read_dir(runs(fixture)).into_iter().flatten();
    let names = folders.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn read(fixture: &Fixture, below: &str) -> String {
    fs::read_to_string(runs(fixture).join(below)).unwrap_or_else(|error| panic!("{below}: {error}"))
}

fn json(fixture: &Fixture, below: &str) -> Value {
    serde_json::from_str(&read(fixture, below)).unwrap()
}

/// Run 1 has built the images.
fn failed() -> Fixture {
    let fixture = Fixture::built();
    fixture.edit_manifest(
        "MODE = \"plain\"",
        "MODE = \"plain\", API_TOKEN = \"hush-hush\"",
    );
    fixture.write("podman/ctr-logs/coordinator-agent", LOG);
    let tool = fixture.tool(&["deploy", "--settle", "0s", "--jobs", "1"]);
    let outcome = tool
        .fail(&["start coordinator-agent=exit:3"])
        .run()
        .expect(6);
    let outcome = outcome.says("`cargo xtask logs --run 2 CoordinatorAgent`");
    let outcome = outcome.says("run 2: 1 whole log in");
    // It was taken while there was something to take.
    let logged = outcome.position("container inspect coordinator-agent");
    assert!(logged < outcome.position("stop --time 1 coordinator-agent"));
    fixture
}

#[test]
fn a_failed_run_keeps_what_it_takes_to_understand_it() {
    let fixture = failed();
    assert_eq!(numbers(&fixture), ["0001", "0002"]);
    let run = json(&fixture, "0002/run.json");
    assert_eq!((&run["run"], &run["exit_code"]), (&2.into(), &6.into()));
    assert_eq!(
        run["command_line"],
        "cargo xtask deploy --settle 0s --jobs 1"
    );
    assert_eq!(
        run["failed_agents"],
        serde_json::json!(["CoordinatorAgent"])
    );
    assert!(run["ended"].is_string(), "{run}");
    assert_eq!(read(&fixture, "0002/CoordinatorAgent.log"), LOG);
    let inspected = json(&fixture, "0002/CoordinatorAgent.inspect.json");
    assert_eq!(inspected[0]["State"]["ExitCode"], 3);
    let plan = json(&fixture, "0002/plan.json");
    assert!(plan["plans"][0]["steps"].as_array().unwrap().len() > 5);
    let environment = json(&fixture, "0002/environment.json");
    assert_eq!(environment["podman"]["version"], serde_json::json!("4.3.1"));
    assert_eq!(json(&fixture, "0001/run.json")["result"], "success");
}

#[test]
fn evidence_is_private_and_holds_no_secret() {
    let fixture = failed();
    let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = runs(&fixture).join("0002");
    assert_eq!(mode(&runs(&fixture)), 0o700);
    assert_eq!(mode(&folder), 0o700);
    let mut files = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{path:?}");
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("hush-hush"), "{path:?}:\n{text}");
        files += 1;
    }
    // No other than these: nothing half written is left.
    assert_eq!(files, 5);
    assert!(read(&fixture, "0002/plan.json").contains("\"API_TOKEN\": \"[redacted]\""));
    let inspected = read(&fixture, "0002/CoordinatorAgent.inspect.json");
    assert!(inspected.contains("API_TOKEN=[redacted]"), "{inspected}");
    assert!(inspected.contains("MODE=plain"), "{inspected}");
}

#[test]
fn logs_of_a_run_outlive_its_containers() {
    let fixture = failed();
    fixture.run(&["down"]).expect(0);
    fs::remove_file(fixture.path("podman/ctr-logs/coordinator-agent")).unwrap();
    let expected = "CoordinatorAgent  starting\nCoordinatorAgent  no module named zmq\n";
    for args in [
        &["logs", "--run", "2"][..],
        &["logs", "--run", "2", "CoordinatorAgent"],
        &["logs", "--run", "2", "core-services"],
        &["logs", "--failed"],
        &["logs", "--previous", "CoordinatorAgent"],
    ] {
        let outcome = fixture.run(args).expect(0);
        assert_eq!(outcome.stdout, expected, "{args:?}");
    }
    let outcome = fixture
        .run(&["logs", "--failed", "--grep", "ZMQ"])
        .expect(0);
    assert_eq!(outcome.stdout, "CoordinatorAgent  no module named zmq\n");
    assert_eq!(outcome.stderr, "1 match in 2 lines of 1 agent\n");
    for (args, said) in [
        (
            &["logs", "--run", "9"][..],
            "there is no run 9\nhint: runs 1 to 3 are kept",
        ),
        (
            &["logs", "--run", "1"],
            "run 1 has kept no log: no agent failed in it",
        ),
        (
            &["logs", "--run", "2", "EmotionEngine"],
            "run 2 has kept no log of EmotionEngine\nhint: it has logs of CoordinatorAgent",
        ),
        (&["logs", "--run", "2", "--follow"], "cannot be used with"),
    ] {
        fixture.run(args).expect(2).says(said);
    }
}

#[test]
fn only_runs_that_change_something_have_a_number() {
    let fixture = Fixture::deployed();
    let before = numbers(&fixture);
    assert_eq!(before, ["0001", "0002"]);
    let outcome = fixture.deploy().expect(0);
    assert!(!outcome.stderr.contains("run "), "{}", outcome.stderr);
    fixture
        .run(&["deploy", "--recreate", "--dry-run"])
        .expect(0);
    fixture.run(&["build-images"]).expect(0);
    fixture.run(&["logs"]).expect(0);
    assert_eq!(numbers(&fixture), before);
    let args = ["down", "EmotionEngine", "--format", "json"];
    let outcome = fixture.run(&args).expect(0);
    assert_eq!(outcome.json()["run"], 3);
}

#[test]
fn where_evidence_cannot_be_kept_the_run_goes_on() {
    let fixture = Fixture::built();
    fixture.write("tmp/no-folder", "");
    fixture.write("podman/logs/coordinator-agent", "no module named zmq\n");
    let deploy = || {
        let tool = fixture.tool(&["deploy", "--settle", "0s"]);
        tool.env("XDG_STATE_HOME", fixture.path("tmp/no-folder"))
    };
    let outcome = deploy().fail(&["start coordinator-agent=exit:3"]);
    outcome
        .run()
        .expect(6)
        .says("warning: evidence of this run cannot be kept")
        .says("no module named zmq")
        .says("`cargo xtask logs CoordinatorAgent`");
    deploy().expect(0);
    fixture.assert_whole();
}

#[test]
fn a_log_that_is_no_file_is_asked_of_podman() {
    let fixture = Fixture::built();
    fixture.write("podman/logs/coordinator-agent", "starting\nno module\n");
    let tool = fixture.tool(&["deploy", "--settle", "0s"]);
    tool.fail(&["start coordinator-agent=exit:3"]).expect(6);
    let text = "2026-01-02T03:04:05.000000000Z stdout F starting\n\
                2026-01-02T03:04:05.000000000Z stdout F no module\n";
    assert_eq!(read(&fixture, "0002/CoordinatorAgent.log"), text);
    let outcome = fixture.run(&["logs", "--failed", "-t"]).expect(0);
    assert!(
        outcome
            .stdout
            .ends_with("2026-01-02 03:04:05.000  CoordinatorAgent  no module\n"),
        "{}",
        outcome.stdout
    );
}
