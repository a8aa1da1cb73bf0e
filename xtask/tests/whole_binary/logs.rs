//! `logs`: read from files, searched, and followed through what becomes of
//! containers.

use std::{fs::OpenOptions, io::Write};

use rustix::process::Signal;
use serde_json::Value;

use crate::fixture::Fixture;

fn append(fixture: &Fixture, container: &str, text: &str) {
    let path = fixture.path("podman/ctr-logs").join(container);
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

fn line(second: u32, text: &str) -> String {
    format!("2026-11-23T00:36:{second:02}.5+00:00 stdout F {text}\n")
}

/// Two agents have log files, in which some lines are in pieces.
fn talking() -> Fixture {
    let fixture = Fixture::deployed();
    fixture.write("podman/ctr-logs/system-digital-twin", "");
    append(&fixture, "system-digital-twin", &line(1, "one"));
    append(
        &fixture,
        "system-digital-twin",
        "2026-11-23T00:36:03+00:00 stderr P two \n2026-11-23T00:36:04+00:00 stderr F Error\n",
    );
    append(&fixture, "emotion-engine", &line(2, "between"));
    fixture
}

#[test]
fn log_files_are_read_without_podman() {
    let fixture = talking();
    let args = ["logs", "SystemDigitalTwin", "EmotionEngine"];
    let outcome = fixture.run(&args).expect(0);
    let merged = "SystemDigitalTwin  one\n\
                  EmotionEngine      between\n\
                  SystemDigitalTwin  two Error\n";
    assert_eq!(outcome.stdout, merged);
    let calls = outcome.calls();
    assert!(
        !calls.iter().any(|call| call.starts_with("logs")),
        "{calls:?}"
    );
    let outcome = fixture.run(&["logs", "-t", "EmotionEngine"]).expect(0);
    assert_eq!(
        outcome.stdout,
        "2026-11-23 00:36:02.500  EmotionEngine  between\n"
    );
    let args = ["logs", "--format", "json", "SystemDigitalTwin"];
    let outcome = fixture.run(&args).expect(0);
    let lines: Vec<Value> = outcome
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[1]["stream"], "stderr");
    assert_eq!(lines[1]["time"], "2026-11-23T00:36:03+00:00");
    let args = [
        "logs",
        "--color",
        "always",
        "SystemDigitalTwin",
        "EmotionEngine",
    ];
    let stdout = fixture.run(&args).expect(0).stdout;
    let colours: Vec<&str> = stdout.lines().map(|line| &line[..5]).collect();
    assert_eq!(colours[0], colours[2]);
    assert_ne!(colours[0], colours[1]);
}

#[test]
fn a_search_looks_at_all_and_says_at_how_much() {
    let fixture = talking();
    for number in 0..2000 {
        append(&fixture, "emotion-engine", &line(5, &number.to_string()));
    }
    let outcome = fixture.run(&["logs", "EmotionEngine"]).expect(0);
    assert_eq!(outcome.stdout.lines().count(), 50);
    let args = ["logs", "--grep", "BETWEEN", "EmotionEngine"];
    let outcome = fixture.run(&args).expect(0);
    assert_eq!(outcome.stdout, "EmotionEngine  between\n");
    assert_eq!(outcome.stderr, "1 match in 2,001 lines of 1 agent\n");
    let args = [
        "logs",
        "--grep",
        "nowhere",
        "--since",
        "2026-11-23T00:36:02Z",
    ];
    let outcome = fixture.run(&args).expect(0);
    assert_eq!(outcome.stdout, "");
    // All five agents have containers; three have said nothing.
    assert_eq!(outcome.stderr, "0 matches in 2,002 lines of 5 agents\n");
    let args = ["logs", "--grep", "between", "--tail", "10"];
    let outcome = fixture.run(&args).expect(0);
    assert_eq!(outcome.stderr, "0 matches in 12 lines of 5 agents\n");
}

#[test]
fn times_that_are_not_understood_are_wrong_usage() {
    let fixture = talking();
    for time in ["yesterdays", "5parsecs", "25:00"] {
        let outcome = fixture.run(&["logs", "--since", time]).expect(2);
        outcome.says("this is no time that is understood; use `10m`");
    }
    let outcome = fixture.run(&["logs", "--since", "5min"]).expect(0);
    assert_eq!(outcome.stdout, "");
}

#[test]
fn followers_stay_with_agents_whatever_becomes_of_containers() {
    let fixture = talking();
    let args = ["logs", "--follow", "EmotionEngine", "SystemDigitalTwin"];
    let following = fixture.tool(&args).start();
    following.wait_for_stdout("two Error");
    append(&fixture, "emotion-engine", &line(10, "alive"));
    following.wait_for_stdout("alive");
    fixture.change_state(|state| {
        let pid = &mut state["containers"]["emotion-engine"]["pid"];
        *pid = (pid.as_u64().unwrap() + 100).into();
    });
    following.wait_for_stdout("── EmotionEngine restarted (exit 137) ──");
    append(&fixture, "emotion-engine", &line(11, "again"));
    following.wait_for_stdout("again");
    let mut old = Value::Null;
    fixture.change_state(|state| {
        old = state["containers"]["emotion-engine"].clone();
        state["containers"]["emotion-engine"]["id"] = "f00d".repeat(16).into();
    });
    following.wait_for_stdout("── EmotionEngine replaced ──");
    fixture.change_state(|state| {
        let containers = state["containers"].as_object_mut().unwrap();
        containers.remove("emotion-engine");
        let other = &mut containers["system-digital-twin"];
        other["state"] = "exited".into();
        other["exit_code"] = 3.into();
        other["pid"] = 0.into();
    });
    following.wait_for_stdout("── EmotionEngine removed ──");
    following.wait_for_stdout("── SystemDigitalTwin exited (exit 3) ──");
    fixture.change_state(|state| state["containers"]["emotion-engine"] = old.clone());
    following.wait_for_stdout("── EmotionEngine started ──");
    following.signal(Signal::INT);
    let outcome = following.end().expect(0);
    let calls = outcome.calls();
    assert!(
        !calls.iter().any(|call| call.starts_with("logs")),
        "{calls:?}"
    );
}

#[test]
fn a_reader_that_has_gone_ends_it() {
    let fixture = talking();
    let tool = env!("CARGO_BIN_EXE_xtask");
    let script = format!("{tool} logs --follow | {{ read line; echo got \"$line\"; }}");
    let outcome = fixture.program("sh").args(&["-c", &script]).expect(0);
    assert_eq!(outcome.stdout, "got SystemDigitalTwin    one\n");
    assert_eq!(outcome.stderr, "");
    let script = format!("{tool} health-check --watch --interval 100ms | {{ read line; }}");
    fixture.program("sh").args(&["-c", &script]).expect(0);
}
