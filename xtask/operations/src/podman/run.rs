//! The one place where podman is spawned.
//!
//! Invariant (checked by the tidy test): no other file starts podman. Every
//! call says what it is for, has a deadline, and fails with the command line,
//! the exit code and the end of stderr.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use diagnostics::excerpt::printable;
use process::{Cancel, Command, Input, OnCancel, Output, ProcessError, shell_line};
use serde::de::DeserializeOwned;

use super::vault::{self, Vault};
use crate::ui;

/// Environment variable that marks our short changes with the system's name, so
/// that the next run can tell those of a killed one.
pub const CHANGE_MARKER: &str = "AI_SYSTEM_XTASK";
/// The same for builds, pulls and programs in containers.
pub const LONG_MARKER: &str = "AI_SYSTEM_XTASK_LONG";
/// Deadline of calls that only look. They wait for podman's storage lock, which
/// another podman holds for half a minute while it commits a large image.
pub const LOOK_DEADLINE_MS: u64 = 120_000;
/// Deadline of calls that change one object.
pub const CHANGE_DEADLINE_MS: u64 = 120_000;
/// Deadline of builds, pulls and imports.
pub const BUILD_DEADLINE_MS: u64 = 60 * 60 * 1000;

/// Output kept of a call whose lines are forwarded, for its failure.
const FORWARDED_KEPT_BYTES: usize = 64 * 1024;
/// Lines of stderr that say nothing about the call at hand.
const NOISE: &[&str] = &["failed to connect to syslog", "level=warning", "level=info"];
/// Time that podman has for what is more than the wait for a container's end.
pub const STOP_GRACE_MS: u64 = 30_000;
/// A podman that has not listed a container by then hangs.
const ANSWER_MS: u64 = 5_000;
/// Bound on a look after Ctrl-C.
const LAST_LOOK_MS: u64 = 10_000;
/// How often a call is made that fails for a passing reason.
const PASSING_ATTEMPTS: u32 = 5;

/// podman with the options that every call on this host needs.
#[derive(Debug, Clone)]
pub struct Podman {
    pub program: PathBuf,
    /// Options before the verb: connection, runtime, cgroup manager.
    pub global: Vec<String>,
    pub cancel: Cancel,
    /// It works on another host, whose processes cannot be seen from here.
    pub remote: bool,
    /// Name of the system that calls are made for; marks their processes.
    pub system: String,
    /// Folder for temporary files of builds, where podman's own will not do.
    pub build_folder: Option<PathBuf>,
    /// Bound on the deadline of calls that only look, where nobody wants to
    /// wait for a podman that hangs.
    pub patience_ms: Option<u64>,
    /// Values that it is given, and that nobody is shown.
    pub vault: Vault,
    /// Echo every call on stderr.
    pub verbose: bool,
}

/// One call, without the global options.
#[derive(Debug, Clone)]
pub struct Call {
    /// What it is for, a fragment that fits after "failed to".
    pub purpose: String,
    pub args: Vec<String>,
    /// What podman reads on its standard input.
    pub input: Option<Input>,
    pub kind: CallKind,
    /// The kind's own, unless somebody knows better.
    pub deadline_ms: u64,
}

/// What a call does to the engine; what Ctrl-C does to it, how long it may take
/// and whether it is tried again follow from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// Changes nothing. May be ended at any time, bounded by the caller's
    /// patience, and repeated when it trips over another podman's change.
    Look,
    /// A short change of one object. It is left to finish, however often Ctrl-C
    /// is pressed.
    Change,
    /// A build, a pull or a program in a container. Ctrl-C ends it.
    Long,
}

impl CallKind {
    fn deadline_ms(self) -> u64 {
        match self {
            CallKind::Look => LOOK_DEADLINE_MS,
            CallKind::Change => CHANGE_DEADLINE_MS,
            CallKind::Long => BUILD_DEADLINE_MS,
        }
    }

    fn on_cancel(self) -> OnCancel {
        match self {
            CallKind::Look | CallKind::Long => OnCancel::End,
            CallKind::Change => OnCancel::Finish,
        }
    }

