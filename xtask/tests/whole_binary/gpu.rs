//! `check-gpu` on a host without a GPU, and with NVIDIA's programs pretended
//! (`tests/fake_nvidia`). The host is that of the fixture, which has none.

use std::{
    os::unix::fs::symlink,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    fixture::Fixture,
    tool::{Outcome, Tool},
};

pub const GPU: &str =
    "0, GPU-1111, NVIDIA GeForce RTX 4090, 24564, 24000, 564, Default, [N/A], 550.90.07";

/// With the fakes on PATH.
pub fn with_programs() -> Fixture {
    let fixture = Fixture::new();
    for (fake, name) in [
        ("fake-nvidia-smi", "nvidia-smi"),
        ("fake-nvidia-ctk", "nvidia-ctk"),
    ] {
        let built = Path::new(env!("CARGO_BIN_EXE_xtask"))
            .with_file_name("examples")
            .join(fake);
        assert!(
            built.exists(),
            "plain `cargo test` builds {}",
            built.display()
        );
        symlink(built, fixture.path("bin").join(name)).expect("a link");
    }
    fixture
}

fn ids(outcome: &Outcome) -> Vec<(String, String)> {
    let json = outcome.json();
    let findings = json["findings"].as_array().expect("findings").clone();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    findings
        .iter()
        .inspect(|finding| assert!(!text(finding, "title").is_empty(), "{finding}"))
        .map(|finding| (text(finding, "id"), text(finding, "severity")))
        .collect()
}

#[track_caller]
fn assert_has(outcome: &Outcome, id: &str, severity: &str) {
    let found = ids(outcome);
    let pair = (id.to_owned(), severity.to_owned());
    assert!(found.contains(&pair), "no {severity} {id} in {found:?}");
}

fn json(tool: Tool) -> Tool {
    tool.args(&["--format", "json"])
}

#[test]
fn a_host_without_a_gpu_is_well_unless_one_is_required() {
    let fixture = Fixture::new();
    let outcome = fixture.tool(&["check-gpu"]).expect(0);
    assert!(
        outcome
            .stdout
            .contains("this host has no NVIDIA GPU  [gpu-none]"),
        "{}",
        outcome.stdout
    );
    assert_eq!(
        outcome.stdout.matches('[').count(),
        1,
        "one finding\n{}",
        outcome.stdout
    );
    // Nothing is run to find that out.
    assert!(
        outcome.calls().iter().all(|call| call.starts_with("info")),
        "{:?}",
        outcome.calls()
    );
    let outcome = fixture.tool(&["check-gpu", "--require"]).expect(9);
    outcome.says("this host is not ready: gpu-none");
    let outcome = json(fixture.tool(&["check-gpu"])).expect(0);
    let value = outcome.json();
    assert_eq!(
        (&value["schema"], &value["command"]),
        (&1.into(), &"check-gpu".into())
    );
    assert_eq!(value["severity"], "info");
    assert_eq!(ids(&outcome), [("gpu-none".to_owned(), "info".to_owned())]);
    let outcome = json(fixture.tool(&["check-gpu", "--require"])).expect(9);
    assert_has(&outcome, "gpu-none", "error");
}

#[test]
fn programs_that_hang_are_ended() {
    let fixture = with_programs();
    let started = Instant::now();
    let tool = fixture
        .tool(&["check-gpu", "--require"])
        .env("FAKE_NVIDIA_SMI", "hang")
        .env("FAKE_NVIDIA_CTK", "hang");
    let outcome = json(tool).expect(9);
    assert!(
        started.elapsed() < Duration::from_secs(25),
        "{:?}",
        started.elapsed()
    );
    assert_has(&outcome, "gpu-none", "error");
    assert!(outcome.stdout.contains("10 s"), "{}", outcome.stdout);
}

#[test]
fn a_podman_that_hangs_is_a_finding() {
    let fixture = Fixture::new();
    let started = Instant::now();
    let tool = json(fixture.tool(&["check-gpu"])).fail(&["info=hang"]);
    let outcome = tool.expect(9);
    assert!(
        started.elapsed() < Duration::from_secs(25),
        "{:?}",
        started.elapsed()
    );
    assert_has(&outcome, "podman", "error");
    assert_has(&outcome, "gpu-none", "info");
}

#[test]
fn what_the_programs_say_becomes_findings() {
    let fixture = with_programs();
    let tool = |smi: &str, ctk: &str| {
        let tool = fixture.tool(&["check-gpu"]).env("FAKE_NVIDIA_GPUS", GPU);
        json(tool.env("FAKE_NVIDIA_SMI", smi).env("FAKE_NVIDIA_CTK", ctk))
    };
    // A GPU that no specification offers.
    let outcome = tool("", "").expect(9);
    for (id, severity) in [
        ("gpu-driver", "ok"),
        ("gpu-found", "ok"),
        ("gpu-toolkit", "ok"),
        ("gpu-spec-missing", "error"),
    ] {
        assert_has(&outcome, id, severity);
    }
    let missing = outcome.json()["findings"]
        .as_array()
        .and_then(|all| {
            all.iter()
                .find(|found| found["id"] == "gpu-spec-missing")
                .cloned()
        })
        .expect("a finding");
    assert!(
        missing["fix"]
            .as_str()
            .is_some_and(|fix| fix.contains("nvidia-ctk cdi generate"))
    );
    assert_has(
        &tool("", "1:broken").expect(9),
        "gpu-toolkit-failed",
        "error",
    );
    assert_has(
        &tool("", "garbage").expect(9),
        "gpu-toolkit-failed",
        "error",
    );
    assert_has(
        &tool(
            "18:Failed to initialize NVML: Driver/library version mismatch",
            "",
        )
        .expect(0),
        "gpu-none",
        "info",
    );
}

#[test]
fn the_fix_is_shown_first_and_needs_what_it_needs() {
    let fixture = with_programs();
    let outcome = fixture.tool(&["check-gpu", "--fix", "--dry-run"]).run();
    let line = "nvidia-ctk cdi generate";
    assert!(
        outcome.stdout.contains(line) && outcome.stdout.contains("/etc/cdi/nvidia.yaml"),
        "{}",
        outcome.stdout
    );
    let log = fixture.path("ctk.log");
    let outcome = fixture
        .tool(&["check-gpu", "--fix"])
        .env("FAKE_NVIDIA_CTK_LOG", &log)
        .run();
    outcome.says(line);
    let asked = std::fs::read_to_string(&log).unwrap_or_default();
    if rustix::process::geteuid().is_root() {
        assert_eq!(asked, "cdi generate --output=/etc/cdi/nvidia.yaml");
    } else {
        outcome.says("only root may write to /etc/cdi");
        assert_eq!((outcome.code, &*asked), (9, ""));
    }
    let bare = Fixture::new();
    let outcome = bare.tool(&["check-gpu", "--fix"]).expect(9);
    outcome.says("there is no nvidia-ctk to make a specification with");
}

#[test]
fn learning_needs_somebody_who_tells() {
    let fixture = Fixture::new();
    if which::which("nvidia-smi").is_err() {
        let outcome = fixture.tool(&["check-gpu", "--learn", "1"]).expect(9);
        outcome.says("it is not installed");
    }
    let fixture = with_programs();
    let tool = fixture
        .tool(&["check-gpu", "--learn", "1"])
        .env("FAKE_NVIDIA_GPUS", GPU);
    let outcome = tool.run();
    assert!(
        outcome
            .stdout
            .contains("# no agent was seen to use GPU memory within 1 s"),
        "{}",
        outcome.stdout
    );
}
