//! From a bare machine to a healthy system: what is checked before the long builds,
//! and what all of it would run.

use std::{collections::BTreeSet, time::Instant};

use diagnostics::Failure;
use model::{plan::PlanError, system::System};
use serde::Serialize;

use super::{
    app::App,
    ask::Round,
    build,
    build_report::ImageReport,
    deploy::{self, Deployment},
    dry_run::Script,
    failures::{plan_failure, podman_failure},
    gpu, import_check,
    project::Project,
    release::Release,
    take_over, toolchain,
};
use crate::{
    host::install::{self, Missing},
    podman::Engine,
};

/// The end of `up`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Up {
    /// In the order in which they were gone through.
    pub phases: Vec<Phase>,
    /// What became of the images.
    pub images: ImageReport,
    /// What became of the agents.
    pub deployment: Deployment,
    /// All agents, asked at the end.
    pub health: Round,
    /// Number of the run, for `logs --run`; left out if nothing was to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<u32>,
}

/// One part of `up`, and how long it took.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Phase {
    /// `install`, `check`, `build`, `deploy` or `health`.
    pub name: &'static str,
    /// Time that it took, in ms.
    pub elapsed_ms: u64,
}

/// Everything that `up` would run, as far as it can be told beforehand.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Preview {
    /// Commands that `--install` would run; none without that option.
    pub install: Vec<String>,
    /// What `build-images` would do; null on a machine that has no podman yet.
    pub images: Option<Script>,
    /// What `deploy` would do with them; null on a machine that has no podman yet.
    pub deployment: Option<Script>,
}

/// Installs what is missing with the distribution's package manager.
pub fn install(app: &App) -> Result<(), Failure> {
    let say = |line: &str| app.ui.note(line);
    install::run(&app.cancel, &say)
}

/// What would stop the deployment stops before the long builds.
pub fn check(
    app: &App,
    project: &Project,
    chosen: &BTreeSet<String>,
    how: &deploy::How,
) -> Result<(Engine, Vec<PlanError>), Failure> {
    if !how.no_import_check {
        import_check::preflight(project, chosen)?;
    }
    project.secrets(app, chosen)?;
    let mut engine = app.engine(&project.system)?;
    let unfit = check_host(app, &engine, &project.system, chosen, how.take_over)?;
    engine.ready()?;
    Ok((engine, unfit))
}

fn check_host(
    app: &App,
    engine: &Engine,
    system: &System,
    chosen: &BTreeSet<String>,
    take_over: bool,
) -> Result<Vec<PlanError>, Failure> {
    let state = toolchain::look(engine).map_err(podman_failure)?;
    take_over::judge_agents(app.ui, system, &state, chosen, take_over)?;
    let mut unfit = toolchain::preflight(app, engine, system, &state, chosen, true)?;
    unfit.extend(gpu::preflight(app, engine, system, &state, chosen)?);
    let left = |name: &&String| !unfit.iter().any(|error| error.agent() == Some(name));
    match chosen.iter().any(|name| left(&name)) {
        true => Ok(unfit),
        false => Err(plan_failure(&unfit)),
    }
}

/// What `up` would do; with `install`, what that would install, too.
pub fn preview(
    app: &App,
    project: &Project,
    chosen: &BTreeSet<String>,
    how: &deploy::How,
    install: bool,
) -> Result<Preview, Failure> {
    let missing = match install {
        true => install::missing()?,
        false => None,
    };
    let mut preview = Preview {
        install: missing.as_ref().map_or_else(Vec::new, Missing::lines),
        images: None,
        deployment: None,
    };
    // A bare machine has no podman yet that could be asked for more.
    if missing.is_some_and(|missing| missing.programs.contains(&"podman")) {
        return Ok(preview);
    }
    let mut engine = app.engine(&project.system)?;
    check_host(app, &engine, &project.system, chosen, how.take_over)?;
    let wanted = build::needed(&project.system, chosen);
    let (_, images) = build::planned(project, &engine, &wanted, false)?;
    let (planned, state) = deploy::planned(app, project, &mut engine, chosen, how, &images)?;
    let mut plan = planned.plan;
    let release = Release::new(app, &project.system, &state, &planned.request, &mut plan)?;
    deploy::append_cleanup(&mut plan, release);
    preview.images = Some(Script::new(&engine, images));
    preview.deployment = Some(Script::new(&engine, plan));
    Ok(preview)
}

/// Times of phases that have been gone through.
#[derive(Debug, Default)]
pub struct Phases(pub Vec<Phase>);

impl Phases {
    /// Goes through a phase.
    pub fn run<T>(
        &mut self,
        name: &'static str,
        phase: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let started = Instant::now();
        let result = phase();
        self.0.push(Phase {
            name,
            elapsed_ms: started.elapsed().as_millis() as u64,
        });
        result
    }
}
