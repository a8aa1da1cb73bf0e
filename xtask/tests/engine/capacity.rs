//! A real limit is lowered, and the prediction holds: `check-toolchain` says for
//! how many agents there is room, the preflight of `deploy` stops in front of
//! it, and what goes past it fails there.

use std::{fs, io::Write, process::Command};

use super::support::{AGENTS, NOT_READY, Small, containers_of};

/// Keys that root may have; podman's runtimes take one for each container.
const SETTING: &str = "kernel.keys.root_maxkeys";
const FILE: &str = "/proc/sys/kernel/keys/root_maxkeys";

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn a_lowered_limit_ends_a_deployment_where_it_was_said_to() {
    let small = Small::new(31);
    // The commands of a deployment, to go past the preflight by hand.
    let printed = small.run(&["deploy", "--dry-run"]).expect(0).stdout;
    let room = 2;
    let Some(lowered) = Lowered::to(used() + room) else {
        return;
    };
    let args = ["check-toolchain", "--agents", "4", "--format", "json"];
    let json = small.run(&args).expect(NOT_READY).json();
    assert_eq!(json["capacity"]["first"], SETTING, "{json:#}");
    assert_eq!(json["capacity"]["room"], room);
    let mut found = json["findings"].as_array().unwrap().iter();
    let found = found
        .find(|finding| finding["id"] == "capacity-keys")
        .unwrap();
    assert_eq!(found["severity"], "error");
    // As many as there is room for are only close to the limit.
    let fits = ["check-toolchain", "--agents", "2", "--format", "json"];
    let json = small.run(&fits).json();
    let mut found = json["findings"].as_array().unwrap().iter();
    let found = found
        .find(|finding| finding["id"] == "capacity-keys")
        .unwrap();
    assert_eq!(found["severity"], "warning");

    let stopped = small.run(&["deploy", "--settle", "0s"]).expect(NOT_READY);
    stopped.says(&["kernel.keys.root_maxkeys has room for 2 more agents, not for 4"]);
    assert_eq!(containers_of(&small.name), Vec::<String>::new());

    let started: Vec<String> = by_hand(&printed);
    assert_eq!(started.len(), AGENTS.len());
    for (index, error) in started.iter().enumerate() {
        let fails = index as u64 >= room;
        assert_eq!(!error.is_empty(), fails, "{}: {error}", AGENTS[index]);
        let said = error.to_lowercase().contains("disk quota exceeded");
        assert_eq!(said, fails, "{error}");
    }
    drop(lowered);
    small.run(&["down"]).expect(0);
    small.run(&["deploy", "--settle", "0s"]).expect(0);
}

/// Runs the printed commands; gives what each start said on its failure.
fn by_hand(printed: &str) -> Vec<String> {
    let mut starts = Vec::new();
    let lines = printed.lines().filter(|line| line.starts_with("podman "));
    // What only makes a start faster may fail.
    for line in lines.filter(|line| !line.contains(" init xtask-")) {
        let ended = Command::new("sh").args(["-c", line]).output().unwrap();
        let error = String::from_utf8_lossy(&ended.stderr).into_owned();
        if line.contains(" start ") {
            starts.push(if ended.status.success() {
                String::new()
            } else {
                error
            });
        } else {
            assert!(ended.status.success(), "{line}\n{error}");
        }
    }
    starts
}

/// Root's keys that count against the limit.
fn used() -> u64 {
    let text = fs::read_to_string("/proc/key-users").unwrap();
    let line = text
        .lines()
        .find(|line| line.trim_start().starts_with("0:"));
    let keys = line
        .and_then(|line| line.split_whitespace().nth(3))
        .unwrap_or("0/0");
    keys.split('/').next().unwrap().parse().unwrap()
}

/// The limit, as low as a test wants it, until this goes away.
struct Lowered {
    before: String,
}

impl Lowered {
    /// `None`, and a word on the terminal that no test catches, where it cannot
    /// be lowered.
    fn to(value: u64) -> Option<Self> {
        let before = fs::read_to_string(FILE).unwrap();
        match fs::write(FILE, value.to_string()) {
            Ok(()) => Some(Lowered { before }),
            Err(error) => {
                let words = "NOT TESTED, a limit that ends a deployment:";
                let line = format!("{words} {SETTING} cannot be set: {error}\n");
                std::io::stderr().write_all(line.as_bytes()).unwrap();
                None
            }
        }
    }
}

impl Drop for Lowered {
    fn drop(&mut self) {
        // Left low it would stop other containers of this host.
        fs::write(FILE, &self.before).expect("what was lowered can be raised again");
    }
}
