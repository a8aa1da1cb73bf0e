//! Waits for agents: the gate before dependants start, and the second look
//! after the settle window.
//!
//! Waiting needs no podman and holds no slot. Whether a container has exited
//! is asked in bulk by one watcher for all gates, and only for agents that do
//! not answer at once.

mod target;

use std::{
    collections::BTreeMap,
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Serialize, Serializer};

use crate::{
    host::ports,
    podman::{
        Podman, PodmanError, observe,
        run::{Call, tail},
    },
};
use health::{self, Ending, Outcome, Probe, ProbeBudget, Schedule, Target};
use model::plan::{
    Gate,
    state::{Container, Status},
};

pub use target::target;

/// Budget of one question to an agent.
pub const BUDGET: ProbeBudget = ProbeBudget {
    connect_ms: 1_000,
    reply_ms: 2_000,
};
/// Most agents answer before the watcher looks for the first time.
const FIRST_LOOK: Duration = Duration::from_millis(400);
const LOOK_EVERY: Duration = Duration::from_millis(600);
/// Log lines shown of an agent that failed.
const LOG_LINES: usize = 15;
/// Before an empty log is read again.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// How an agent fared; the words of `health-check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentStatus {
    Healthy,
    Answering,
    Unhealthy,
    Refused,
    Timeout,
    WrongPort,
    Exited,
    Missing,
}

impl AgentStatus {
    /// The word that JSON output and tables use.
    pub fn as_str(self) -> &'static str {
        match self {
            AgentStatus::Healthy => "healthy",
            AgentStatus::Answering => "answering",
            AgentStatus::Unhealthy => "unhealthy",
            AgentStatus::Refused => "refused",
            AgentStatus::Timeout => "timeout",
            AgentStatus::WrongPort => "wrong_port",
            AgentStatus::Exited => "exited",
            AgentStatus::Missing => "missing",
        }
    }
}

impl Serialize for AgentStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// An agent that is not healthy, with all that is known about why.
#[derive(Debug, Clone, Serialize)]
pub struct Sick {
    pub agent: String,
    pub container: String,
    pub status: AgentStatus,
    pub reason: String,
    /// Time waited in the last attempt.
    pub waited_ms: u64,
    pub attempts: u32,
    pub reply: Option<String>,
    /// Last lines of the container's log.
    pub log: Vec<String>,
}

/// An agent that passed its gate.
#[derive(Debug, Clone, Copy)]
pub struct Passed {
    /// Starts that it took.
    pub attempts: u32,
}

#[derive(Debug)]
pub enum GateError {
    Sick(Box<Sick>),
    Podman(PodmanError),
    Interrupted,
}

/// Waits until the agent is healthy; restarts a container that exited as often
/// as the gate allows. `on_wait` is given a few words for the display.
pub fn pass(
    podman: &Podman,
    watcher: &Watcher,
    gate: &Gate,
    on_wait: &dyn Fn(&str),
) -> Result<Passed, GateError> {
    let mut attempt = 1;
    loop {
        let watched = watcher.watch(gate);
        let waited = wait_once(podman, &watched, gate, on_wait)?;
        drop(watched);
        match waited {
            Ok(()) => return Ok(Passed { attempts: attempt }),
            Err(mut sick) => {
                sick.attempts = attempt;
                if sick.status != AgentStatus::Exited || attempt >= gate.attempts {
                    sick.log = log_tail(podman, &gate.container);
                    return Err(GateError::Sick(sick));
                }
                attempt += 1;
                on_wait(&format!("{}, attempt {attempt}", sick.reason));
                let args = ["start", &gate.container].map(str::to_owned).to_vec();
                podman
                    .run(&Call::change(format!("start {} again", gate.agent), args))
                    .map_err(GateError::Podman)?;
            }
        }
    }
}

fn wait_once(
    podman: &Podman,
    watched: &Watched<'_>,
    gate: &Gate,
    on_wait: &dyn Fn(&str),
) -> Result<Result<(), Box<Sick>>, GateError> {
    let schedule = Schedule {
        deadline_ms: gate.timeout_ms,
        budget: BUDGET,
        accept_answering: false,
    };
    let target = target(gate);
    let waiting = health::wait_healthy(
        &target,
        schedule,
        || podman.cancel.requested() || watched.exited(),
        |_, probe| on_wait(&format!("starting: {}", describe(probe))),
    );
    let waited = health::block_on(waiting).map_err(|error| {
        GateError::Podman(PodmanError::Garbage {
            purpose: format!("ask {} for its health", gate.agent),
            command: String::new(),
            problem: error.to_string(),
            answer: String::new(),
        })
    })?;
    if waited.ending == Ending::Healthy {
        return Ok(Ok(()));
    }
    if podman.cancel.requested() {
        return Err(GateError::Interrupted);
    }
    let containers = observe::containers(podman).map_err(GateError::Podman)?;
    let container = containers.get(&gate.container);
    let (status, reason) = judge(gate.health_port, container, Some(&waited.probe));
    Ok(Err(Box::new(Sick {
        agent: gate.agent.clone(),
        container: gate.container.clone(),
        status,
        reason,
        waited_ms: waited.waited_ms as u64,
        attempts: 1,
        reply: waited.probe.reply,
        log: Vec::new(),
    })))
}

