//! `check-toolchain` and the preflight of `deploy` and `up`, on a host that is
//! a folder of the fixture.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::fixture::Fixture;

/// What the tool allows podman in a check, and time to end it and to report.
const BOUND: Duration = Duration::from_secs(15 + 8);

#[test]
fn a_healthy_host() {
    let fixture = Fixture::built();
    let outcome = fixture.run(&["check-toolchain"]).expect(0);
    let last = "more agents: net.ipv4.neigh.default.gc_thresh3 is the first to run out";
    assert!(outcome.stdout.contains(last), "{}", outcome.stdout);
    assert!(!outcome.stdout.contains("warning"), "{}", outcome.stdout);
    let brief = outcome.stdout.lines().count();
    let verbose = fixture.run(&["check-toolchain", "-v"]).expect(0);
    assert!(verbose.stdout.lines().count() > brief, "{}", verbose.stdout);

    let json = fixture
        .run(&["check-toolchain", "--format", "json"])
        .expect(0)
        .json();
    assert!(
        ["ok", "info"].contains(&json["severity"].as_str().expect("a word")),
        "{json}"
    );
    for finding in json["findings"].as_array().expect("a list") {
        for field in ["id", "severity", "title", "evidence"] {
            assert!(finding[field].is_string(), "{field} of {finding}");
        }
        assert_eq!(
            finding["fix"].is_null(),
            finding["severity"] == "ok",
            "{finding}"
        );
    }
    assert_eq!(json["capacity"]["agents"], 5);
    assert!(json["capacity"]["room"].as_u64().expect("a number") > 5);
}

#[test]
fn agents_that_do_not_fit() {
    let fixture = Fixture::built();
    fixture.sysctl("kernel.keys.root_maxkeys", 208);
    let outcome = fixture
        .run(&["check-toolchain", "--agents", "192"])
        .expect(0);
    assert!(
        outcome
            .stdout
            .contains("has room for 200 more agents, with 192 wanted"),
        "{}",
        outcome.stdout
    );
    let args = ["check-toolchain", "--agents", "201", "--format", "json"];
    let outcome = fixture.run(&args).expect(9);
    let json = outcome.json();
    assert_eq!(json["severity"], "error");
    let found = finding(&json, "capacity-keys");
    assert_eq!(found["severity"], "error");
    assert_eq!(
        found["title"],
        "kernel.keys.root_maxkeys has room for 200 more agents, not for 201"
    );
    assert!(
        found["evidence"]
            .as_str()
            .expect("words")
            .starts_with("8 of 208 used, an agent takes 1;")
    );
    let fix = found["fix"].as_str().expect("words");
    assert!(
        fix.contains("kernel.keys.root_maxkeys = 512") && fix.contains("sysctl --system"),
        "{fix}"
    );
    outcome.says("this host is not ready: capacity-keys");
    fixture.run(&["check-toolchain", "--agents", "0"]).expect(2);
}

#[test]
fn a_podman_that_hangs_is_a_finding() {
    std::thread::scope(|scope| {
        for (rule, id, title) in [
            ("info=hang", "podman", "podman did not answer within 15 s"),
            ("ps=hang", "podman", "podman did not answer within 15 s"),
            (
                "run=hang",
                "engine-runs",
                "podman cannot run a container on this host",
            ),
        ] {
            scope.spawn(move || {
                let fixture = Fixture::new();
                let started = Instant::now();
                let tool = fixture.tool(&["check-toolchain", "--format", "json"]);
                let outcome = tool.fail(&[rule]).run().expect(9);
                assert!(started.elapsed() < BOUND, "{rule}: {:?}", started.elapsed());
                let found = finding(&outcome.json(), id);
                assert_eq!(
                    (&found["severity"], &found["title"]),
                    (&"error".into(), &title.into()),
                    "{rule}"
                );
                assert!(found["fix"].is_string(), "{rule}");
            });
        }
    });
}

#[test]
fn deploy_stops_before_anything_is_changed() {
    let fixture = Fixture::built();
    let before = fixture.state();
    fixture.sysctl("kernel.keys.root_maxkeys", 9);
    for args in [&["deploy"][..], &["up"], &["deploy", "--dry-run"]] {
        let outcome = fixture.run(args).expect(9);
        outcome
            .says("this host is not ready: kernel.keys.root_maxkeys has room for 1 more agent, not for 5")
            .says("sysctl --system");
        assert_eq!(outcome.changes(), [""; 0], "{args:?}");
    }
    assert_eq!(fixture.state(), before);
    // One fits.
    let one = ["deploy", "--settle", "0s", "SystemDigitalTwin"];
    fixture
        .run(&one)
        .expect(0)
        .says("has room for 1 more agent, with 1 wanted");
    // Nothing is to be done, and nothing is said.
    let outcome = fixture.run(&one).expect(0);
    assert_eq!(outcome.stderr, "");
    assert_eq!(outcome.calls().len(), 3);
}

#[test]
fn warnings_are_shown_once() {
    for args in [["deploy", "--settle", "0s"], ["up", "--settle", "0s"]] {
        let fixture = Fixture::built();
        fixture.write("host/etc/resolv.conf", "nameserver 127.0.0.1\n");
        let outcome = fixture.run(&args).expect(0);
        let words = "containers cannot reach this host's name servers";
        assert_eq!(
            outcome.stderr.matches(words).count(),
            1,
            "{}",
            outcome.stderr
        );
    }
}

/// The ids that the command itself gives are those that this file provokes;
/// all others have their table beside `host/toolchain`.
#[test]
fn the_commands_own_findings() {
    let source = include_str!("../../src/cmd/check_toolchain.rs");
    let given: Vec<&str> = source
        .split("from_failure(\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(
        given
            .iter()
            .all(|id| ["podman", "engine-runs"].contains(id)),
        "{given:?}"
    );
    assert!(!source.contains("Finding::new("));
}

#[track_caller]
fn finding(json: &Value, id: &str) -> Value {
    let found = json["findings"].as_array().expect("a list");
    let found = found.iter().find(|finding| finding["id"] == id);
    found
        .unwrap_or_else(|| panic!("no `{id}` in {json:#}"))
        .clone()
}

/// A deployment builds nothing, so it needs no base image.
#[test]
fn deploy_asks_only_for_what_it_needs() {
    let fixture = Fixture::built();
    fixture.edit_manifest("[\"present\", \"pull\", \"bootstrap\"]", "[\"present\"]");
    fixture.change_state(|state| {
        let images = state["images"].as_object_mut().expect("images");
        images.retain(|_, image| !image["names"].to_string().contains("trial-base"));
    });
    let outcome = fixture.run(&["check-toolchain"]).expect(9);
    outcome.says("this host is not ready: base-image");
    fixture.run(&["deploy", "--settle", "0s"]).expect(0);
}

/// Whoever runs one group need not hear of the others.
#[test]
fn only_the_named_agents_are_judged() {
    let fixture = Fixture::built();
    let port = fixture.health_port("EmotionEngine");
    let held = std::net::TcpListener::bind(("127.0.0.1", port)).expect("reserved");
    fixture.run(&["check-toolchain"]).expect(9);
    let core = fixture.run(&["check-toolchain", "core-services"]).expect(0);
    assert!(!core.stdout.contains("port-taken"), "{}", core.stdout);
    let named = fixture.run(&["check-toolchain", "EmotionEngine"]).expect(9);
    named.says("port-taken");
    fixture.run(&["check-toolchain", "EmotionEngin"]).expect(2);
    drop(held);
}
