//! A closer look at containers, for what may have been changed by hand.

use diagnostics::Failure;
use model::{plan::State, system::System};

use super::failures::podman_failure;
use crate::{
    host::usage,
    podman::{Engine, settings},
};

/// Adds the settings of the system's containers to `state`, all in one call, and
/// the limits that the kernel holds them to.
pub fn look_closer(engine: &Engine, system: &System, state: &mut State) -> Result<(), Failure> {
    let ours = state.containers.iter();
    let ours = ours.filter(|(_, container)| container.belongs_to(&system.name));
    let names: Vec<&str> = ours.map(|(name, _)| name.as_str()).collect();
    let found = settings::of(&engine.podman, &names, engine.facts.rootless);
    for (name, mut found) in found.map_err(podman_failure)? {
        // Behind a socket the process may be on another machine.
        if found.pid > 0 && !engine.facts.remote {
            found.observed.in_force = usage::limits_of(found.pid, &found.id);
        }
        if let Some(container) = state.containers.get_mut(&name) {
            container.observed = Some(Box::new(found.observed));
        }
    }
    Ok(())
}