/// Waits for the settle window, then looks at every agent once more. An agent
/// that podman restarted in between counts as sick.
pub fn settle(
    podman: &Podman,
    window_ms: u64,
    gates: &[Gate],
    on_wait: &dyn Fn(&str),
) -> Result<(), Result<Vec<Sick>, PodmanError>> {
    let before = observe::containers(podman).map_err(Err)?;
    let end = Instant::now() + Duration::from_millis(window_ms);
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        if podman.cancel.requested() {
            return Err(Err(PodmanError::Interrupted));
        }
        on_wait(&format!("settling, {} s left", left.as_secs() + 1));
        std::thread::sleep(left.min(Duration::from_millis(100)));
    }
    let after = observe::containers(podman).map_err(Err)?;
    let targets: Vec<Target> = gates.iter().map(target).collect();
    let probes = health::probe_all(&targets, BUDGET, || podman.cancel.requested());
    let probes = probes.unwrap_or_default();
    let sick: Vec<Sick> = gates
        .iter()
        .enumerate()
        .filter_map(|(index, gate)| {
            let container = after.get(&gate.container);
            let probe = probes.get(index);
            let (mut status, mut reason) = judge(gate.health_port, container, probe);
            let started = |all: &BTreeMap<String, Container>| {
                all.get(&gate.container).map(|found| found.started_at_s)
            };
            if status == AgentStatus::Healthy {
                if started(&before) == started(&after) {
                    return None;
                }
                status = AgentStatus::Exited;
                reason = "exited after its first good reply and was restarted".to_owned();
            }
            Some(Sick {
                agent: gate.agent.clone(),
                container: gate.container.clone(),
                status,
                reason,
                waited_ms: window_ms,
                attempts: 1,
                reply: probe.and_then(|probe| probe.reply.clone()),
                log: log_tail(podman, &gate.container),
            })
        })
        .collect();
    if sick.is_empty() {
        Ok(())
    } else {
        Err(Ok(sick))
    }
}

/// The agent's status from its container and the probe of its health port,
/// with the reason in words.
pub fn judge(
    health_port: u16,
    container: Option<&Container>,
    probe: Option<&Probe>,
) -> (AgentStatus, String) {
    let Some(container) = container else {
        return (AgentStatus::Missing, "has no container".to_owned());
    };
    match container.status {
        Status::Running => {}
        Status::Created => return (AgentStatus::Exited, "was never started".to_owned()),
        Status::Exited => {
            let reason = format!("exited with {}", exit_words(container.exit_code));
            return (AgentStatus::Exited, reason);
        }
        Status::Other => {
            return (
                AgentStatus::Exited,
                "is neither running nor exited".to_owned(),
            );
        }
    }
    let Some(probe) = probe else {
        return (AgentStatus::Timeout, "could not be asked".to_owned());
    };
    let status = match probe.outcome {
        Outcome::Healthy => AgentStatus::Healthy,
        Outcome::Answering => AgentStatus::Answering,
        Outcome::Unhealthy => AgentStatus::Unhealthy,
        Outcome::Refused => AgentStatus::Refused,
        Outcome::Timeout => AgentStatus::Timeout,
    };
    // A published port accepts connections that nobody inside answers, so
    // only the kernel's table tells silence from the wrong port.
    if matches!(status, AgentStatus::Refused | AgentStatus::Timeout)
        && let Some(listening) = ports::listening(container.pid)
        && !listening.contains(&health_port)
    {
        if listening.is_empty() {
            return (
                AgentStatus::Refused,
                format!("listens on no port (expected {health_port})"),
            );
        }
        let ports: Vec<String> = listening.iter().map(u16::to_string).collect();
        let reason = format!("listens on {}, not on {health_port}", ports.join(" and "));
        return (AgentStatus::WrongPort, reason);
    }
    (status, describe(probe))
}

/// An exit code with what it usually stands for.
pub fn exit_words(code: i32) -> String {
    let meaning = match code {
        126 => " (the command cannot be run)",
        127 => " (the command was not found)",
        137 => " (killed: SIGKILL, often out of memory)",
        139 => " (crashed: SIGSEGV)",
        143 => " (ended: SIGTERM)",
        _ => "",
    };
    format!("code {code}{meaning}")
}

fn describe(probe: &Probe) -> String {
    let words = format!("{}, {}", probe.outcome.as_str(), probe.finding);
    match &probe.reply {
        None => words,
        Some(reply) => format!("{words}: {reply}"),
    }
}

