//! What a carried-out plan means for the user: root causes first, each with
//! evidence, what it blocks and what to do next.

use diagnostics::{Exit, Failure, words::seconds};
use model::plan::{Action, Plan, Step};
use serde::Serialize;

use super::interruption::{self, brings_back};
use crate::{
    carry_out::{AgentStatus, Reason, Report, Sick, StepResult},
    podman::{PodmanError, run::How},
};

/// How a subject of a plan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// An agent that passed its gate.
    Healthy,
    /// An image.
    Built,
    /// Anything else: created or removed.
    Done,
    /// Neither removed nor deployed: what other changes have taken is there again.
    Restored,
    /// It was as it should be.
    Unchanged,
    /// The container that it had before is in its place again, since others failed.
    RolledBack,
    /// One of its steps went wrong.
    Failed,
    /// What it needs has failed.
    Blocked,
    /// Ctrl-C came first.
    Cancelled,
}

impl Ended {
    pub fn as_str(self) -> &'static str {
        match self {
            Ended::Healthy => "healthy",
            Ended::Built => "built",
            Ended::Done => "done",
            Ended::Restored => "restored",
            Ended::Unchanged => "unchanged",
            Ended::RolledBack => "rolled_back",
            Ended::Failed => "failed",
            Ended::Blocked => "blocked",
            Ended::Cancelled => "cancelled",
        }
    }
}

/// One subject of a plan.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Outcome {
    /// The agent, image, network, container or volume.
    pub name: String,
    /// How it ended.
    pub result: Ended,
    /// Time of its steps that succeeded, in ms; left out if there were none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<u64>,
    /// Starts that it took; left out unless it passed its gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// What was wrong, in short; left out if nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Agents that are not healthy, with all that is known about why; left out if
    /// there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sick: Vec<Sick>,
    /// Subjects that could not be started because of this one; left out if there are
    /// none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<String>,
    /// Containers that it no longer needs and that are still there, since the run did
    /// not come to their removal; left out if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_over: Vec<String>,
}

impl Outcome {
    pub fn new(name: &str, result: Ended) -> Self {
        Outcome {
            name: name.to_owned(),
            result,
            elapsed_ms: None,
            attempts: None,
            failure: None,
            sick: Vec::new(),
            blocks: Vec::new(),
            left_over: Vec::new(),
        }
    }
}

/// Outcomes in the plan's order of subjects, unchanged ones last.
pub fn outcomes(plan: &Plan, report: &Report) -> Vec<Outcome> {
    let mut all: Vec<Outcome> = Vec::new();
    for (position, (step, result)) in plan.steps.iter().zip(&report.results).enumerate() {
        let known = all.iter().position(|outcome| outcome.name == step.subject);
        let index = known.unwrap_or_else(|| {
            all.push(Outcome::new(&step.subject, Ended::Done));
            all.len() - 1
        });
        let outcome = &mut all[index];
        match result {
            StepResult::Done { elapsed_ms, passed } => {
                outcome.elapsed_ms = Some(outcome.elapsed_ms.unwrap_or(0) + elapsed_ms);
                if let Some(passed) = passed {
                    outcome.attempts = Some(passed.attempts);
                }
                match step.action {
                    Action::Gate(_) => outcome.result = Ended::Healthy,
                    Action::ReloadNetworks { .. } => outcome.result = Ended::Restored,
                    _ => {}
                }
            }
            StepResult::Failed(failure) => {
                outcome.result = Ended::Failed;
                outcome.failure = Some(failure.reason.short());
                outcome.blocks = blocked_by(plan, report, position);
                if let Reason::Sick(sick) = &failure.reason {
                    outcome.sick.clone_from(sick);
                }
            }
            StepResult::PutBack(None) if outcome.failure.is_none() => {
                outcome.result = Ended::Restored;
            }
            StepResult::PutBack(None) | StepResult::Spared => {}
            StepResult::PutBack(Some(reason)) => {
                outcome.result = Ended::Failed;
                outcome.failure = Some(format!("not restored: {}", reason.short()));
            }
            StepResult::Blocked { .. } | StepResult::Cancelled => {
                not_done(outcome, &step.action, result);
            }
        }
    }
    let unchanged = plan.unchanged.iter();
    all.extend(unchanged.map(|name| Outcome::new(name, Ended::Unchanged)));
    all
}

