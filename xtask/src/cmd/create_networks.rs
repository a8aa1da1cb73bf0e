//! `create-networks`: the manifest's networks, created once, never changed
//! behind the back of the containers on them.

use serde::Serialize;

use super::{App, outcome, plan_failure, podman_failure};
use crate::{
    execute,
    podman::observe::{self, Ask},
    ui::progress::Progress,
};
use diagnostics::{Exit, Failure};
use model::plan::networks;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Replace our networks that differ from the manifest; no container may be attached
    #[arg(long)]
    recreate: bool,
}

#[derive(Serialize)]
struct Summary {
    networks: Vec<outcome::Outcome>,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let system = app.system()?;
    let engine = app.engine(&system)?;
    let _lock = app.lock(&system, "create-networks")?;
    let ask = Ask {
        networks: true,
        ..Ask::default()
    };
    let state = observe::observe(&engine.podman, ask).map_err(podman_failure)?;
    let names: Vec<String> = system.networks.keys().cloned().collect();
    let plan = networks::plan(&system, &state, &names, args.recreate)
        .map_err(|errors| plan_failure(&errors))?;
    if app.global.dry_run {
        app.print_plan("create-networks", &engine, &plan);
        return Ok(());
    }
    for warning in &plan.warnings {
        app.ui.warn(warning);
    }
    let progress = Progress::new(app.ui, &plan);
    let report = execute::execute(&engine, &plan, app.slots(), &progress);
    drop(progress);
    let networks = outcome::outcomes(&plan, &report);
    let created = networks
        .iter()
        .filter(|network| network.result == "done")
        .count();
    if app.ui.json_wanted() {
        app.ui.json("create-networks", &Summary { networks });
    } else {
        let unchanged = plan.unchanged.len();
        app.ui.out(format!(
            "networks: {created} created, {unchanged} unchanged"
        ));
    }
    outcome::failure(&plan, &report, Exit::Conflict).map_or(Ok(()), Err)
}
