//! Evidence of runs that change something: each has a number and a folder with
//! its plan, the environment, and the whole logs of agents that failed, taken
//! before their containers are undone.
//!
//! Invariant: nothing here fails a run. What cannot be written is told once, as
//! a warning.

pub mod folder;
mod redact;

use std::{
    fs::File,
    io::{self, BufRead, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use diagnostics::Failure;
use folder::RunFolder;
use model::plan::{Plan, Step};
use process::shell_line;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::logs::source::told;
use crate::{
    carry_out::{Event, Watch},
    folders,
    podman::{
        Engine,
        clock::{now_s, rfc3339},
        log_file::{self, LogRecord},
        run::Call,
    },
    ui::{Ui, progress::Progress},
};

/// A podman that hangs holds nobody up for longer: what failed is to be undone.
const DEADLINE_MS: u64 = 10_000;

/// `run.json`: what was run, by whom, and how it ended.
#[derive(Debug, Serialize, Deserialize)]
pub struct RunFile {
    pub run: u32,
    /// As in `cargo xtask logs`.
    pub command: String,
    /// As it was typed.
    pub command_line: String,
    /// Of this tool.
    pub version: String,
    pub system: String,
    /// `None`: the one of the folder that it was run in.
    pub manifest: Option<PathBuf>,
    pub folder: Option<PathBuf>,
    /// Of this host; the number if it has no name.
    pub user: String,
    pub process: u32,
    /// RFC 3339.
    pub started: String,
    /// `None` while it goes on, and for ever if it was killed.
    pub ended: Option<String>,
    pub exit_code: Option<u8>,
    /// `success`, or the message of the failure.
    pub result: Option<String>,
    /// Agents whose logs are kept.
    pub failed_agents: Vec<String>,
}

/// Records the run of this process, if it changes something.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Recording>);

#[derive(Debug, Default)]
struct Recording {
    /// Command, system and beginning of a run that may change something.
    asked: Option<(String, String, i64)>,
    folder: Option<RunFolder>,
    file: Option<RunFile>,
    plans: Vec<Value>,
    warned: bool,
}

/// Folder of a system's runs.
///
/// # Errors
/// There is no place for such things.
pub fn runs_of(system: &str) -> io::Result<PathBuf> {
    let folder = folders::state(system).map_err(io::Error::other)?;
    Ok(folder.join("runs"))
}

impl Recorder {
    /// A command that changes this system begins.
    pub fn asked(&self, system: &str, command: &str) {
        let mut recording = self.recording();
        recording.asked = Some((command.to_owned(), system.to_owned(), now_s()));
    }

    /// Number of the run, once it has changed something.
    pub fn number(&self) -> Option<u32> {
        self.recording().folder.as_ref().map(|run| run.number)
    }

    /// A plan is about to be carried out.
    pub fn begin(&self, ui: Ui, manifest: Option<&Path>, engine: &Engine, plan: &Plan) {
        if plan.is_empty() {
            return;
        }
        let mut recording = self.recording();
        let Some((command, system, started_s)) = recording.asked.clone() else {
            return;
        };
        let begin = || -> io::Result<()> {
            if recording.folder.is_none() {
                let folder = RunFolder::create(&runs_of(&system)?)?;
                recording.file = Some(RunFile {
                    run: folder.number,
                    command,
                    command_line: command_line(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    system,
                    manifest: manifest.map(Path::to_owned),
                    folder: std::env::current_dir().ok(),
                    user: user(),
                    process: std::process::id(),
                    started: rfc3339(started_s),
                    ended: None,
                    exit_code: None,
                    result: None,
                    failed_agents: Vec::new(),
                });
                folder.write("environment.json", &text(&environment(engine)))?;
                recording.folder = Some(folder);
            }
            let mut plan = serde_json::to_value(plan)?;
            redact::redact(&mut plan);
            recording.plans.push(plan);
            recording.write()
        };
        if let Err(error) = begin() {
            recording.warn(ui, &error);
        }
    }

    /// The run is over; returns its last words.
    pub fn end(&self, ui: Ui, ended: &Result<(), Failure>) -> Option<String> {
        let mut recording = self.recording();
        let file = recording.file.as_mut()?;
        file.ended = Some(rfc3339(now_s()));
        file.exit_code = Some(ended.as_ref().err().map_or(0, |failure| failure.exit as u8));
        let result = ended.as_ref().err().map(ToString::to_string);
        file.result = Some(result.unwrap_or_else(|| "success".to_owned()));
        let logs = file.failed_agents.len();
        if let Err(error) = recording.write() {
            recording.warn(ui, &error);
        }
        // Dropped, it is no longer being written.
        let folder = recording.folder.take()?;
        let words = format!("run {}", folder.number);
        Some(match (ended, logs) {
            (Ok(()), _) => words,
            (Err(_), 0) => format!("{words}: {}", folder.path.display()),
            (Err(_), 1) => format!("{words}: 1 whole log in {}", folder.path.display()),
            (Err(_), logs) => format!("{words}: {logs} whole logs in {}", folder.path.display()),
        })
    }

    fn recording(&self) -> MutexGuard<'_, Recording> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recording {
    fn write(&self) -> io::Result<()> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        folder.write("plan.json", &text(&json!({ "plans": self.plans })))?;
        folder.write("run.json", &text(&self.file))
    }

    fn warn(&mut self, ui: Ui, error: &io::Error) {
        if !self.warned {
            ui.warn(format!("evidence of this run cannot be kept: {error}"));
            self.warned = true;
        }
    }
}

/// Keeps what failed agents leave behind in the folder of the run; all else is for
/// the display.
#[derive(Debug)]
pub struct Keeper<'a> {
    pub recorder: &'a Recorder,
    pub ui: Ui,
    pub progress: Progress,
}

impl Watch for Keeper<'_> {
    fn event(&self, position: usize, step: &Step, event: Event<'_>) {
        self.progress.event(position, step, event);
    }

    fn keep_evidence(&self, engine: &Engine, agent: &str, container: &str) -> Option<u32> {
        let number = self.recorder.number()?;
        let kept = self.take(engine, agent, container);
        let mut recording = self.recorder.recording();
        if let Err(error) = kept {
            recording.warn(self.ui, &error);
            return None;
        }
        let file = recording.file.as_mut()?;
        if !file.failed_agents.iter().any(|known| known == agent) {
            file.failed_agents.push(agent.to_owned());
        }
        // A run that is killed later has told of this one.
        if let Err(error) = recording.write() {
            recording.warn(self.ui, &error);
        }
        Some(number)
    }
}

