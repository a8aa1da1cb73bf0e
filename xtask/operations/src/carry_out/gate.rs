//! Waits for agents: the gate before dependants start, and the second look
//! after the settle window.
//!
//! Waiting needs no podman and holds no slot. Whether a container has exited
//! is asked in bulk by one watcher for all gates, and only for agents that do
//! not answer at once.

use std::time::{Duration, Instant};

use health::{self, ProbeBudget, Schedule, WaitEnd, Waited};
use model::plan::{
    Gate,
    state::{Container, Status},
    step::Unanswered,
};
use serde::Serialize;

use super::{
    judge::{AgentStatus, describe, judge},
    log::log_tail,
    target::target,
    watcher::{Watched, Watcher},
};
use crate::podman::{Podman, PodmanError, observe, run::Call};

/// Budget of one question to an agent.
pub const BUDGET: ProbeBudget = ProbeBudget {
    connect_ms: 1_000,
    reply_ms: 2_000,
};

/// An agent that is not healthy, with all that is known about why.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sick {
    /// As in the manifest.
    pub agent: String,
    /// Name of its container.
    pub container: String,
    /// How it fared.
    pub status: AgentStatus,
    /// Why, in words.
    pub reason: String,
    /// Time waited in the last attempt, in ms.
    pub waited_ms: u64,
    /// Starts that were tried.
    pub attempts: u32,
    /// The start of its last reply; null if none came.
    pub reply: Option<String>,
    /// Last lines of the container's log.
    pub log: Vec<String>,
    /// Number of the run that its whole log is kept under; left out if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<u32>,
}

impl Sick {
    /// The command that shows the log of this failure, even when its container
    /// is gone.
    pub fn log_command(&self) -> String {
        let run = self.run.map(|run| format!("--run {run} "));
        format!("cargo xtask logs {}{}", run.unwrap_or_default(), self.agent)
    }
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
    let mut restarted = false;
    loop {
        let watched = watcher.watch(gate);
        let waited = wait_once(podman, &watched, gate, on_wait)?;
        drop(watched);
        match waited {
            Ok(()) => {
                watcher.note_passed(&gate.container);
                return Ok(Passed { attempts: attempt });
            }
            Err((mut sick, found)) => {
                sick.attempts = attempt;
                let silent = sick.status != AgentStatus::Exited;
                if silent && gate.unanswered == Unanswered::Restart && !restarted {
                    restarted = true;
                    on_wait(&format!("{}, restarting it", sick.reason));
                    restart(podman, gate).map_err(GateError::Podman)?;
                    continue;
                }
                if silent || attempt >= gate.attempts {
                    sick.log = log_tail(podman, &gate.container);
                    return Err(GateError::Sick(sick));
                }
                attempt += 1;
                on_wait(&format!("{}, attempt {attempt}", sick.reason));
                start_again(podman, gate, found).map_err(GateError::Podman)?;
            }
        }
    }
}

/// Stops an agent that runs, as long as that may take, and starts it.
fn restart(podman: &Podman, gate: &Gate) -> Result<(), PodmanError> {
    let timeout_s = gate.stop_timeout_s;
    let args = ["restart", "--time", &timeout_s.to_string(), &gate.container];
    let args = args.map(str::to_owned).to_vec();
    let call = Call::change(format!("restart {}", gate.agent), args);
    let deadline_ms = call.deadline_ms + u64::from(timeout_s) * 1000;
    podman.run(&call.deadline_ms(deadline_ms)).map(drop)
}

fn start_again(podman: &Podman, gate: &Gate, found: Option<Status>) -> Result<(), PodmanError> {
    let purpose = format!("start {} again", gate.agent);
    if found == Some(Status::Lost) {
        // podman takes it for running, and fails when it finds out.
        let args = ["stop", &gate.container].map(str::to_owned).to_vec();
        podman.probe(&Call::change(purpose.clone(), args))?;
    }
    let args = ["start", &gate.container].map(str::to_owned).to_vec();
    podman.run(&Call::change(purpose, args)).map(drop)
}

/// An agent that is not healthy, and its container's state.
type Unwell = (Box<Sick>, Option<Status>);

fn wait_once(
    podman: &Podman,
    watched: &Watched<'_>,
    gate: &Gate,
    on_wait: &dyn Fn(&str),
) -> Result<Result<(), Unwell>, GateError> {
    let started = Instant::now();
    let end = started + Duration::from_millis(gate.timeout_ms);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let waited = ask(podman, watched, gate, left, on_wait)?;
        if waited.ending == WaitEnd::Healthy {
            return Ok(Ok(()));
        }
        if podman.cancel.requested() {
            return Err(GateError::Interrupted);
        }
        let containers = observe::containers(podman).map_err(GateError::Podman)?;
        let container = containers.get(&gate.container);
        // podman has restarted it by its policy since the watcher looked.
        let runs = container.is_some_and(Container::running);
        if waited.ending == WaitEnd::Stopped && runs && Instant::now() < end {
            watched.again();
            continue;
        }
        let (status, reason) = judge(gate.health_port, container, Some(&waited.probe));
        let sick = Sick {
            agent: gate.agent.clone(),
            container: gate.container.clone(),
            status,
            reason,
            waited_ms: started.elapsed().as_millis() as u64,
            attempts: 1,
            reply: waited.probe.reply,
            log: Vec::new(),
            run: None,
        };
        return Ok(Err((Box::new(sick), container.map(|found| found.status))));
    }
}

/// Asks until the agent is healthy, the time is up or it has exited.
fn ask(
    podman: &Podman,
    watched: &Watched<'_>,
    gate: &Gate,
    left: Duration,
    on_wait: &dyn Fn(&str),
) -> Result<Waited, GateError> {
    let schedule = Schedule {
        deadline_ms: left.as_millis() as u64,
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
    health::block_on(waiting).map_err(|error| {
        GateError::Podman(PodmanError::Garbage {
            purpose: format!("ask {} for its health", gate.agent),
            command: String::new(),
            problem: error.to_string(),
            answer: String::new(),
        })
    })
}