/// The end of a container's log, both streams in the order of time; podman's
/// complaint if it cannot be read.
pub fn log_tail(podman: &Podman, container: &str) -> Vec<String> {
    let read = || log_lines(podman, container, LOG_LINES);
    let text = read().and_then(|lines| {
        if !lines.is_empty() {
            return Ok(lines);
        }
        // The last words of one that has just ended may still be on their way.
        std::thread::sleep(LAST_WORDS);
        read()
    });
    text.unwrap_or_else(|error| vec![error.to_string()])
}

/// The last `count` lines of a container's log, both streams in the order of
/// time, fit for a terminal. Empty also where podman knows no such container.
///
/// # Errors
/// podman did not end by itself.
pub fn log_lines(
    podman: &Podman,
    container: &str,
    count: usize,
) -> Result<Vec<String>, PodmanError> {
    // The whole of it: with `--tail`, podman 4.3.1 puts the pieces of a line that
    // was written in pieces behind the line before, the last one first. A log
    // ends at `max-size`.
    let args = ["logs", "--timestamps", container];
    let output = podman.probe(&Call::look("read the log", &args))?;
    let mut lines = tail(&output.stdout, count);
    lines.extend(tail(&output.stderr, count));
    // Times are of equal length and in UTC or one zone, so text order is time
    // order; the sort is stable, so lines of one stream keep theirs.
    lines.sort_by(|a, b| a.split(' ').next().cmp(&b.split(' ').next()));
    // A line that is just being written may be cut off within its time.
    let texts = lines.iter().filter_map(|line| line.split_once(' '));
    let mut texts: Vec<String> = texts.map(|(_, text)| in_one_piece(text)).collect();
    Ok(texts.split_off(texts.len().saturating_sub(count)))
}

/// A line without the times that podman puts before the second and each later
/// piece of it.
fn in_one_piece(text: &str) -> String {
    const TIME: &str = "0000-00-00T00:00:00.000000000";
    let is_time = |at: &[u8]| {
        let same = |(found, wanted): (&u8, &u8)| match wanted {
            b'0' => found.is_ascii_digit(),
            other => found == other,
        };
        at.len() >= TIME.len() && at.iter().zip(TIME.as_bytes()).all(same)
    };
    let mut whole = String::new();
    let mut rest = text;
    while let Some(at) = rest.as_bytes().windows(TIME.len()).position(is_time) {
        let behind = &rest[at + TIME.len()..];
        // `Z `, or an offset such as `+01:00 `.
        let zone = behind.split(' ').next().unwrap_or_default();
        let is_zone = zone == "Z" || zone.len() == 6 && zone.starts_with(['+', '-']);
        let end = at + TIME.len() + if is_zone { zone.len() + 1 } else { 0 };
        whole.push_str(&rest[..if is_zone { at } else { end }]);
        rest = rest.get(end..).unwrap_or_default();
    }
    whole + rest
}

/// Looks at all watched containers with one `podman ps` at a time.
#[derive(Debug, Default)]
pub struct Watcher {
    watched: Mutex<BTreeMap<String, Entry>>,
    changed: Condvar,
    over: AtomicBool,
}

#[derive(Debug)]
struct Entry {
    since: Instant,
    restarts: bool,
    /// Consecutive looks that found it exited. A container that podman
    /// restarts is exited for a moment between two lives.
    exited: u32,
}

/// A container is watched as long as this lives.
struct Watched<'a> {
    watcher: &'a Watcher,
    container: String,
}

impl Watcher {
    /// Runs until `end` is called; meant for a thread of its own.
    pub fn run(&self, podman: &Podman) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.over.load(Ordering::SeqCst) {
            let due = watched
                .values()
                .any(|entry| entry.since.elapsed() >= FIRST_LOOK);
            if due {
                drop(watched);
                let seen = observe::containers(podman);
                watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
                // A failed look says nothing about any container.
                if let Ok(seen) = seen {
                    for (container, entry) in watched.iter_mut() {
                        let exited = seen.get(container).is_none_or(|found| !found.running());
                        entry.exited = if exited { entry.exited + 1 } else { 0 };
                    }
                }
            }
            let pause = if due { LOOK_EVERY } else { FIRST_LOOK / 4 };
            let slept = self.changed.wait_timeout(watched, pause);
            watched = slept.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
        self.changed.notify_all();
    }

    fn watch(&self, gate: &Gate) -> Watched<'_> {
        let entry = Entry {
            since: Instant::now(),
            restarts: gate.restarts,
            exited: 0,
        };
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.insert(gate.container.clone(), entry);
        Watched {
            watcher: self,
            container: gate.container.clone(),
        }
    }
}

impl Watched<'_> {
    fn exited(&self) -> bool {
        let watched = self
            .watcher
            .watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        watched
            .get(&self.container)
            .is_some_and(|entry| entry.exited > u32::from(entry.restarts))
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        let mut watched = self
            .watcher
            .watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        watched.remove(&self.container);
    }
}

#[cfg(test)]
mod tests;