    /// Nobody needs to wait for a killed run's looks.
    fn marker(self) -> Option<&'static str> {
        let long = self == CallKind::Long;
        (self != CallKind::Look).then_some(if long { LONG_MARKER } else { CHANGE_MARKER })
    }

    /// Whether a failure with this `stderr` passes by itself.
    fn passes(self, stderr: &str) -> bool {
        let says = |words| stderr.contains(words);
        // Parallel changes can find podman's database locked (podman issue
        // 25886); nothing has happened yet then, so try again. Of two creations
        // that bring the same new volume one fails (seen with 4.3.1), before
        // its container exists.
        let contended = says("database is locked") || says("volume already exists");
        // Listings trip over things that another podman removes meanwhile (seen
        // with `podman images` during a build, 4.3.1; with `podman volume ls`
        // until podman pull request 24479). A change of something that is gone
        // has its answer.
        let gone = says("not known") || says("no such volume");
        contended || self == CallKind::Look && gone
    }
}

#[derive(Debug)]
pub enum PodmanError {
    /// podman ended with a failure, or could not be started or waited for.
    Failed {
        purpose: String,
        command: String,
        how: How,
        /// Last lines of stderr without noise.
        stderr: Vec<String>,
    },
    /// podman answered something that is not what it should be.
    Garbage {
        purpose: String,
        command: String,
        problem: String,
        answer: String,
    },
    Interrupted,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    Code(i32),
    TimedOut {
        deadline_ms: u64,
        /// podman does not answer a plain listing either.
        hangs: bool,
    },
    NotStarted(String),
}

impl Call {
    pub fn new(kind: CallKind, purpose: impl Into<String>, args: Vec<String>) -> Self {
        Call {
            purpose: purpose.into(),
            args,
            input: None,
            kind,
            deadline_ms: kind.deadline_ms(),
        }
    }

    /// A call that only looks.
    pub fn look(purpose: &str, args: &[&str]) -> Self {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Call::new(CallKind::Look, purpose, args)
    }

    /// A short call that changes something; Ctrl-C lets it finish.
    pub fn change(purpose: impl Into<String>, args: Vec<String>) -> Self {
        Call::new(CallKind::Change, purpose, args)
    }

    /// A long call that Ctrl-C ends.
    pub fn long(purpose: impl Into<String>, args: Vec<String>) -> Self {
        Call::new(CallKind::Long, purpose, args)
    }

    /// Has podman read this on its standard input.
    pub fn input(self, input: Input) -> Self {
        Call {
            input: Some(input),
            ..self
        }
    }

    pub fn deadline_ms(mut self, deadline_ms: u64) -> Self {
        self.deadline_ms = deadline_ms;
        self
    }
}

impl Podman {
    pub fn new(program: PathBuf, global: Vec<String>, cancel: Cancel, verbose: bool) -> Self {
        Podman {
            program,
            global,
            cancel,
            remote: false,
            system: String::new(),
            build_folder: None,
            patience_ms: None,
            vault: Vault::default(),
            verbose,
        }
    }

    /// Runs to a successful end.
    pub fn run(&self, call: &Call) -> Result<Output, PodmanError> {
        self.run_with(call, None)
    }

    /// Runs to a successful end; `on_line` sees the output as it comes.
    pub fn run_with(
        &self,
        call: &Call,
        on_line: Option<&(dyn Fn(&str) + Sync)>,
    ) -> Result<Output, PodmanError> {
        let mut attempt = 1;
        loop {
            let output = self.probe_with(call, on_line)?;
            if output.code == 0 {
                return Ok(output);
            }
            if call.kind.passes(&output.stderr) && attempt < PASSING_ATTEMPTS {
                std::thread::sleep(Duration::from_millis(100 << attempt));
                attempt += 1;
                continue;
            }
            return Err(self.failed(call, How::Code(output.code), &output.stderr));
        }
    }

