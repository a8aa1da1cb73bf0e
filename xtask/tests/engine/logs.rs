//! Logs of agents whose containers come and go, on real podman.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
};

use super::support::{DEPLOY_FAILED, Small, podman, until};

/// A follower whose output can be looked at while it goes on.
struct Follower {
    child: Child,
    output: std::path::PathBuf,
}

impl Follower {
    fn start(mut command: Command, output: &Path) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(output).unwrap())
            .spawn()
            .unwrap();
        Follower {
            child,
            output: output.to_owned(),
        }
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.output).unwrap()
    }

    /// Waits until this has been told, and after it that the agent talks again.
    #[track_caller]
    fn told(&self, agent: &str, words: &str) {
        let event = format!("── {agent} {words} ──");
        until(&event, || {
            let text = self.text();
            let after = text.rfind(&event).map(|at| &text[at + event.len()..]);
            let talks = |line: &str| line.starts_with(agent) && line.ends_with("here I am");
            after.is_some_and(|after| after.lines().any(talks))
        });
    }

    /// Peak of its memory, in kB.
    fn memory_kb(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn end(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status().unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kill(container: &str) {
    let pid = podman(&["inspect", "--format", "{{.State.Pid}}", container]);
    let status = Command::new("kill").args(["-KILL", pid.trim()]).status();
    assert!(status.unwrap().success());
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn a_follower_stays_through_kills_restarts_and_replacements() {
    let small = Small::new(80);
    small.manifest(["talks"; 4], "");
    small.agent_line("First", "restart = \"on-failure:3\"");
    small.run(&["deploy", "--settle", "0s"]).expect(0);
    let output = small.path().join("followed");
    let command = small.xtask(&["logs", "--follow"]);
    let mut follower = Follower::start(command, &output);
    until("the backlog", || {
        follower.text().matches("here I am").count() == 4
    });
    // No process reads for it.
    assert_eq!(children(follower.child.id()), "");

    kill(&small.container(0));
    follower.told("First", "restarted (exit 137)");
    podman(&["restart", "--time", "1", &small.container(1)]);
    until("a restart by hand", || {
        follower.text().contains("── Second restarted (exit ")
    });
    let args = [
        "deploy",
        "Third",
        "--recreate",
        "--no-deps",
        "--settle",
        "0s",
    ];
    small.run(&args).expect(0);
    follower.told("Third", "replaced");
    small.run(&["down", "Fourth"]).expect(0);
    until("removal", || {
        follower.text().contains("── Fourth removed ──")
    });
    small.run(&["deploy", "--settle", "0s"]).expect(0);
    follower.told("Fourth", "started");
    assert!(follower.memory_kb() < 60_000, "{}", follower.memory_kb());
    assert_eq!(follower.end(), Some(0));
    // Each agent's own lines, none of them twice: 1 + 1 for each that is back.
    let text = follower.text();
    for (agent, count) in [("First", 2), ("Second", 2), ("Third", 2), ("Fourth", 2)] {
        let own = |line: &&str| line.starts_with(agent) && line.ends_with("here I am");
        assert_eq!(text.lines().filter(own).count(), count, "{agent}:\n{text}");
    }
}

fn children(parent: u32) -> String {
    let parent = parent.to_string();
    let ps = Command::new("ps")
        .args(["-o", "args=", "--ppid", &parent])
        .output();
    // A look that is just going on is none.
    let children = String::from_utf8(ps.unwrap().stdout).unwrap();
    let readers = children.lines().filter(|line| line.contains(" logs "));
    readers.collect()
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn the_log_of_a_successor_that_failed_outlives_it() {
    let small = Small::new(81);
    small.manifest(["talks"; 4], "");
    small.run(&["deploy", "--settle", "0s"]).expect(0);
    small.manifest(["talks", "exits", "talks", "talks"], "");
    let ended = small
        .run(&["deploy", "--settle", "0s"])
        .expect(DEPLOY_FAILED);
    let hint = ended
        .stderr
        .find("logs --run ")
        .map(|at| &ended.stderr[at..]);
    let hint = hint.unwrap_or_else(|| panic!("{}", ended.stderr));
    let command = hint.split('`').next().unwrap();
    // The container there is the old, healthy one, and knows nothing of it.
    let now = small.run(&["logs", "Second"]).expect(0).stdout;
    assert!(!now.contains("RuntimeError"), "{now}");
    let words: Vec<&str> = command.split_whitespace().collect();
    small
        .run(&words)
        .expect(0)
        .says(&["Traceback", "RuntimeError: no configuration found"]);
    small
        .run(&["logs", "--failed", "--grep", "runtimeerror"])
        .expect(0)
        .says(&["RuntimeError: no configuration found", "of 1 agent"]);
}
