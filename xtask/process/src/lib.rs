//! Runs one external program with a deadline, bounded output and a clean end.
//!
//! Every child gets a process group of its own, so that a Ctrl-C typed at the
//! terminal reaches this tool alone, which then decides: a short engine call
//! is left to finish (a podman killed in the middle of a teardown leaks
//! interfaces, see netavark before 1.15), a long one is ended with its whole
//! group. This file knows nothing about podman; `podman::run` does.

use std::{
    io::{self, BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use diagnostics::excerpt::printable;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// Output kept per stream unless less is wanted.
pub const OUTPUT_LIMIT_BYTES: usize = 32 * 1024 * 1024;
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
pub struct Cancel(Arc<AtomicU8>);

impl Cancel {
    /// First request: start nothing new, let short calls finish. A second
    /// request ends those as well.
    pub fn request(&self) {
        let seen = self.0.load(Ordering::SeqCst);
        self.0.store(seen.saturating_add(1), Ordering::SeqCst);
    }

    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 0
    }

    fn forced(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 1
    }
}

/// What Ctrl-C does to a running command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnCancel {
    /// Let it end by itself; only a second Ctrl-C ends it.
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
            let stdout = Stream::new().map_err(ProcessError::NotStarted)?;
            let stderr = Stream::new().map_err(ProcessError::NotStarted)?;
            let handle = {
                let (out, err) = (stdout.writer, stderr.writer);
                let expression = duct::cmd(self.program.as_os_str(), &self.args);
                let expression = match &self.input {
                    Some(Input(bytes)) => expression.stdin_bytes(bytes.clone()),
                    None => expression.stdin_null(),
                };
                let expression = expression
                    .stdout_file(out)
                    .stderr_file(err)
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
            let forward = on_line.is_some();
            let out = collect(
                stdout.reader,
                forward.then(|| lines_in.clone()),
                self.kept_bytes,
            );
            let err = collect(
                stderr.reader,
                forward.then(|| lines_in.clone()),
                self.kept_bytes,
            );
            drop(lines_in);
            if let Some(on_line) = on_line {
                scope.spawn(move || lines.iter().for_each(|line| on_line(&line)));
            }
            let ended = self.wait(&handle, cancel);
            let (stdout, stderr) = (out.text(), err.text());
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
            let cancelled = match self.on_cancel {
                OnCancel::Finish => cancel.forced(),
                OnCancel::End => cancel.requested(),
            };
            if cancelled {
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

/// Process id and group of everything below `roots`, from `/proc`.
fn descendants(roots: &[i32]) -> Vec<(i32, i32)> {
    let processes: Vec<(i32, i32, i32)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The name in parentheses may hold anything; the rest is plain.
            let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
            let parent = fields.nth(1)?.parse().ok()?;
            let group = fields.next()?.parse().ok()?;
            Some((pid, parent, group))
        })
        .collect();
    let mut found: Vec<(i32, i32)> = Vec::new();
    let mut parents = roots.to_vec();
    while let Some(parent) = parents.pop() {
        let children = processes.iter().filter(|(_, above, _)| *above == parent);
        for (pid, _, group) in children {
            found.push((*pid, *group));
            parents.push(*pid);
        }
    }
    found
}

fn exit_code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1)
}

struct Stream {
    reader: io::PipeReader,
    writer: std::os::fd::OwnedFd,
}

impl Stream {
    fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        Ok(Stream {
            reader,
            writer: writer.into(),
        })
    }
}

/// What a stream has given so far, and word of its end.
struct Collected {
    text: Arc<Mutex<Vec<u8>>>,
    ended: mpsc::Receiver<()>,
}