    /// Runs to an end; `on_line` sees the output as it comes, and none of it is kept
    /// but the end.
    pub fn forward(
        &self,
        call: &Call,
        on_line: &(dyn Fn(&str) + Sync),
    ) -> Result<Output, PodmanError> {
        self.ended(call, Some(on_line), FORWARDED_KEPT_BYTES)
    }

    /// Runs to an end whose exit code is the answer.
    pub fn probe(&self, call: &Call) -> Result<Output, PodmanError> {
        self.probe_with(call, None)
    }

    /// Runs to a successful end and decodes the JSON on stdout.
    pub fn json<T: DeserializeOwned>(&self, call: &Call) -> Result<T, PodmanError> {
        let output = self.run(call)?;
        // podman prints nothing or `null` for an empty list, by version.
        let text = match output.stdout.trim() {
            "" | "null" => "[]",
            text => text,
        };
        serde_json::from_str(text).map_err(|error| PodmanError::Garbage {
            purpose: call.purpose.clone(),
            command: self.shown(&call.args),
            problem: error.to_string(),
            answer: text.chars().take(200).collect(),
        })
    }

    /// One that Ctrl-C does not keep from looking, for a last word on what is left.
    pub fn undisturbed(&self) -> Podman {
        Podman {
            cancel: Cancel::default(),
            patience_ms: Some(LAST_LOOK_MS),
            ..self.clone()
        }
    }

    /// Whether podman still lists containers.
    fn answers(&self) -> bool {
        let call = Call::look("list containers", &["ps", "--quiet"]).deadline_ms(ANSWER_MS);
        let answer = self.undisturbed().probe(&call);
        answer.is_ok_and(|output| output.code == 0)
    }

    /// The command for people to read: not all of what may be secret is in it.
    pub fn shown(&self, args: &[String]) -> String {
        shell_line(&self.argv(&vault::shown(args)))
    }

    /// The command as a shell would take it.
    pub fn line(&self, args: &[String]) -> String {
        shell_line(&self.argv(args))
    }

    fn argv(&self, args: &[String]) -> Vec<String> {
        let program = self.program.file_name().map_or_else(
            || "podman".to_owned(),
            |name| name.to_string_lossy().into_owned(),
        );
        let environment = self.build_environment(args);
        let assigned: Vec<String> = environment
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let env = (!assigned.is_empty()).then(|| "env".to_owned());
        env.into_iter()
            .chain(assigned)
            .chain([program])
            .chain(self.global.iter().cloned())
            .chain(args.iter().cloned())
            .collect()
    }

    fn build_environment(&self, args: &[String]) -> Option<(String, String)> {
        let builds = args.first().is_some_and(|verb| verb == "build");
        let folder = self.build_folder.as_ref().filter(|_| builds)?;
        Some(("TMPDIR".to_owned(), folder.display().to_string()))
    }

    /// Runs to an end whose exit code is the answer; `on_line` sees the output as
    /// it comes.
    pub fn probe_with(
        &self,
        call: &Call,
        on_line: Option<&(dyn Fn(&str) + Sync)>,
    ) -> Result<Output, PodmanError> {
        self.ended(call, on_line, process::OUTPUT_LIMIT_BYTES)
    }

