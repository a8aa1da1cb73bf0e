//! Stops that take long, are interrupted or cut short: no process of an agent is
//! left behind, and no agent that ran is left down.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use super::support::{INTERRUPTED, Small, containers_of, podman, until};

/// One agent that ignores SIGTERM, and has 12 s to end by itself.
fn stubborn(number: u16) -> Small {
    let small = Small::new(number);
    small.manifest(["stubborn", "ok", "ok", "ok"], "stop_timeout_s = 12");
    small.run(&["deploy", "First", "--settle", "0s"]).expect(0);
    small
}

fn pid(container: &str) -> u32 {
    let pid = podman(&["inspect", "--format", "{{.State.Pid}}", container]);
    pid.trim().parse().unwrap()
}

/// podman 4.3.1 says `Up 3 seconds ago` for a state.
fn state(container: &str) -> String {
    let filter = format!("name=^{container}$");
    let listed = podman(&["ps", "--all", "--filter", &filter, "--format", "{{.State}}"]);
    let word = listed.split_whitespace().next().unwrap_or_default();
    word.to_lowercase().replace("up", "running")
}

/// There may be what is left of it, where nobody collects orphans.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    rest.is_some_and(|rest| !rest.starts_with(['Z', 'X']))
}

/// The podman that works for a system with these words.
fn caller(words: &str) -> Option<String> {
    let pattern = format!("^[^ ]*podman .*{words}");
    let output = Command::new("pgrep")
        .args(["--full", &pattern])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().next().map(str::to_owned)
}

/// podman is killed in the middle of a stop: the container stays `stopping`, which
/// podman before 4.4 would forget, and leave its processes running.
fn cut_short(small: &Small) -> u32 {
    let container = small.container(0);
    let agent = pid(&container);
    let mut down = small.start(&["down", "First"]);
    let stop = format!("stop --time 12 {container}");
    down.until("podman stops", || {
        caller(&stop).is_some() && state(&container) == "stopping"
    });
    down.signal("-KILL");
    down.finish();
    let stopping = caller(&stop).expect("podman outlives the tool");
    assert!(
        Command::new("kill")
            .args(["-KILL", &stopping])
            .status()
            .unwrap()
            .success()
    );
    until("podman is gone", || caller(&stop).is_none());
    assert_eq!(state(&container), "stopping");
    assert!(runs(agent));
    agent
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn down_ends_what_a_stop_that_was_cut_short_has_left() {
    let small = stubborn(41);
    let agent = cut_short(&small);
    small.run(&["down"]).expect(0);
    assert!(!runs(agent), "podman has forgotten it, and it runs");
    assert_eq!(containers_of(&small.name), Vec::<String>::new());
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn deploy_ends_what_a_stop_that_was_cut_short_has_left() {
    let small = stubborn(42);
    let agent = cut_short(&small);
    small.manifest(["ok"; 4], "");
    small.run(&["deploy", "First", "--settle", "0s"]).expect(0);
    assert!(!runs(agent), "podman has forgotten it, and it runs");
    assert_eq!(containers_of(&small.name), [small.container(0)]);
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn no_ctrl_c_ends_a_stop_half_way() {
    let small = stubborn(43);
    let container = small.container(0);
    let agent = pid(&container);
    let mut down = small.start(&["down"]);
    down.until("podman stops", || state(&container) == "stopping");
    let started = Instant::now();
    down.signal("-INT");
    std::thread::sleep(Duration::from_millis(300));
    down.signal("-INT");
    let ended = down.finish().expect(INTERRUPTED);
    assert!(started.elapsed() > Duration::from_secs(5), "{ended:?}");
    assert!(!runs(agent));
    assert_eq!(state(&container), "exited");
    small.run(&["down"]).expect(0);
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn an_agent_that_was_stopped_for_its_successor_runs_after_ctrl_c() {
    let small = stubborn(44);
    let container = small.container(0);
    let first = pid(&container);
    let mut deploy = small.start(&["deploy", "First", "--recreate", "--settle", "0s"]);
    deploy.until("podman stops", || state(&container) == "stopping");
    deploy.signal("-HUP");
    let ended = deploy.finish().expect(INTERRUPTED);
    ended.says(&["First was put back"]);
    assert_eq!(state(&container), "running");
    assert_ne!(pid(&container), first);
    small.run(&["deploy", "First", "--settle", "0s"]).expect(0);
    assert_eq!(containers_of(&small.name), [container]);
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn an_agent_that_was_killed_with_its_watcher_is_started_again() {
    let small = Small::new(45);
    small.run(&["deploy", "First", "--settle", "0s"]).expect(0);
    let container = small.container(0);
    let agent = pid(&container);
    let stat = std::fs::read_to_string(format!("/proc/{agent}/stat")).unwrap();
    let rest = stat.rsplit_once(')').unwrap().1;
    let watcher = rest.split_whitespace().nth(1).unwrap();
    let name = std::fs::read_to_string(Path::new("/proc").join(watcher).join("comm")).unwrap();
    assert_eq!(name.trim(), "conmon");
    let both = ["-KILL", watcher, &agent.to_string()];
    assert!(Command::new("kill").args(both).status().unwrap().success());
    until("it is gone", || !runs(agent));
    assert_eq!(state(&container), "running", "podman has not noticed");
    let told = small.run(&["health-check", "First"]);
    told.says(&["its process is gone"]);
    small.run(&["deploy", "First", "--settle", "0s"]).expect(0);
    assert!(runs(pid(&container)));
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn a_paused_agent_goes_on() {
    let small = Small::new(46);
    small.run(&["deploy", "First", "--settle", "0s"]).expect(0);
    let container = small.container(0);
    let agent = pid(&container);
    podman(&["pause", &container]);
    small.run(&["deploy", "First", "--settle", "0s"]).expect(0);
    assert_eq!(
        (state(&container).as_str(), pid(&container)),
        ("running", agent)
    );
    podman(&["pause", &container]);
    small.run(&["down"]).expect(0);
    assert!(!runs(agent));
}

/// What a podman leaves that was killed at the right moment of a creation: it is in
/// storage, keeps its name, and no plain listing shows it.
fn half_made(name: &str) {
    let external = || {
        let listed = podman(&[
            "ps",
            "--all",
            "--external",
            "--format",
            "{{.Names}} {{.Status}}",
        ]);
        listed.lines().any(|line| line == format!("{name} Storage"))
    };
    for round in 0..400 {
        let mut creation = Command::new("podman")
            .args([
                "create",
                "--name",
                name,
                "--network",
                "none",
                "--pull",
                "never",
            ])
            .args(["localhost/ai-system-core:latest", "true"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(20 + round % 97));
        creation.kill().unwrap();
        creation.wait().unwrap();
        if external() {
            return;
        }
        podman(&["rm", "--force", "--ignore", name]);
    }
    panic!("no creation was killed at the right moment");
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn what_is_left_of_a_creation_is_removed() {
    let small = Small::new(47);
    let container = small.container(0);
    half_made(&container);
    small.run(&["deploy", "First", "--settle", "0s"]).expect(0);
    assert_eq!(state(&container), "running");
    let next = format!("{container}-next");
    half_made(&next);
    small.run(&["deploy", "First", "--settle", "0s"]).expect(0);
    half_made(&next);
    small.run(&["down"]).expect(0);
    let listed = podman(&["ps", "--all", "--external", "--format", "{{.Names}}"]);
    assert!(
        !listed.lines().any(|name| name.starts_with(&container)),
        "{listed}"
    );
}