impl Collected {
    /// The text once the stream has ended. A grandchild may hold the stream
    /// open for ever, so the wait for that is bounded.
    fn text(self) -> String {
        let _ = self.ended.recv_timeout(Duration::from_secs(1));
        let bytes = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn collect(
    reader: io::PipeReader,
    lines: Option<mpsc::SyncSender<String>>,
    kept_bytes: usize,
) -> Collected {
    let text = Arc::new(Mutex::new(Vec::new()));
    let (done, ended) = mpsc::channel();
    let sink = Arc::clone(&text);
    std::thread::spawn(move || {
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        // Lines are read with a limit, so that one endless line cannot take
        // the memory of the machine.
        while let Ok(read) = (&mut reader).take(64 * 1024).read_until(b'\n', &mut line) {
            if read == 0 {
                break;
            }
            if let Some(lines) = &lines {
                let _ = lines.send(printable(&String::from_utf8_lossy(&line)));
            }
            let mut text = sink.lock().unwrap_or_else(PoisonError::into_inner);
            text.append(&mut line);
            if text.len() > kept_bytes {
                let excess = text.len() - kept_bytes / 2;
                text.drain(..excess);
            }
        }
        let _ = done.send(());
    });
    Collected { text, ended }
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
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        Command::new("sh", &["-c", script])
    }

    #[test]
    fn output_and_code_come_back() {
        let output = sh("echo out; echo err >&2; exit 3")
            .run(&Cancel::default(), None)
            .unwrap();
        assert_eq!(
            (output.code, &*output.stdout, &*output.stderr),
            (3, "out\n", "err\n")
        );
    }

    #[test]
    fn input_is_read_and_not_shown() {
        let mut command = sh("cat; cat >&2");
        command.input = Some(Input(b"a secret\nof two lines".to_vec()));
        let output = command.run(&Cancel::default(), None).unwrap();
        assert_eq!(output.stdout, "a secret\nof two lines");
        assert!(!format!("{command:?}").contains("secret"));
        // A program that does not read is no failure, and no wait.
        command.args = vec!["-c".to_owned(), "exit 3".to_owned()];
        command.input = Some(Input(vec![b'x'; 1 << 20]));
        assert_eq!(command.run(&Cancel::default(), None).unwrap().code, 3);
    }

    #[test]
    fn lines_are_forwarded_as_they_come() {
        let seen = Mutex::new(Vec::new());
        sh("echo one; echo two")
            .run(
                &Cancel::default(),
                Some(&|line: &str| seen.lock().unwrap().push(line.to_owned())),
            )
            .unwrap();
        assert_eq!(*seen.lock().unwrap(), ["one", "two"]);
    }

    #[test]
    fn deadline_ends_the_whole_group() {
        let started = Instant::now();
        let error = sh("sleep 30 & echo $!; wait")
            .deadline_ms(200)
            .run(&Cancel::default(), None)
            .unwrap_err();
        assert!(matches!(
            error,
            ProcessError::TimedOut {
                deadline_ms: 200,
                ..
            }
        ));
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn what_runs_in_a_session_of_its_own_ends_too() {
        let error = sh("setsid sh -c 'echo $$ >&2; sleep 30' & wait")
            .deadline_ms(400)
            .run(&Cancel::default(), None)
            .unwrap_err();
        let ProcessError::TimedOut { stderr, .. } = error else {
            panic!("{error}")
        };
        let pid: u32 = stderr.trim().parse().unwrap();
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn first_cancel_lets_short_calls_finish_and_ends_long_ones() {
        let cancel = Cancel::default();
        cancel.request();
        assert_eq!(sh("sleep 0.2; exit 4").run(&cancel, None).unwrap().code, 4);
        let ended = sh("sleep 30")
            .on_cancel(OnCancel::End)
            .run(&cancel, None)
            .unwrap_err();
        assert!(matches!(ended, ProcessError::Interrupted));
        cancel.request();
        let ended = sh("sleep 30").run(&cancel, None).unwrap_err();
        assert!(matches!(ended, ProcessError::Interrupted));
    }

    #[test]
    fn a_missing_program_is_not_started() {
        let error = Command::new("/nonexistent/program", &[])
            .run(&Cancel::default(), None)
            .unwrap_err();
        assert!(matches!(error, ProcessError::NotStarted(_)));
    }

    #[test]
    fn quoting_survives_a_shell() {
        let words = ["plain", "two words", "it's", "$HOME", ""].map(str::to_owned);
        let line = shell_line(&words);
        let output = sh(&format!("printf '%s|' {line}"))
            .run(&Cancel::default(), None)
            .unwrap();
        assert_eq!(output.stdout, "plain|two words|it's|$HOME||");
    }
}
