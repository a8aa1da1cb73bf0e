//! Runs one external program with a deadline, bounded output and a clean end.
//!
//! Every child gets a process group of its own, so that a Ctrl-C typed at the
//! terminal reaches this tool alone, which then decides: a short engine call
//! is left to finish, whatever comes (a podman killed in the middle of a stop
//! leaves a container that the next one forgets, in the middle of a teardown
//! it leaks interfaces), a long one is ended with its whole group. What is left
//! to finish writes into memory and not into a pipe, so that it finishes even
//! if this tool is killed: a broken pipe would end it. This file knows nothing
//! about podman; `podman::run` does.

use std::{
    io,
    os::unix::process::CommandExt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

mod alive;
mod output;

use alive::descendants;
pub use alive::{age, has_ended};
pub use output::OUTPUT_LIMIT_BYTES;
use output::Stream;

/// Lines that may wait to be forwarded; a program that writes faster waits.
const LINES_WAITING: usize = 1000;
/// Time that podman has to clean up after a command that was killed.
const CLEAN_UP_GRACE: Duration = Duration::from_secs(5);
/// Time a terminated child has before it is killed.
const TERMINATE_GRACE: Duration = Duration::from_secs(8);
/// How often a wait looks at the cancellation flag.
const SLICE: Duration = Duration::from_millis(50);

/// Asked-for end of the whole run; clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Start nothing new, end what is long, let short calls finish.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What Ctrl-C does to a running command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnCancel {
    /// Let it end by itself.
    Finish,
    /// End it and its whole process group.
    End,
}

/// What a program reads on its standard input. May be secret, and is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Input(pub Vec<u8>);

impl std::fmt::Debug for Input {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Input(…)")
    }
}

/// One program call.
#[derive(Debug, Clone)]
pub struct Command {
    pub program: PathBuf,
    pub args: Vec<String>,
    /// Environment variables added to the inherited ones.
    pub env: Vec<(String, String)>,
    /// What it reads on its standard input; nothing if none.
    pub input: Option<Input>,
    pub deadline_ms: u64,
    pub on_cancel: OnCancel,
    /// Output kept per stream; what is older than this is dropped.
    pub kept_bytes: usize,
}

