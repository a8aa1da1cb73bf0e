//! What stops one agent stops that agent, and what depends on it; all others are
//! planned for as if it had not been asked for.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    agents::{self, DeployRequest},
    refusal::PlanError,
    state::State,
    step::Plan,
};
use crate::system::System;

/// The agents that a plan leaves out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Refused {
    /// Why; each names its agent.
    pub errors: Vec<PlanError>,
    /// Agents that would have been changed but depend on one of those, and on which.
    pub blocked: BTreeMap<String, String>,
}

impl Refused {
    /// Nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// What waits for `agent`, directly or not.
    pub fn blocked_by<'r>(&'r self, agent: &'r str) -> Vec<&'r str> {
        let mut above = BTreeSet::from([agent]);
        loop {
            let new = self.blocked.iter();
            let new: BTreeSet<&str> = new
                .filter(|(_, on)| above.contains(on.as_str()))
                .map(|(name, _)| name.as_str())
                .filter(|name| !above.contains(name))
                .collect();
            if new.is_empty() {
                break;
            }
            above.extend(new);
        }
        above.remove(agent);
        above.into_iter().collect()
    }
}

/// As `agents::plan`, without the agents of `unfit` and those that it refuses.
///
/// # Errors
/// If no agent is left, or if something is wrong that is no single agent's.
pub fn plan(
    system: &System,
    state: &State,
    request: &DeployRequest,
    unfit: Vec<PlanError>,
) -> Result<(Plan, Refused), Vec<PlanError>> {
    let mut request = request.clone();
    let mut refused = Refused::default();
    refused.leave_out(&mut request, unfit)?;
    let plan = refused.rest(system, state, &mut request)?;
    if refused.is_empty() {
        return Ok((plan, refused));
    }
    refused.block(system, &plan, &mut request);
    if refused.blocked.is_empty() {
        return Ok((plan, refused));
    }
    let plan = refused.rest(system, state, &mut request)?;
    Ok((plan, refused))
}

impl Refused {
    fn rest(
        &mut self,
        system: &System,
        state: &State,
        request: &mut DeployRequest,
    ) -> Result<Plan, Vec<PlanError>> {
        loop {
            match agents::plan(system, state, request) {
                Ok(plan) => return Ok(plan),
                Err(errors) => self.leave_out(request, errors)?,
            }
        }
    }

    /// Takes the agents that `errors` name out of the request.
    fn leave_out(
        &mut self,
        request: &mut DeployRequest,
        errors: Vec<PlanError>,
    ) -> Result<(), Vec<PlanError>> {
        let named: BTreeSet<String> = errors
            .iter()
            .filter_map(PlanError::agent)
            .map(str::to_owned)
            .collect();
        let all_named = errors.iter().all(|error| error.agent().is_some());
        let before = request.agents.len();
        request.agents.retain(|name| !named.contains(name));
        let progress = errors.is_empty() || request.agents.len() < before;
        self.errors.extend(errors);
        let nobody_left = request.agents.is_empty() && !self.errors.is_empty();
        match all_named && progress && !nobody_left {
            true => Ok(()),
            false => Err(std::mem::take(&mut self.errors)),
        }
    }

    /// Agents with something to do in `plan` that depend on one that is left out.
    fn block(&mut self, system: &System, plan: &Plan, request: &mut DeployRequest) {
        let mut out: BTreeSet<&str> = self.errors.iter().filter_map(PlanError::agent).collect();
        let busy: BTreeSet<&str> = plan
            .steps
            .iter()
            .map(|step| step.subject.as_str())
            .collect();
        // In the order of starts, so that what depends on the blocked comes later.
        for agent in &system.agents {
            let asked = request.agents.contains(&agent.name) && busy.contains(agent.name.as_str());
            let needs = agent.depends_on.iter();
            let mut missing = needs.filter(|name| out.contains(name.as_str()));
            if let Some(on) = missing.next().filter(|_| asked) {
                self.blocked.insert(agent.name.clone(), on.clone());
                out.insert(&agent.name);
            }
        }
        let blocked = &self.blocked;
        request.agents.retain(|name| !blocked.contains_key(name));
    }
}
