//! Runs the tool as a child with an environment of its own.

use std::{
    fs::{self, File},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::schema;

/// No run of these tests takes nearly as long.
const DEADLINE: Duration = Duration::from_secs(30);

/// Verbs that only look; `image` and `network` need a second word.
const READ_ONLY: &[&str] = &[
    "info",
    "ps",
    "images",
    "image inspect",
    "image exists",
    "network ls",
    "volume ls",
    "secret ls",
    "secret inspect",
    "logs",
    "events",
    "container inspect",
    // The doctor's program, which only looks.
    "exec",
    // A question asked in an image; the container is gone afterwards.
    "run --rm --network none --cap-drop all",
];

/// A run to be started.
#[derive(Debug)]
pub struct Tool {
    command: Command,
    state: PathBuf,
    scratch: PathBuf,
    nobody_reads_stderr: bool,
}

/// A run that has been started.
#[derive(Debug)]
pub struct Running {
    child: Child,
    state: PathBuf,
    scratch: PathBuf,
    dry_run: bool,
    /// Lines of the journal that earlier runs wrote.
    before: usize,
}

/// A run that has ended.
#[derive(Debug)]
pub struct Outcome {
    /// Exit code, or 128 + signal.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub journal: Vec<Entry>,
    /// It was only to say what it would do.
    pub dry_run: bool,
}

/// Begin or end of one call of the fake.
#[derive(Debug, Clone)]
pub struct Entry {
    pub ms: u64,
    pub pid: i32,
    /// The words of the call; `None` for an end.
    pub begin: Option<Vec<String>>,
}

impl Tool {
    pub fn new(mut command: Command, state: PathBuf, scratch: PathBuf) -> Self {
        command.stdin(Stdio::null());
        Tool {
            command,
            state,
            scratch,
            nobody_reads_stderr: false,
        }
    }

    pub fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// As after its terminal was closed: what it writes to stderr fails.
    pub fn nobody_reads_stderr(mut self) -> Self {
        self.nobody_reads_stderr = true;
        self
    }

    /// Without these variables of the environment.
    pub fn without(mut self, names: &[&str]) -> Self {
        for name in names {
            self.command.env_remove(name);
        }
        self
    }

    /// Rules of the fake, see `tests/fake_podman/fault.rs`.
    pub fn fail(self, rules: &[&str]) -> Self {
        self.env("FAKE_PODMAN_FAIL", rules.join("\n"))
    }

    /// Another podman, as it were.
    pub fn state(mut self, state: &Path) -> Self {
        fs::create_dir_all(state).expect("a folder");
        self.state = state.to_owned();
        self.env("FAKE_PODMAN_STATE", state)
    }

    pub fn start(mut self) -> Running {
        let before = journal(&self.state).len();
        let unique = format!("{}-{before}", now_ms());
        let scratch = self.scratch.join(unique);
        fs::create_dir_all(&scratch).expect("a folder");
        let file = |name: &str| File::create(scratch.join(name)).expect("a file");
        self.command.stdout(file("stdout")).stderr(file("stderr"));
        if self.nobody_reads_stderr {
            let (_, writer) = std::io::pipe().expect("a pipe");
            self.command.stderr(writer);
        }
        Running {
            dry_run: self.command.get_args().any(|word| word == "--dry-run"),
            child: self.command.spawn().expect("the program starts"),
            state: self.state,
            scratch,
            before,
        }
    }

    #[track_caller]
    pub fn run(self) -> Outcome {
        self.start().end()
    }

    #[track_caller]
    pub fn expect(self, code: i32) -> Outcome {
        self.run().expect(code)
    }
}

impl Running {
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process id"), signal).expect("the child runs");
    }

    pub fn journal(&self) -> Vec<Entry> {
        journal(&self.state).split_off(self.before)
    }

    /// Waits until the tool has made a call whose words start with these.
    #[track_caller]
    pub fn wait_for_call(&self, words: &str) {
        // A tag whose end is a hash.
        let prefix = match words.ends_with(':') {
            true => words.to_owned(),
            false => format!("{words} "),
        };
        wait_until(words, || {
            calls(&self.journal())
                .iter()
                .any(|call| format!("{call} ").starts_with(&prefix))
        });
    }

    #[track_caller]
    pub fn wait_for_stderr(&self, text: &str) {
        wait_until(text, || self.read("stderr").contains(text));
    }

    #[track_caller]
    pub fn wait_for_stdout(&self, text: &str) {
        wait_until(text, || self.read("stdout").contains(text));
    }

    fn read(&self, stream: &str) -> String {
        fs::read_to_string(self.scratch.join(stream)).expect("a file")
    }

    /// Ends it without any chance to tidy up, the fakes that hang included.
    pub fn kill(mut self) {
        self.child.kill().expect("the child runs");
        self.child.wait().expect("the child ends");
        for pid in open_calls(&self.journal()) {
            let pid = Pid::from_raw(pid).expect("a process id");
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// Kills it alone: its podman calls, which are returned, go on without it.
    pub fn abandon(mut self) -> Vec<i32> {
        self.child.kill().expect("the child runs");
        self.child.wait().expect("the child ends");
        open_calls(&self.journal())
    }

    #[track_caller]
    pub fn end(mut self) -> Outcome {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            if started.elapsed() > DEADLINE {
                self.child.kill().expect("a child");
                panic!("still running:\n{}", self.read("stderr"));
            }
            std::thread::sleep(Duration::from_millis(3));
        };
        let panicked = fs::read_to_string(self.state.join("panic"));
        assert!(panicked.is_err(), "the fake podman: {}", panicked.unwrap());
        let signal = || 128 + status.signal().unwrap_or(0);
        Outcome {
            code: status.code().unwrap_or_else(signal),
            stdout: self.read("stdout"),
            stderr: self.read("stderr"),
            journal: self.journal(),
            dry_run: self.dry_run,
        }
    }
}

impl Outcome {
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            code,
            "exit code; stdout:\n{}stderr:\n{}calls: {:#?}",
            self.stdout,
            self.stderr,
            self.calls()
        );
        self
    }

    /// Every call, in the order in which they began.
    pub fn calls(&self) -> Vec<String> {
        calls(&self.journal)
    }

    /// The calls that are not known to change nothing.
    pub fn changes(&self) -> Vec<String> {
        let mut changes = self.calls();
        changes.retain(|call| !only_looks(call));
        changes
    }

    /// Position of the first call that starts with these words.
    #[track_caller]
    pub fn position(&self, call: &str) -> usize {
        let calls = self.calls();
        let found = calls.iter().position(|known| known.starts_with(call));
        found.unwrap_or_else(|| panic!("no call `{call}` among {calls:#?}"))
    }

    /// When the first call that starts with these words began.
    #[track_caller]
    pub fn began(&self, call: &str) -> u64 {
        let entry = self.journal.iter().find(|entry| {
            let words = entry.begin.as_ref().map(|words| words.join(" "));
            words.is_some_and(|words| words.starts_with(call))
        });
        entry.unwrap_or_else(|| panic!("no call `{call}`")).ms
    }

    /// The highest number of calls at one time among those that `count`.
    pub fn most_at_once(&self, counts: impl Fn(&str) -> bool) -> usize {
        let mut open = Vec::new();
        let mut most = 0;
        for entry in &self.journal {
            match &entry.begin {
                Some(words) if counts(&words.join(" ")) => open.push(entry.pid),
                Some(_) => {}
                None => open.retain(|pid| *pid != entry.pid),
            }
            most = most.max(open.len());
        }
        most
    }

    /// Processes of the fake that began and did not end by themselves.
    pub fn open_calls(&self) -> Vec<i32> {
        open_calls(&self.journal)
    }

    /// The result, which is what its schema says.
    #[track_caller]
    pub fn json(&self) -> Value {
        let value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error} in stdout:\n{}", self.stdout));
        schema::check(&value, self.dry_run);
        value
    }

    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(
            self.stderr.contains(text),
            "no `{text}` in\n{}",
            self.stderr
        );
        self
    }
}

