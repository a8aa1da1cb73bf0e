//! `up`: everything in order, from a bare machine to a healthy system.

use std::{collections::BTreeSet, time::Instant};

use serde::Serialize;

use super::{
    App, build_images, check_gpu, check_toolchain, code, deploy, health_check, image_report,
    podman_failure, select,
};
use crate::{
    host::{
        install::{self, Missing},
        toolchain::Asked,
    },
    podman::Engine,
    ui::Paint,
};
use diagnostics::{Exit, Failure, words::seconds};
use model::{
    plan::Plan,
    system::{Agent, System},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Agents and groups [default: every agent that is not optional]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Install missing packages with the distribution's package manager
    #[arg(long)]
    install: bool,
    #[command(flatten)]
    how: deploy::How,
}

#[derive(Serialize)]
struct Summary {
    phases: Vec<Phase>,
    images: image_report::Summary,
    deployment: deploy::Summary,
    health: health_check::Round,
}

#[derive(Serialize)]
struct Phase {
    name: &'static str,
    elapsed_ms: u64,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let system = app.system()?;
    let chosen = select(&system, &args.names, args.how.no_deps)?;
    if app.global.dry_run {
        return dry_run(app, &system, chosen, args);
    }
    let mut phases = Phases {
        app,
        done: Vec::new(),
    };
    if args.install {
        let say = |line: &str| app.ui.note(line);
        phases.run("install", || install::run(&app.cancel, &say))?;
    }
    let _lock = app.lock(&system, "up")?;
    let mut engine = phases.run("check", || check(app, &system, &chosen, &args.how))?;
    let wanted = build_images::needed(&system, &chosen);
    let images = phases.run("build", || {
        build_images::converge(app, &system, &mut engine, &wanted, false)
    })?;
    let Some(images) = images else {
        return Ok(());
    };
    if !app.ui.json_wanted() {
        image_report::print(app, &images, false);
    }
    let deployment = phases.run("deploy", || {
        let checked = deploy::Host::Checked;
        deploy::converge(
            app,
            &system,
            &mut engine,
            chosen.clone(),
            &args.how,
            checked,
        )
    })?;
    let Some(deployment) = deployment else {
        return Ok(());
    };
    let agents: Vec<&Agent> = system
        .agents
        .iter()
        .filter(|agent| chosen.contains(&agent.name))
        .collect();
    let health = phases.run("health", || {
        health_check::ask(app, &engine, &system, &agents)
    })?;
    let verdict = health_check::verdict(&health);
    if app.ui.json_wanted() {
        app.ui.json(
            "up",
            &Summary {
                phases: phases.done,
                images,
                deployment,
                health,
            },
        );
    } else {
        deploy::print(app, &deployment);
        health_check::show(app, &health);
        phases.print();
    }
    verdict
}

/// What would stop the deployment stops before the long builds.
fn check(
    app: &App,
    system: &System,
    chosen: &BTreeSet<String>,
    how: &deploy::How,
) -> Result<Engine, Failure> {
    if !how.no_import_check {
        code::preflight(app, system, chosen)?;
    }
    let mut engine = app.engine(system)?;
    check_host(app, &engine, system, chosen)?;
    engine.ready()?;
    Ok(engine)
}

fn check_host(
    app: &App,
    engine: &Engine,
    system: &System,
    chosen: &BTreeSet<String>,
) -> Result<(), Failure> {
    let state = check_toolchain::look(engine).map_err(podman_failure)?;
    let asked = Asked::named(system, &state, chosen, true);
    check_toolchain::preflight(app, engine, &asked)?;
    check_gpu::preflight(app, engine, system, &state, chosen)
}

/// Everything that `up` would run, as far as it can be told beforehand.
#[derive(Serialize)]
struct Planned {
    install: Vec<String>,
    images: Option<Plan>,
    /// Absent while images are missing that it needs.
    deployment: Option<Plan>,
}

fn dry_run(
    app: &App,
    system: &System,
    chosen: BTreeSet<String>,
    args: &Args,
) -> Result<(), Failure> {
    let missing = match args.install {
        true => install::missing()?,
        false => None,
    };
    let mut planned = Planned {
        install: missing.as_ref().map_or_else(Vec::new, Missing::lines),
        images: None,
        deployment: None,
    };
    if !app.ui.json_wanted() {
        planned.install.iter().for_each(|line| app.ui.out(line));
    }
    // A bare machine has no podman yet that could be asked for more.
    let bare = missing.is_some_and(|missing| missing.programs.contains(&"podman"));
    if !bare {
        let engine = app.engine(system)?;
        check_host(app, &engine, system, &chosen)?;
        let wanted = build_images::needed(system, &chosen);
        let (_, images) = build_images::planned(app, system, &engine, &wanted, false)?;
        if !app.ui.json_wanted() {
            app.print_plan("build-images", &engine, &images);
        }
        planned.images = Some(images);
        match deploy::planned(app, system, &engine, chosen, &args.how) {
            Ok(plan) => {
                if !app.ui.json_wanted() {
                    app.print_plan("deploy", &engine, &plan);
                }
                planned.deployment = Some(plan);
            }
            Err(failure) if failure.exit == Exit::Build => app
                .ui
                .note("the deployment can be planned once the images are built"),
            Err(failure) => return Err(failure),
        }
    }
    if app.ui.json_wanted() {
        app.ui.json("up", &planned);
    }
    Ok(())
}

struct Phases<'a> {
    app: &'a App,
    done: Vec<Phase>,
}

impl Phases<'_> {
    fn run<T>(
        &mut self,
        name: &'static str,
        phase: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let started = Instant::now();
        let result = phase();
        self.done.push(Phase {
            name,
            elapsed_ms: started.elapsed().as_millis() as u64,
        });
        result
    }

    fn print(&self) {
        let times: Vec<String> = self
            .done
            .iter()
            .map(|phase| format!("{} {}", phase.name, seconds(phase.elapsed_ms)))
            .collect();
        let total: u64 = self.done.iter().map(|phase| phase.elapsed_ms).sum();
        let line = format!("{}; total {}", times.join(", "), seconds(total));
        self.app.ui.note(self.app.ui.paint(Paint::Dim, &line));
    }
}
