//! Wrong names, wrong manifests, wrong podmans: a sentence, a hint and a
//! documented exit code each, and nothing is changed.

use std::fs;

use crate::{fixture::Fixture, golden};

#[test]
fn unknown_names_list_the_nearest() {
    let fixture = Fixture::new();
    for (name, args) in [
        ("bad_command", &["deplyo"][..]),
        ("bad_agent", &["deploy", "CordinatorAgent"]),
        ("bad_group", &["health-check", "core-servcies"]),
        ("bad_image", &["build-images", "trial-adio"]),
        ("bad_nothing_near", &["down", "zzz"]),
        ("bad_duration", &["deploy", "--settle", "soon"]),
        ("bad_explain", &["explain", "agents.memroy_mb"]),
    ] {
        let outcome = fixture.run(args).expect(2);
        // Only `down` takes names that the manifest has forgotten.
        let asked = if args[0] == "down" {
            outcome.changes()
        } else {
            outcome.calls()
        };
        assert_eq!(asked, [""; 0], "podman is not even asked");
        golden::check(name, &fixture, &outcome);
    }
}

#[test]
fn manifests_that_cannot_be_used() {
    let fixture = Fixture::new();
    let outcome = fixture.run(&["deploy", "--monorepo", "../home"]).expect(3);
    golden::check("bad_monorepo", &fixture, &outcome);

    fixture.edit_manifest("schema = 1", "schema = 2");
    let outcome = fixture.run(&["deploy"]).expect(3);
    golden::check("bad_schema", &fixture, &outcome);

    let outcome = fixture
        .run(&["deploy", "--manifest", "nowhere.toml"])
        .expect(3);
    golden::check("bad_manifest_path", &fixture, &outcome);

    fs::remove_file(fixture.path("repo/containers/system.toml")).expect("a manifest");
    let outcome = fixture.run(&["deploy"]).expect(3);
    golden::check("bad_no_manifest", &fixture, &outcome);
}

#[test]
fn podman_is_missing_or_too_old() {
    let fixture = Fixture::new();
    let nothing = fixture.path("tmp");
    let outcome = fixture
        .tool(&["deploy"])
        .env("PATH", nothing)
        .run()
        .expect(4);
    golden::check("bad_no_podman", &fixture, &outcome);

    let old = fixture
        .tool(&["deploy"])
        .env("FAKE_PODMAN_VERSION", "4.2.0");
    golden::check("bad_old_podman", &fixture, &old.run().expect(4));
}

#[test]
fn podman_answers_garbage_or_fails() {
    for (name, args, rule) in [
        ("bad_garbage_info", "deploy", "info=garbage"),
        ("bad_garbage_ps", "deploy", "ps=garbage"),
        ("bad_garbage_images", "build-images", "images=garbage"),
        ("bad_failing_info", "deploy", "info=125:database is corrupt"),
        (
            "bad_failing_ps",
            "health-check",
            "ps=125:no space left on device",
        ),
    ] {
        let fixture = Fixture::new();
        let outcome = fixture.tool(&[args]).fail(&[rule]).run().expect(4);
        golden::check(name, &fixture, &outcome);
    }
}

#[test]
fn a_podman_that_was_replaced_is_asked_again() {
    let fixture = Fixture::built();
    let cached = fixture.run(&["status"]).expect(0);
    assert!(!cached.calls().contains(&"info --format json".to_owned()));
    let old = fixture
        .tool(&["check-toolchain"])
        .env("FAKE_PODMAN_VERSION", "4.2.0");
    let outcome = old.run().expect(9);
    assert!(
        outcome.stdout.contains("podman 4.2.0 is older than 4.3.0"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn explanations_need_neither_podman_nor_a_manifest() {
    let fixture = Fixture::new();
    fs::remove_file(fixture.path("repo/containers/system.toml")).expect("a manifest");
    let explain = |args: &[&str]| {
        let tool = fixture.tool(&["explain"]).args(args);
        let outcome = tool.env("PATH", fixture.path("tmp")).run().expect(0);
        assert_eq!(outcome.stderr, "");
        outcome.stdout
    };
    for (name, words) in [
        ("pids", "  default  256\n"),
        ("port-taken", "Findings of check-toolchain"),
        ("out-of-memory", "raise `memory_mb`"),
        ("130", "interrupted by Ctrl-C"),
    ] {
        let text = explain(&[name]);
        assert!(
            text.starts_with(&format!("{name}: ")) && text.contains(words),
            "{text}"
        );
    }
    let all = explain(&[]);
    assert!(
        ["memory_mb", "gpu-none", "unclear", "130"]
            .iter()
            .all(|name| all.contains(name))
    );
    for args in [
        &["memory_mb", "--format", "json"][..],
        &["--format", "json"],
    ] {
        let value: serde_json::Value = serde_json::from_str(&explain(args)).expect("JSON");
        assert_eq!(
            (&value["schema"], &value["command"]),
            (&1.into(), &"explain".into())
        );
    }
}

#[test]
fn completions_are_a_script() {
    let fixture = Fixture::new();
    let script = fixture.run(&["completions", "bash"]).expect(0).stdout;
    assert!(script.contains("create-networks"));
    fixture.write("tmp/completions.bash", &script);
    let bash = which::which("bash").expect("bash");
    let check = fixture.program(&bash.display().to_string());
    check
        .args(&["-n", "../tmp/completions.bash"])
        .run()
        .expect(0);
}
