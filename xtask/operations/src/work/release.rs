//! What a deployment leaves when it has succeeded: its number on what it made, its
//! entry in the journal, and no images that nobody can want any more.

use std::collections::{BTreeMap, BTreeSet};

use diagnostics::{Exit, Failure};
use model::{
    plan::{
        Action, Plan, State,
        agents::DeployRequest,
        deployed::{self, DeployedSet},
        images,
        spec::{ContainerNet, ContainerSpec},
    },
    system::System,
};

use super::{
    app::App,
    build,
    failures::plan_failure,
    journal::{self, Journal},
};
use crate::podman::Engine;

/// What is to be done at the end.
#[derive(Debug)]
pub struct Release {
    journal: Journal,
    number: u32,
    set: DeployedSet,
    /// It makes containers, or another set.
    changes: bool,
    /// Removes images that are in none of the last sets.
    pub cleanup: Plan,
}

impl Release {
    /// Numbers what `plan` makes; `None` for a copy, which nobody goes back to, and
    /// where no journal can be kept, which is told and stops nothing.
    pub fn new(
        app: &App,
        system: &System,
        state: &State,
        request: &DeployRequest,
        plan: &mut Plan,
    ) -> Result<Option<Self>, Failure> {
        if system.is_copy() {
            return Ok(None);
        }
        let journal = match Journal::open(system) {
            Ok(journal) => journal,
            Err(_) if plan.is_empty() => return Ok(None),
            Err(failure) => {
                let why = failure.message;
                app.ui
                    .warn(format!("`rollback` will not know this deployment: {why}"));
                return Ok(None);
            }
        };
        let before = journal.last().map(|entry| &entry.agents);
        let set = deployed::set_after(system, state, request, before)
            .map_err(|error| plan_failure(&[error]))?;
        let number = journal.next(system, state);
        let mut creates = false;
        for step in &mut plan.steps {
            if let Action::CreateContainer(spec) = &mut step.action {
                spec.deployment = Some(number);
                creates = true;
            }
        }
        let changes = creates || (!plan.is_empty() && before != Some(&set));
        let cleanup = match changes {
            true => cleanup(
                system,
                state,
                &set,
                journal.kept(system.keep_images, Some(&set)),
            ),
            false => Plan::default(),
        };
        Ok(Some(Release {
            journal,
            number,
            set,
            changes,
            cleanup,
        }))
    }

    /// After a success: writes it down and removes what it leaves without a use.
    pub fn finish(
        mut self,
        app: &App,
        engine: &Engine,
        system: &System,
        command: &str,
    ) -> Result<(), Failure> {
        if !self.changes {
            return Ok(());
        }
        let entry = journal::entry(system, self.number, command, self.set);
        if let Err(error) = self.journal.add(entry) {
            let folder = self.journal.folder.display();
            app.ui.warn(format!(
                "deployment {} is not in the journal, {folder} cannot be written ({error}): \
                `rollback` cannot go back to it",
                self.number
            ));
        }
        build::remove_old(app, engine, &self.cleanup)
    }
}

/// As `images::prune`, with every agent in the image that it has afterwards.
fn cleanup(system: &System, state: &State, set: &DeployedSet, kept: BTreeSet<String>) -> Plan {
    let mut state = state.clone();
    state.containers.retain(|_, container| {
        let agent = model::plan::Workload::of(container);
        let deployed = agent.and_then(|agent| set.get(agent.name()));
        !container.belongs_to(&system.name) || deployed.is_none()
    });
    images::removals(system, &state, &kept)
}

/// What the specifications need and this host no longer has.
///
/// # Errors
/// With all of it.
pub fn still_possible(
    system: &System,
    state: &State,
    specs: &BTreeMap<String, ContainerSpec>,
) -> Result<(), Failure> {
    let made: BTreeSet<&str> = state
        .known
        .uses
        .values()
        .map(|value| value.name.as_str())
        .collect();
    let mut gone: BTreeSet<String> = BTreeSet::new();
    for (agent, spec) in specs {
        let networks = match &spec.network {
            ContainerNet::Bridge(networks) => networks.as_slice(),
            ContainerNet::Host | ContainerNet::Pod(_) => &[],
        };
        let networks = networks.iter().map(|(name, _)| name);
        let lost = networks.filter(|name| {
            !state.networks.contains_key(*name) && !system.networks.contains_key(*name)
        });
        gone.extend(lost.map(|name| format!("{agent} was in the network `{name}`")));
        let secrets = spec.secrets.iter().map(|secret| secret.name.as_str());
        let lost =
            secrets.filter(|name| !state.secrets.contains_key(*name) && !made.contains(name));
        gone.extend(lost.map(|name| format!("{agent} was given the secret `{name}`")));
    }
    if gone.is_empty() {
        return Ok(());
    }
    let hint = "name the agents that can go back: `cargo xtask rollback N NAMES`";
    Err(Failure::new(
        Exit::Conflict,
        "what that deployment used is not there any more",
    )
    .detail(gone)
    .hint(hint))
}
