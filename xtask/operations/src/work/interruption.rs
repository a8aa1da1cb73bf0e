//! What Ctrl-C has left, from a look at podman: the plan alone does not know.

use std::collections::{BTreeMap, BTreeSet};

use diagnostics::Failure;
use model::plan::{Action, Plan, Step, state::Container};

use crate::carry_out::{Report, StepResult};

/// The failure of a run that was interrupted.
pub fn failure(plan: &Plan, report: &Report) -> Failure {
    const AGAIN: &str = "run the same command again to go on";
    let builds = plan
        .steps
        .iter()
        .any(|step| matches!(step.action, Action::BuildImage(_)));
    if builds {
        return Failure::interrupted(format!("what was built is kept; {AGAIN}"));
    }
    let Some(left) = &report.left else {
        return Failure::interrupted(format!(
            "podman does not say what is left running; `cargo xtask status` shows it once podman answers; {AGAIN}"
        ));
    };
    let mut said = told(&agents(plan, report, left));
    said.extend(not_restored(plan, report));
    said.push(AGAIN.to_owned());
    Failure::interrupted(said.join("; "))
}

/// The step's undoing leaves a container in its place, not only a stopped one.
pub fn brings_back(step: &Step) -> bool {
    step.on_failure
        .iter()
        .any(|action| !matches!(action, Action::StopContainer { .. }))
}

/// An agent of the plan, and what became of it.
#[derive(Debug, Default)]
struct Agent {
    container: String,
    runs: bool,
    /// A running container of it makes room for another, or goes.
    stopped: bool,
    /// It was to be started.
    starts: bool,
    started: bool,
    put_back: bool,
    removed: bool,
}

fn agents<'p>(
    plan: &'p Plan,
    report: &Report,
    left: &BTreeMap<String, Container>,
) -> BTreeMap<&'p str, Agent> {
    let mut agents: BTreeMap<&str, Agent> = BTreeMap::new();
    for (step, result) in plan.steps.iter().zip(&report.results) {
        let done = matches!(result, StepResult::Done { .. });
        let put_back = match result {
            StepResult::PutBack(None) => true,
            StepResult::Failed(failure) => failure.restored && brings_back(step),
            _ => false,
        };
        let name = match &step.action {
            Action::StartContainer { container, .. }
            | Action::StopContainer { container, .. }
            | Action::RemoveContainer { container, .. } => Some(container),
            Action::Gate(gate) => Some(&gate.container),
            Action::RenameContainer { .. } => None,
            _ => continue,
        };
        let agent = agents.entry(&step.subject).or_default();
        agent.put_back |= put_back;
        match &step.action {
            Action::StartContainer { .. } => {
                (agent.starts, agent.started) = (true, agent.started || done);
            }
            Action::StopContainer { .. } => agent.stopped |= done,
            Action::RemoveContainer { .. } => agent.removed |= done,
            _ => {}
        }
        // Removed are successors and predecessors, too, under other names.
        let removes = matches!(step.action, Action::RemoveContainer { .. });
        if let Some(name) = name.filter(|_| agent.container.is_empty() || !removes) {
            agent.container.clone_from(name);
        }
    }
    for agent in agents.values_mut() {
        agent.runs = left.get(&agent.container).is_some_and(Container::running);
    }
    agents
}

fn told(agents: &BTreeMap<&str, Agent>) -> Vec<String> {
    let named = |meant: &dyn Fn(&Agent) -> bool| -> Vec<&str> {
        let meant = agents.iter().filter(|(_, agent)| meant(agent));
        meant.map(|(name, _)| *name).collect()
    };
    let mut said = Vec::new();
    let back = named(&|agent| agent.put_back && agent.runs);
    if !back.is_empty() {
        let were = if back.len() == 1 { "was" } else { "were" };
        said.push(format!("{} {were} put back", back.join(", ")));
    }
    let running = named(&|agent| agent.runs && !agent.put_back && (agent.started || !agent.starts));
    if !running.is_empty() {
        said.push(format!("left running: {}", running.join(", ")));
    }
    let down = named(&|agent| agent.stopped && !agent.runs && !agent.removed);
    if !down.is_empty() {
        said.push(format!("stopped: {}", down.join(", ")));
    }
    let counted = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("1 agent {what}")),
        count => Some(format!("{count} agents {what}")),
    };
    let waits = named(&|agent| agent.runs && !agent.put_back && agent.starts && !agent.started);
    said.extend(counted(waits.len(), "not yet replaced"));
    let gone = named(&|agent| agent.removed && !agent.starts && !agent.runs);
    said.extend(counted(gone.len(), "removed"));
    if !agents.is_empty() && agents.values().all(|agent| !agent.runs) {
        said.push("nothing was left running".to_owned());
    }
    said
}

fn not_restored(plan: &Plan, report: &Report) -> Option<String> {
    let both = plan.steps.iter().zip(&report.results);
    let names: BTreeSet<String> = both
        .filter_map(|(step, result)| match result {
            StepResult::PutBack(Some(why)) => Some(format!("{} ({})", step.subject, why.short())),
            _ => None,
        })
        .collect();
    let names: Vec<String> = names.into_iter().collect();
    (!names.is_empty()).then(|| format!("not restored: {}", names.join(", ")))
}

#[cfg(test)]
mod tests;
