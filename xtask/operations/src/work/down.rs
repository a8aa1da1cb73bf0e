//! Takes agents down in reverse order. Data stays unless asked for.

use std::time::Instant;

use diagnostics::{Exit, Failure};
use model::{
    plan::{
        down::{self, Remove},
        secrets as wanted_secrets,
    },
    system::System,
};
use serde::Serialize;

use super::{
    app::App, choose::select_removable, dry_run::Script, ending::Ending, failures::podman_failure,
    outcome, outcome::Outcome, secrets, take_over,
};
use crate::podman::{
    Engine,
    observe::{self, Ask},
};

/// The end of `down`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Removal {
    /// All that was to be removed, and what was set up anew after it.
    pub removed: Vec<Outcome>,
    /// Time that all of it took, in ms.
    pub elapsed_ms: u64,
    /// Number of the run, for `logs --run`; left out if nothing was to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<u32>,
}

/// Removes the containers of the agents and groups of these names, or of all agents, and what
/// `remove` says; with `take_over` also what another checkout has deployed.
pub fn take_down(
    app: &App,
    system: &System,
    engine: &Engine,
    names: &[String],
    remove: Remove,
    take_over: bool,
) -> Result<Ending<Removal>, Failure> {
    let started = Instant::now();
    let ask = Ask {
        containers: true,
        images: remove.images,
        networks: true,
        volumes: remove.volumes,
        secrets: secrets::used(system),
    };
    let mut state = observe::observe(&engine.podman, ask).map_err(podman_failure)?;
    state.elsewhere = take_over::elsewhere(system, &state);
    let chosen = match names {
        [] => None,
        names => Some(select_removable(system, &state, names)?),
    };
    let mut plan = down::plan(system, &state, chosen.as_ref(), remove);
    take_over::judge(app.ui, system, &state, &plan, take_over)?;
    wanted_secrets::remove_unused(system, &state, &mut plan);
    if app.settings.dry_run {
        return Ok(Ending::Planned(Script::new(engine, plan)));
    }
    let report = app.carry_out(engine, &plan, app.slots());
    let removal = Removal {
        removed: outcome::outcomes(&plan, &report),
        elapsed_ms: started.elapsed().as_millis() as u64,
        run: app.run.number(),
    };
    let failure = outcome::failure(&plan, &report, Exit::Gate);
    Ok(Ending::new(removal, failure))
}
