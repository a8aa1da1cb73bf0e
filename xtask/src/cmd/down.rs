//! `down`: takes agents down in reverse order. Data stays unless asked for.

use serde::Serialize;

use super::{App, outcome, podman_failure, select};
use crate::{
    execute,
    podman::{
        Engine,
        observe::{self, Ask},
    },
    ui::progress::Progress,
};
use diagnostics::{Exit, Failure, words::seconds};
use model::{
    plan::down::{self, Remove},
    system::System,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Agents and groups [default: everything of this system]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Remove the networks, too
    #[arg(long, conflicts_with = "names")]
    networks: bool,
    /// Remove the images, too
    #[arg(long, conflicts_with = "names")]
    images: bool,
    /// Remove the volumes with the agents' logs and data, too
    #[arg(long, conflicts_with = "names")]
    volumes: bool,
}

#[derive(Serialize)]
struct Summary {
    removed: Vec<outcome::Outcome>,
    elapsed_ms: u64,
}

/// Removes everything that belongs to a system, except for images.
pub fn remove_all(app: &App, system: &System, engine: &Engine) -> Result<(), Failure> {
    let ask = Ask {
        containers: true,
        images: false,
        networks: true,
        volumes: true,
    };
    let state = observe::observe(&engine.podman, ask).map_err(podman_failure)?;
    let remove = Remove {
        networks: true,
        images: false,
        volumes: true,
    };
    let plan = down::plan(system, &state, None, remove);
    let progress = Progress::new(app.ui, &plan);
    let report = execute::execute(engine, &plan, app.slots(), &progress);
    drop(progress);
    outcome::failure(&plan, &report, Exit::Gate).map_or(Ok(()), Err)
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let started = std::time::Instant::now();
    let system = app.system()?;
    let chosen = match args.names.as_slice() {
        [] => None,
        names => Some(select(&system, names, true)?),
    };
    let engine = app.engine(&system)?;
    let _lock = app.lock(&system, "down")?;
    let ask = Ask {
        containers: true,
        images: args.images,
        networks: true,
        volumes: args.volumes,
    };
    let state = observe::observe(&engine.podman, ask).map_err(podman_failure)?;
    let remove = Remove {
        networks: args.networks,
        images: args.images,
        volumes: args.volumes,
    };
    let plan = down::plan(&system, &state, chosen.as_ref(), remove);
    if app.global.dry_run {
        app.print_plan("down", &engine, &plan);
        return Ok(());
    }
    let progress = Progress::new(app.ui, &plan);
    let report = execute::execute(&engine, &plan, app.slots(), &progress);
    drop(progress);
    let removed = outcome::outcomes(&plan, &report);
    let count = removed
        .iter()
        .filter(|outcome| outcome.result == "done")
        .count();
    let elapsed_ms = started.elapsed().as_millis() as u64;
    if app.ui.json_wanted() {
        app.ui.json(
            "down",
            &Summary {
                removed,
                elapsed_ms,
            },
        );
    } else if plan.is_empty() {
        app.ui.out("nothing to remove");
    } else {
        let wanted = removed
            .iter()
            .filter(|outcome| outcome.result != outcome::RESTORED);
        app.ui.out(format!(
            "removed: {count} of {}, {}",
            wanted.count(),
            seconds(elapsed_ms)
        ));
    }
    outcome::failure(&plan, &report, Exit::Gate).map_or(Ok(()), Err)
}