impl Keeper<'_> {
    fn take(&self, engine: &Engine, agent: &str, container: &str) -> io::Result<()> {
        let call = Call::look("inspect a container", &["container", "inspect", container])
            .deadline_ms(DEADLINE_MS);
        let inspected: Value = engine.podman.json(&call).map_err(io::Error::other)?;
        let path = log_file::path(inspected.get(0).unwrap_or(&Value::Null));
        let local = path.filter(|_| !engine.facts.remote);
        // Not while others wait for the lock.
        let (mut log, log_path) = {
            let recording = self.recorder.recording();
            let Some(folder) = &recording.folder else {
                return Ok(());
            };
            let mut inspected = inspected;
            redact::redact(&mut inspected);
            folder.write(&format!("{agent}.inspect.json"), &text(&inspected))?;
            let name = format!("{agent}.log");
            (folder.file(&name)?, folder.path.join(name))
        };
        let file = local.and_then(|path| File::open(path).ok());
        let copied = file.and_then(|file| copy_log(engine, file, &mut log).ok());
        match copied {
            Some(_) => Ok(()),
            None => told_log(engine, agent, container, &mut File::create(log_path)?),
        }
    }
}

/// An agent may have told a secret that it was given.
fn copy_log(engine: &Engine, mut from: File, to: &mut File) -> io::Result<()> {
    let vault = &engine.podman.vault;
    if vault.is_empty() {
        return io::copy(&mut from, to).map(drop);
    }
    for line in io::BufReader::new(from).split(b'\n') {
        let line = line?;
        let clean = vault.clean(&String::from_utf8_lossy(&line), &[]);
        writeln!(to, "{clean}")?;
    }
    Ok(())
}

/// The whole log as podman tells it, in the form of a log file.
fn told_log(engine: &Engine, agent: &str, container: &str, to: &mut File) -> io::Result<()> {
    let records = told(&engine.podman, agent, container, None).map_err(io::Error::other)?;
    for LogRecord { time, stream, text } in records {
        writeln!(to, "{time} {} F {text}", stream.as_str())?;
    }
    Ok(())
}

fn text(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
    text.push(b'\n');
    text
}

fn command_line() -> String {
    let words = std::env::args_os().skip(1);
    let words: Vec<String> = ["cargo", "xtask"]
        .map(str::to_owned)
        .into_iter()
        .chain(words.map(|word| word.to_string_lossy().into_owned()))
        .collect();
    shell_line(&words)
}

/// Whoever runs this, by name.
pub fn user_name() -> Option<String> {
    let known = ["SUDO_USER", "USER", "LOGNAME"].into_iter();
    known
        .filter_map(|name| std::env::var(name).ok())
        .find(|name| !name.is_empty())
}

fn user() -> String {
    let name = user_name();
    let id = rustix::process::getuid().as_raw();
    name.map_or_else(|| id.to_string(), |name| format!("{name} ({id})"))
}

/// What podman and this host are, as far as it is known without asking.
fn environment(engine: &Engine) -> Value {
    let line = |path: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().next().unwrap_or_default().trim().to_owned()
    };
    let mut podman = json!(engine.facts);
    podman["version"] = engine.facts.version.to_string().into();
    json!({
        "podman": podman,
        "quirks": engine.proof,
        "kernel": line("/proc/sys/kernel/osrelease"),
        "host": line("/proc/sys/kernel/hostname"),
        "memory": line("/proc/meminfo"),
        "load": line("/proc/loadavg"),
        "processors": std::thread::available_parallelism().map_or(0, usize::from),
    })
}
