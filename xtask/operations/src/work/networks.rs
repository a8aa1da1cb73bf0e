//! Creates the networks that do not exist.

use diagnostics::{Exit, Failure};
use model::{plan::networks, system::System};
use serde::Serialize;

use super::{
    app::App,
    dry_run::Script,
    ending::Ending,
    failures::{plan_failure, podman_failure},
    outcome,
    outcome::Outcome,
};
use crate::podman::{
    Engine,
    observe::{self, Ask},
};

/// The end of `create-networks`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Creation {
    /// All networks of the manifest, and what became of each.
    pub networks: Vec<Outcome>,
}

/// Creates all networks of the manifest; replaces ours that differ if `recreate`.
pub fn create(
    app: &App,
    system: &System,
    engine: &Engine,
    recreate: bool,
) -> Result<Ending<Creation>, Failure> {
    let ask = Ask {
        networks: true,
        ..Ask::default()
    };
    let state = observe::observe(&engine.podman, ask).map_err(podman_failure)?;
    let names: Vec<String> = system.networks.keys().cloned().collect();
    let plan =
        networks::plan(system, &state, &names, recreate).map_err(|errors| plan_failure(&errors))?;
    if app.settings.dry_run {
        return Ok(Ending::Planned(Script::new(engine, plan)));
    }
    for warning in &plan.warnings {
        app.ui.warn(warning);
    }
    let report = app.carry_out(engine, &plan, app.slots());
    let networks = outcome::outcomes(&plan, &report);
    let failure = outcome::failure(&plan, &report, Exit::Conflict);
    Ok(Ending::new(Creation { networks }, failure))
}