/// How a program ended, when it did end by itself.
#[derive(Debug, Clone)]
pub struct Output {
    /// Exit code, or 128 + signal number as shells count it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// How a program failed to end by itself.
#[derive(Debug)]
pub enum ProcessError {
    NotStarted(io::Error),
    /// Ended by us; holds what it had written to stderr.
    TimedOut {
        deadline_ms: u64,
        stderr: String,
    },
    /// Ended by us because of Ctrl-C.
    Interrupted,
}

impl Command {
    pub fn new(program: impl Into<PathBuf>, args: &[&str]) -> Self {
        Command {
            program: program.into(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            env: Vec::new(),
            input: None,
            deadline_ms: 60_000,
            on_cancel: OnCancel::Finish,
            kept_bytes: OUTPUT_LIMIT_BYTES,
        }
    }

    pub fn deadline_ms(mut self, deadline_ms: u64) -> Self {
        self.deadline_ms = deadline_ms;
        self
    }

    pub fn on_cancel(mut self, on_cancel: OnCancel) -> Self {
        self.on_cancel = on_cancel;
        self
    }

    /// Runs to the end; `on_line` sees every line of both streams as it comes.
    pub fn run(
        &self,
        cancel: &Cancel,
        on_line: Option<&(dyn Fn(&str) + Sync)>,
    ) -> Result<Output, ProcessError> {
        std::thread::scope(|scope| {
            let (lines_in, lines) = mpsc::sync_channel::<String>(LINES_WAITING);
            // All that may be refused is asked for before the program runs.
            let forward = on_line.is_some();
            let stream = || {
                let lines = forward.then(|| lines_in.clone());
                match self.on_cancel {
                    OnCancel::Finish if !forward => Stream::in_memory(self.kept_bytes),
                    OnCancel::Finish | OnCancel::End => Stream::read_along(lines, self.kept_bytes),
                }
            };
            let (out, err) = (stream(), stream());
            drop(lines_in);
            let (out, err) = (
                out.map_err(ProcessError::NotStarted)?,
                err.map_err(ProcessError::NotStarted)?,
            );
            if let Some(on_line) = on_line {
                std::thread::Builder::new()
                    .spawn_scoped(scope, move || lines.iter().for_each(|line| on_line(&line)))
                    .map_err(ProcessError::NotStarted)?;
            }
            let handle = {
                let expression = duct::cmd(self.program.as_os_str(), &self.args);
                let expression = match &self.input {
                    Some(Input(bytes)) => expression.stdin_bytes(bytes.clone()),
                    None => expression.stdin_null(),
                };
                let expression = expression
                    .stdout_file(out.writer)
                    .stderr_file(err.writer)
                    .unchecked()
                    .before_spawn(|command| {
                        command.process_group(0);
                        Ok(())
                    });
                self.env
                    .iter()
                    .fold(expression, |e, (name, value)| e.env(name, value))
                    .start()
                    .map_err(ProcessError::NotStarted)?
            };
            let ended = self.wait(&handle, cancel);
            let (stdout, stderr) = (out.collected.text(), err.collected.text());
            match ended? {
                Some(code) => Ok(Output {
                    code,
                    stdout,
                    stderr,
                }),
                None => Err(ProcessError::TimedOut {
                    deadline_ms: self.deadline_ms,
                    stderr,
                }),
            }
        })
    }

    /// Exit code; `None` when the deadline passed.
    fn wait(&self, handle: &duct::Handle, cancel: &Cancel) -> Result<Option<i32>, ProcessError> {
        let deadline = Instant::now() + Duration::from_millis(self.deadline_ms);
        loop {
            if let Some(output) = handle
                .wait_timeout(SLICE)
                .map_err(ProcessError::NotStarted)?
            {
                return Ok(Some(exit_code(output.status)));
            }
            if self.on_cancel == OnCancel::End && cancel.requested() {
                end_group(handle);
                return Err(ProcessError::Interrupted);
            }
            if Instant::now() >= deadline {
                end_group(handle);
                return Ok(None);
            }
        }
    }
}

/// Ends the child and everything that it started.
///
/// A build's command runs in a session of its own, so a signal to the group
/// misses it, and a podman that is ended first leaves it running for ever.
/// Killed first, it makes podman fail and clean up by itself (seen with podman
/// 4.3.1 and buildah 1.28). What does not end then is terminated, then killed.
fn end_group(handle: &duct::Handle) {
    let groups: Vec<Pid> = handle
        .pids()
        .into_iter()
        .filter_map(|pid| i32::try_from(pid).ok().and_then(Pid::from_raw))
        .collect();
    let leaders: Vec<i32> = groups
        .iter()
        .map(|group| group.as_raw_nonzero().get())
        .collect();
    let apart: Vec<Pid> = descendants(&leaders)
        .into_iter()
        .filter(|(_, group)| !leaders.contains(group))
        .filter_map(|(pid, _)| Pid::from_raw(pid))
        .collect();
    // A process or group that has already ended is what is wanted, so errors
    // are of no interest here.
    for pid in &apart {
        let _ = kill_process(*pid, Signal::KILL);
    }
    if !apart.is_empty() && ends_within(handle, CLEAN_UP_GRACE) {
        return;
    }
    for group in &groups {
        let _ = kill_process_group(*group, Signal::TERM);
    }
    ends_within(handle, TERMINATE_GRACE);
    for group in &groups {
        let _ = kill_process_group(*group, Signal::KILL);
    }
    ends_within(handle, Duration::from_secs(2));
}

fn ends_within(handle: &duct::Handle, grace: Duration) -> bool {
    matches!(handle.wait_timeout(grace), Ok(Some(_)))
}

fn exit_code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1)
}

impl std::fmt::Display for ProcessError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ProcessError::NotStarted(error) => write!(out, "could not be started: {error}"),
            ProcessError::TimedOut { deadline_ms, .. } => {
                write!(out, "did not end within {:.1} s", *deadline_ms as f64 / 1e3)
            }
            ProcessError::Interrupted => out.write_str("was interrupted"),
        }
    }
}

/// One line that a POSIX shell runs as this command.
pub fn shell_line(argv: &[String]) -> String {
    argv.iter()
        .map(|word| quote(word))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Quotes a word for a POSIX shell. A NUL byte cannot be in an argument.
pub fn quote(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.replace('\0', ""), |quoted| quoted.into_owned())
}

#[cfg(test)]
mod tests;