/// A step that the run did not come to. What is only tidied up after an agent has
/// proved healthy says nothing about the agent.
fn not_done(outcome: &mut Outcome, action: &Action, result: &StepResult) {
    if let (Ended::Healthy, Action::RemoveContainer { container, .. }) = (outcome.result, action) {
        outcome.left_over.push(container.clone());
    } else if outcome.failure.is_none() && outcome.result != Ended::Restored {
        outcome.result = match result {
            StepResult::Cancelled => Ended::Cancelled,
            _ => Ended::Blocked,
        };
    }
}

/// The failure of the whole run, if it failed: every root cause, none twice.
pub fn failure(plan: &Plan, report: &Report, exit: Exit) -> Option<Failure> {
    let failed: Vec<(usize, &Reason, bool)> = report
        .results
        .iter()
        .enumerate()
        .filter_map(|(position, result)| match result {
            StepResult::Failed(failure) => Some((position, &failure.reason, failure.restored)),
            _ => None,
        })
        .collect();
    let cancelled = report
        .results
        .iter()
        .any(|result| matches!(result, StepResult::Cancelled | StepResult::PutBack(_)));
    if cancelled
        || failed
            .iter()
            .any(|(_, reason, _)| matches!(reason, Reason::Interrupted))
    {
        return Some(interruption::failure(plan, report));
    }
    let mut parts = failed.iter().map(|(position, reason, restored)| {
        let mut failure = describe(&plan.steps[*position].subject, reason, exit);
        failure
            .detail
            .extend(undone(&plan.steps[*position], *restored).map(str::to_owned));
        let blocked = blocked_by(plan, report, *position);
        if !blocked.is_empty() {
            failure
                .detail
                .push(format!("blocks {}: {}", blocked.len(), blocked.join(", ")));
        }
        failure
    });
    let mut first = parts.next()?;
    for more in parts {
        first.detail.push(String::new());
        first.detail.push(more.message);
        first.detail.extend(more.detail);
        first
            .detail
            .extend(more.hint.map(|hint| format!("hint: {hint}")));
    }
    Some(first)
}

/// What became of the state that a failed step found.
fn undone(step: &Step, restored: bool) -> Option<&'static str> {
    if step.on_failure.is_empty() {
        return None;
    }
    Some(match (restored, brings_back(step)) {
        (true, true) => "the container that ran before has been restored",
        (true, false) => "its container has been stopped",
        (false, _) => {
            "what it had changed could not be undone; the next `cargo xtask deploy` repairs it"
        }
    })
}

fn blocked_by(plan: &Plan, report: &Report, position: usize) -> Vec<String> {
    let own = &plan.steps[position].subject;
    let mut names: Vec<String> = Vec::new();
    for (step, result) in plan.steps.iter().zip(&report.results) {
        let blocked = matches!(result, StepResult::Blocked { by } if *by == position);
        let counts = blocked
            && step.subject != *own
            && matches!(step.action, Action::Gate(_) | Action::BuildImage(_));
        if counts && !names.contains(&step.subject) {
            names.push(step.subject.clone());
        }
    }
    names
}

