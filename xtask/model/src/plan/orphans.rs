//! Containers of the system that the manifest no longer has a place for.

use super::{
    replace::{next_name, previous_name},
    state::{Container, State},
    workload::Workload,
};
use crate::system::System;

/// A container of ours whose agent, or whose name, the manifest does not have.
#[derive(Debug)]
pub struct Orphan<'s> {
    pub name: &'s str,
    /// The agent that it was made for.
    pub agent: String,
    pub container: &'s Container,
}

/// In the order of their names.
pub fn orphans<'s>(system: &System, state: &'s State) -> Vec<Orphan<'s>> {
    let known = |agent: &str, name: &str| {
        system.agent(agent).is_some_and(|agent| {
            let own = &agent.container;
            [own.clone(), next_name(own), previous_name(own)].contains(&name.to_owned())
        })
    };
    let ours = state.containers.iter();
    ours.filter(|(_, container)| container.belongs_to(&system.name))
        .filter_map(|(name, container)| {
            let agent = Workload::of(container)?.name().to_owned();
            (!known(&agent, name)).then_some(Orphan {
                name,
                agent,
                container,
            })
        })
        .collect()
}

impl Orphan<'_> {
    /// What a deployment says that leaves it alone.
    pub fn warning(&self) -> String {
        let state = if self.container.running() {
            "still runs"
        } else {
            "still has a container"
        };
        format!(
            "{} {state} (`{}`), but the manifest has no such agent; `cargo xtask deploy --prune` or `cargo xtask down {}` removes it",
            self.agent, self.name, self.name
        )
    }
}
