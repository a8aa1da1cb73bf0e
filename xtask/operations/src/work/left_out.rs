//! Agents that a deployment leaves out since something is wrong with them alone,
//! in words and as outcomes.

use std::collections::BTreeMap;

use diagnostics::Failure;
use model::plan::{PlanError, refused::Refused};

use super::{
    failures::{plan_error_words, plan_failure},
    outcome::{Ended, Outcome},
};

/// One for each, and for what depends on it.
pub fn outcomes(refused: &Refused) -> Vec<Outcome> {
    let mut failed: BTreeMap<&str, Outcome> = BTreeMap::new();
    for error in &refused.errors {
        let Some(agent) = error.agent() else { continue };
        let outcome = failed
            .entry(agent)
            .or_insert_with(|| Outcome::new(agent, Ended::Failed));
        let (words, _) = plan_error_words(error);
        outcome.failure.get_or_insert(words);
        let blocked = refused.blocked_by(agent).into_iter();
        outcome.blocks = blocked.map(str::to_owned).collect();
    }
    let blocked = refused.blocked.keys();
    let blocked = blocked.map(|agent| Outcome::new(agent, Ended::Blocked));
    failed.into_values().chain(blocked).collect()
}

/// What a dry run says of them, and a real one before it begins.
pub fn warnings(refused: &Refused) -> Vec<String> {
    let told = |error: &PlanError| format!("left out: {}", plan_error_words(error).0);
    let blocked = refused
        .blocked
        .iter()
        .map(|(agent, on)| format!("left out: {agent} depends on {on}"));
    refused.errors.iter().map(told).chain(blocked).collect()
}

/// The failure of a run that has left agents out and may have failed otherwise, too.
pub fn failure(refused: &Refused, failure: Option<Failure>) -> Option<Failure> {
    if refused.is_empty() {
        return failure;
    }
    let mut left_out = plan_failure(&refused.errors);
    let blocked: Vec<&str> = refused.blocked.keys().map(String::as_str).collect();
    if !blocked.is_empty() {
        let line = format!("blocks {}: {}", blocked.len(), blocked.join(", "));
        left_out.detail.push(line);
    }
    let Some(mut failure) = failure else {
        left_out
            .detail
            .push("all others are as they should be".into());
        return Some(left_out);
    };
    failure.detail.push(String::new());
    failure.detail.push(left_out.message);
    failure.detail.extend(left_out.detail);
    let hint = left_out.hint.map(|hint| format!("hint: {hint}"));
    failure.detail.extend(hint);
    Some(failure)
}
