//! What became of the way back to the former containers, in results and words.

use model::plan::{Action, Plan, Step};

use super::outcome::{Ended, Outcome};
use crate::carry_out::{Report, StepResult};

/// Agents whose former containers are in place again; and those for which that
/// failed, with the reason.
fn ends<'p>(plan: &'p Plan, report: &Report) -> (Vec<&'p str>, Vec<(&'p str, String)>) {
    let (mut back, mut failed) = (Vec::new(), Vec::new());
    for (step, result) in plan.steps.iter().zip(&report.results) {
        let subject = step.subject.as_str();
        match result {
            StepResult::Done { .. } if matches!(step.action, Action::Gate(_)) => back.push(subject),
            StepResult::Failed(failure) => failed.push((subject, failure.reason.short())),
            _ => {}
        }
    }
    (back, failed)
}

/// Agents that were taken back are neither healthy in their new containers nor
/// blocked.
pub fn mark(outcomes: &mut [Outcome], plan: &Plan, report: &Report) {
    let (back, failed) = ends(plan, report);
    for outcome in outcomes {
        let name = outcome.name.as_str();
        if let Some((_, reason)) = failed.iter().find(|(agent, _)| *agent == name) {
            outcome.result = Ended::Failed;
            outcome.failure.get_or_insert_with(|| reason.clone());
        } else if back.contains(&name) && outcome.result != Ended::Failed {
            outcome.result = Ended::RolledBack;
        }
    }
}

/// For the end of the failure's details.
pub fn words(plan: &Plan, report: &Report) -> Vec<String> {
    let (back, failed) = ends(plan, report);
    let mut words = vec![String::new()];
    if !back.is_empty() {
        words.push(format!(
            "the containers of before are back, and healthy: {}",
            back.join(", ")
        ));
    }
    for (agent, reason) in &failed {
        words.push(format!(
            "the container that {agent} had before is not back: {reason}"
        ));
    }
    let started = |step: &Step, result: &StepResult| {
        let done = matches!(result, StepResult::Done { .. });
        let starts = matches!(step.action, Action::StartContainer { .. });
        done && starts && !back.contains(&step.subject.as_str())
    };
    let started: Vec<&str> = plan
        .steps
        .iter()
        .zip(&report.results)
        .filter(|(step, result)| started(step, result))
        .map(|(step, _)| step.subject.as_str())
        .collect();
    if !started.is_empty() {
        words.push(format!(
            "started again, and not asked for its health, since it did not run before: {}",
            started.join(", ")
        ));
    }
    if failed.is_empty() && back.is_empty() && started.is_empty() {
        words.push("what was new has been stopped".to_owned());
    }
    words
}