fn describe(subject: &str, reason: &Reason, exit: Exit) -> Failure {
    match reason {
        Reason::Sick(sick) if sick.len() == 1 => sick_failure(&sick[0]),
        Reason::Sick(sick) => {
            let mut failure = Failure::new(
                Exit::Gate,
                format!("{} agents did not stay healthy", sick.len()),
            )
            .hint(match sick.first().and_then(|sick| sick.run) {
                Some(run) => format!("`cargo xtask logs --run {run} NAME` shows more"),
                None => "`cargo xtask logs NAME` shows more".to_owned(),
            });
            for sick in sick {
                let one = sick_failure(sick);
                failure.detail.push(one.message);
                failure.detail.extend(one.detail.iter().map(|line| format!("  {line}")));
            }
            failure
        }
        Reason::PortTaken { port, .. } => {
            Failure::new(Exit::Gate, format!("{subject} cannot start: {}", reason.short())).hint(format!(
                "end that process, or publish on another port (`host_port` or `host_health_port` instead of {port} in the manifest)"
            ))
        }
        Reason::Podman(error) => podman(subject, error, exit),
        Reason::Base(sources) if sources.is_empty() => {
            Failure::new(Exit::Build, "the base image does not exist, and the manifest allows no other source")
                .hint("make it, or allow `pull` or `bootstrap` in `sources` of [base]")
        }
        Reason::Base(sources) => Failure::new(Exit::Build, "no source for the base image works")
            .detail(sources.iter().map(|(source, why)| format!("{source}: {why}")))
            .hint("`cargo xtask up --install` installs mmdebstrap; or make a registry reachable"),
        Reason::Imports(failures) => Failure::new(exit, format!("{subject}: its packages do not import"))
            .detail(failures.iter().cloned())
            .hint("a missing library of the system belongs in `system_packages` of the image, a version that fits in your requirements"),
        Reason::File { path, error } => Failure::new(exit, format!("cannot write {path}: {error}")),
        Reason::Survives { pid, .. } => Failure::new(Exit::Engine, format!("{subject}: {}", reason.short()))
            .hint(format!("end it, lest it hold on to ports and files: `kill -9 {pid}`")),
        Reason::Defect(_) => Failure::new(Exit::Other, format!("{subject}: {}", reason.short()))
            .hint("run the same command again; if it fails in the same way, report it"),
        Reason::Interrupted => Failure::interrupted("run the same command again to go on"),
    }
}

fn podman(subject: &str, error: &PodmanError, exit: Exit) -> Failure {
    let failure = Failure::new(exit, format!("{subject}: {error}"));
    let PodmanError::Failed {
        command,
        stderr,
        how,
        ..
    } = error
    else {
        return failure;
    };
    let text = stderr.join("\n");
    let hint = if text.contains("no space left") {
        Some(
            "the disk is full: `podman system df` shows what podman holds, `podman image prune` frees dangling images",
        )
    } else {
        match how {
            How::TimedOut { hangs: true, .. } => Some(
                "podman hangs: it does not list containers either; end what holds it up (`ps -ef` shows other podmans), then run the same command again",
            ),
            How::TimedOut { hangs: false, .. } => Some(
                "podman answers other calls, so this one alone stood still or the host is very busy; run the same command again, which repairs what was left half done",
            ),
            How::Code(_) | How::NotStarted(_) => None,
        }
    };
    let failure = failure
        .detail([format!("$ {command}")])
        .detail(stderr.clone());
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn sick_failure(sick: &Sick) -> Failure {
    let tries = match sick.attempts {
        1 => String::new(),
        attempts => format!(", {attempts} attempts"),
    };
    let agent = &sick.agent;
    let message = format!("{agent} is not healthy: {}", sick.reason);
    let mut detail = vec![format!("waited {}{tries}", seconds(sick.waited_ms))];
    if sick.log.is_empty() {
        detail.push("its log is empty".to_owned());
    } else {
        detail.push("last log lines:".to_owned());
        detail.extend(sick.log.iter().map(|line| format!("| {line}")));
    }
    let hint = match sick.status {
        AgentStatus::Exited => {
            format!("fix the cause in its log (`{}`), build the images, deploy again", sick.log_command())
        }
        AgentStatus::WrongPort => {
            format!("set `health_port` of {agent} in the manifest to the port it binds, or make it bind that one")
        }
        AgentStatus::Refused | AgentStatus::Timeout => format!(
            "if {agent} needs longer, raise `start_timeout_s`; `{}` shows what it did",
            sick.log_command()
        ),
        AgentStatus::Unhealthy | AgentStatus::Answering => {
            "healthy is a JSON reply whose `status` is `ok` or `healthy`; `health_requests` sets what is asked".to_owned()
        }
        AgentStatus::Missing | AgentStatus::Healthy => "run `cargo xtask deploy`".to_owned(),
    };
    Failure::new(Exit::Gate, message).detail(detail).hint(hint)
}

#[cfg(test)]
pub mod tests;