    fn ended(
        &self,
        call: &Call,
        on_line: Option<&(dyn Fn(&str) + Sync)>,
        kept_bytes: usize,
    ) -> Result<Output, PodmanError> {
        let command = Command {
            program: self.program.clone(),
            args: self.global.iter().chain(&call.args).cloned().collect(),
            env: (call.kind.marker().into_iter())
                .map(|marker| (marker.to_owned(), self.system.clone()))
                .chain(self.build_environment(&call.args))
                .collect(),
            input: call.input.clone(),
            deadline_ms: self.deadline_ms(call),
            on_cancel: call.kind.on_cancel(),
            kept_bytes,
        };
        let started = Instant::now();
        let result = command.run(&self.cancel, on_line);
        if self.verbose {
            let code = result.as_ref().map_or(-1, |output| output.code);
            let elapsed = started.elapsed().as_secs_f64();
            let line = self.shown(&call.args);
            ui::echo(&format!("$ {line}  # {code}, {elapsed:.2} s"));
        }
        let result = result.map(|output| match call.args.first() {
            // Agents may have written down what they were given.
            Some(verb) if verb == "logs" => Output {
                stdout: self.vault.clean(&output.stdout, &[]),
                stderr: self.vault.clean(&output.stderr, &[]),
                ..output
            },
            _ => output,
        });
        result.map_err(|error| match error {
            ProcessError::Interrupted => PodmanError::Interrupted,
            ProcessError::TimedOut {
                deadline_ms,
                stderr,
            } => {
                let hangs = call.kind == CallKind::Look || !self.answers();
                self.failed(call, How::TimedOut { deadline_ms, hangs }, &stderr)
            }
            ProcessError::NotStarted(error) => {
                self.failed(call, How::NotStarted(error.to_string()), "")
            }
        })
    }

    fn deadline_ms(&self, call: &Call) -> u64 {
        let bound = self.patience_ms.filter(|_| call.kind == CallKind::Look);
        let deadline_ms = bound.map_or(call.deadline_ms, |bound| bound.min(call.deadline_ms));
        deadline_ms.min(test_deadline_ms().unwrap_or(u64::MAX))
    }

    fn failed(&self, call: &Call, how: How, stderr: &str) -> PodmanError {
        PodmanError::Failed {
            purpose: call.purpose.clone(),
            command: self.shown(&call.args),
            how,
            stderr: tail(&self.vault.clean(stderr, &call.args), 12),
        }
    }
}

/// Bound on the deadline of all calls, for tests that make podman hang at each of
/// them in turn.
fn test_deadline_ms() -> Option<u64> {
    std::env::var("AI_SYSTEM_XTASK_DEADLINE_MS")
        .ok()?
        .parse()
        .ok()
}

/// The last lines of `text` that say something.
pub fn tail(text: &str, lines: usize) -> Vec<String> {
    let telling: Vec<&str> = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty() && !NOISE.iter().any(|noise| line.contains(noise)))
        .collect();
    let first = telling.len().saturating_sub(lines);
    telling[first..]
        .iter()
        .map(|line| printable(line))
        .collect()
}

impl PodmanError {
    /// This call took too long, and podman answers others.
    pub fn stood_still(&self) -> bool {
        matches!(
            self,
            PodmanError::Failed {
                how: How::TimedOut { hangs: false, .. },
                ..
            }
        )
    }

    /// podman was ended because it took too long.
    pub fn timed_out(&self) -> bool {
        matches!(
            self,
            PodmanError::Failed {
                how: How::TimedOut { .. },
                ..
            }
        )
    }

    /// The last line of stderr, where podman puts the reason.
    pub fn reason(&self) -> String {
        match self {
            PodmanError::Failed { stderr, how, .. } => stderr
                .last()
                .map(|line| line.trim_start_matches("Error: ").to_owned())
                .unwrap_or_else(|| how.to_string()),
            PodmanError::Garbage { problem, .. } => problem.clone(),
            PodmanError::Interrupted => "interrupted".to_owned(),
        }
    }
}

impl std::fmt::Display for How {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            How::Code(code) => write!(out, "exit code {code}"),
            How::TimedOut { deadline_ms, .. } => {
                write!(
                    out,
                    "did not finish within {:.1} s",
                    *deadline_ms as f64 / 1e3
                )
            }
            How::NotStarted(error) => write!(out, "not started: {error}"),
        }
    }
}

impl std::fmt::Display for PodmanError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PodmanError::Failed { purpose, how, .. } => write!(out, "failed to {purpose}: {how}"),
            PodmanError::Garbage {
                purpose, problem, ..
            } => {
                write!(
                    out,
                    "failed to {purpose}: podman's answer could not be understood: {problem}"
                )
            }
            PodmanError::Interrupted => out.write_str("interrupted"),
        }
    }
}

impl std::error::Error for PodmanError {}

#[cfg(test)]
mod tests;