pub fn only_looks(call: &str) -> bool {
    READ_ONLY
        .iter()
        .any(|verb| format!("{call} ").starts_with(&format!("{verb} ")))
}

#[track_caller]
pub fn wait_until(what: &str, done: impl Fn() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < DEADLINE, "waited for: {what}");
        std::thread::sleep(Duration::from_millis(3));
    }
}

pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a clock after 1970").as_millis() as u64
}

fn calls(journal: &[Entry]) -> Vec<String> {
    let begun = journal.iter().filter_map(|entry| entry.begin.as_ref());
    begun.map(|words| words.join(" ")).collect()
}

fn open_calls(journal: &[Entry]) -> Vec<i32> {
    let ended: Vec<i32> = journal
        .iter()
        .filter(|entry| entry.begin.is_none())
        .map(|entry| entry.pid)
        .collect();
    let begun = journal.iter().filter(|entry| entry.begin.is_some());
    begun
        .map(|entry| entry.pid)
        .filter(|pid| !ended.contains(pid))
        .collect()
}

fn journal(state: &Path) -> Vec<Entry> {
    let text = fs::read_to_string(state.join("calls.jsonl")).unwrap_or_default();
    // A line without its end is still being written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| {
            let value: Value = serde_json::from_str(line).expect("the fake's own journal");
            let words = value["begin"].as_array().map(|words| {
                let words = words.iter().filter_map(Value::as_str);
                words.map(str::to_owned).collect()
            });
            Entry {
                ms: value["ms"].as_u64().expect("a time"),
                pid: value["pid"].as_i64().expect("a process id") as i32,
                begin: words,
            }
        })
        .collect()
}

/// The image that a call builds.
pub fn built(call: &str) -> String {
    let tag = call
        .strip_prefix("build --tag ")
        .and_then(|rest| rest.split(' ').next());
    let name = tag.and_then(|tag| tag.rsplit('/').next()?.split(':').next());
    name.expect("a build with a tag").to_owned()
}
