//! Brings agents to the manifest's state, in order, gated on health.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use diagnostics::{Exit, Failure};
use model::{
    plan::{
        Action, Plan, PlanError, State, Step,
        agents::{DeployRequest, Order},
        elsewhere, images, label, networks, pointer_tag,
        refused::{self, Refused},
        secrets as wanted_secrets,
        spec::ContainerSpec,
    },
    system::System,
};
use serde::Serialize;

use super::{
    app::App,
    dry_run::Script,
    ending::Ending,
    failures::plan_failure,
    gpu, import_check, left_out, outcome,
    project::Project,
    release::{self, Release},
    secrets, take_over, toolchain, verify, way_back,
};
use crate::{
    carry_out::{Report, StepResult},
    podman::{
        Engine,
        observe::{self, Ask},
    },
};

/// How to deploy.
#[derive(Debug, Clone)]
pub struct How {
    /// Which agents wait for which.
    pub order: Order,
    /// Look at all agents again after this time; 0: do not.
    pub settle_ms: u64,
    /// Agents whose containers are replaced even if they are as they should be.
    pub recreate: BTreeSet<String>,
    /// Remove containers whose agents the manifest no longer has.
    pub prune: bool,
    /// Restart agents that run and do not answer.
    pub restart_hung: bool,
    /// Put the former containers back, all of them, if the new ones fail.
    pub go_back: bool,
    /// Look at all settings of each container, for changes by hand.
    pub verify: bool,
    /// Agents that have a container keep the image that it was made from.
    pub no_new_images: bool,
    /// What is deployed instead of the manifest's, by agent.
    pub specs: BTreeMap<String, ContainerSpec>,
    /// What the journal calls it.
    pub command: String,
    /// Leave an agent that fails its gate as it is.
    pub keep: bool,
    /// Go on where another checkout has deployed the system.
    pub take_over: bool,
    /// Deploy agents that their code or image would keep from starting, too.
    pub no_import_check: bool,
}

impl How {
    /// As quick as it is safe, without a second look.
    pub fn quick() -> Self {
        How {
            order: Order::Dependencies,
            settle_ms: 0,
            recreate: BTreeSet::new(),
            prune: false,
            restart_hung: false,
            go_back: false,
            verify: false,
            no_new_images: false,
            specs: BTreeMap::new(),
            command: "test".to_owned(),
            keep: false,
            take_over: false,
            no_import_check: false,
        }
    }
}

/// Whether anybody has looked at the host yet.
#[derive(Debug, Clone)]
pub enum Host {
    Unknown,
    /// Its warnings have been shown; this keeps single agents from running here.
    Checked(Vec<PlanError>),
}

/// The end of a deployment.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Deployment {
    /// Every agent that was asked for, and what became of it; `system` among them, if
    /// some did not stay healthy.
    pub agents: Vec<outcome::Outcome>,
    /// Things worth knowing that stopped nothing.
    pub warnings: Vec<String>,
    /// Time that it took in ms, without the settle window.
    pub elapsed_ms: u64,
    /// Length of the settle window in ms; 0 if there was none.
    pub settle_ms: u64,
    /// Number of the run, for `logs --run`; left out if nothing was to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<u32>,
}

/// Brings `chosen` to the manifest's state.
pub fn converge(
    app: &App,
    project: &Project,
    engine: &mut Engine,
    chosen: &BTreeSet<String>,
    how: &How,
    host: Host,
) -> Result<Ending<Deployment>, Failure> {
    let started = Instant::now();
    let system = &project.system;
    let (mut planned, state) = planned(app, project, engine, chosen, how, &Plan::default())?;
    let plan = &planned.plan;
    take_over::judge(app.ui, system, &state, plan, how.take_over)?;
    if !how.no_import_check {
        import_check::preflight(project, &made(system, plan))?;
    }
    let unfit = unfit(app, engine, project, (plan, &state), chosen, host)?;
    if !unfit.is_empty() {
        planned = make_plan(project, &state, chosen, how, unfit)?;
    }
    let (mut plan, refused) = (planned.plan, planned.refused);
    let release = Release::new(app, system, &state, &planned.request, &mut plan)?;
    if !made(system, &plan).is_empty() {
        toolchain::room(app, engine, system, &state)?;
    }
    if app.settings.dry_run {
        append_cleanup(&mut plan, release);
        return Ok(Ending::Planned(Script::new(engine, plan)));
    }
    for warning in &plan.warnings {
        app.ui.warn(warning);
    }
    if !plan.is_empty() {
        engine.ready()?;
    }
    let settle_ms = if plan.is_empty() { 0 } else { how.settle_ms };
    let mut report = app.carry_out(engine, &plan, app.slots());
    let back = go_back(app, engine, &mut plan, &mut report);
    let elapsed_ms = (started.elapsed().as_millis() as u64).saturating_sub(settle_ms);
    let mut agents = outcome::outcomes(&plan, &report);
    if let Some((plan, report)) = &back {
        way_back::mark(&mut agents, plan, report);
    }
    agents.extend(left_out::outcomes(&refused));
    let agents = agents
        .into_iter()
        .filter(|outcome| system.agent(&outcome.name).is_some() || !outcome.sick.is_empty())
        .collect();
    let warnings = std::mem::take(&mut plan.warnings);
    let deployment = Deployment {
        agents,
        warnings,
        elapsed_ms,
        settle_ms,
        run: app.run.number(),
    };
    let mut failure = outcome::failure(&plan, &report, Exit::Gate);
    if let (Some(failure), Some((plan, report))) = (&mut failure, &back) {
        failure.detail.extend(way_back::words(plan, report));
    }
    if let (None, Some(release)) = (&failure, release) {
        release.finish(app, engine, system, &how.command)?;
    }
    Ok(Ending::new(
        deployment,
        left_out::failure(&refused, failure),
    ))
}

/// What follows on a deployment that has succeeded.
pub fn append_cleanup(plan: &mut Plan, release: Option<Release>) {
    let all: Vec<usize> = (0..plan.steps.len()).collect();
    if let Some(release) = release {
        plan.append(release.cleanup, &all);
    }
}

/// What keeps single agents from running on this host. Costs nothing where nothing
/// is to be done.
fn unfit(
    app: &App,
    engine: &Engine,
    project: &Project,
    (plan, state): (&Plan, &State),
    chosen: &BTreeSet<String>,
    host: Host,
) -> Result<Vec<PlanError>, Failure> {
    let system = &project.system;
    match host {
        Host::Checked(unfit) => Ok(unfit),
        Host::Unknown if plan.is_empty() => Ok(Vec::new()),
        Host::Unknown => {
            let made = made(system, plan);
            let mut unfit = toolchain::preflight(app, engine, system, state, chosen, false)?;
            unfit.extend(gpu::preflight(app, engine, system, state, &made)?);
            Ok(unfit)
        }
    }
}

/// Carries out the way back, if the plan has one and has failed; after Ctrl-C only
/// if agents that ran are down without it.
fn go_back(
    app: &App,
    engine: &mut Engine,
    plan: &mut Plan,
    report: &mut Report,
) -> Option<(Plan, Report)> {
    let Report { results, left } = report;
    let result = |step: usize| results.get(step);
    let done = |step| matches!(result(step), Some(StepResult::Done { .. }));
    let failed = |step| matches!(result(step), Some(StepResult::Failed(_)));
    let rollback = plan.rollback.take()?;
    if app.cancel.requested() {
        let back = rollback.plan_interrupted(&done)?;
        let interrupted = std::mem::take(&mut engine.podman.cancel);
        let back_report = app.carry_out(engine, &back, app.slots());
        engine.podman.cancel = interrupted;
        *left = observe::containers(&engine.podman.undisturbed()).ok();
        return Some((back, back_report));
    }
    let back = rollback.plan(&done, &failed)?;
    app.ui
        .warn("the new containers failed; going back to those of before");
    let report = app.carry_out(engine, &back, app.slots());
    Some((back, report))
}

/// The steps that would bring `chosen` to the manifest's state once the images of
/// `builds` are there, and what podman and the host have then.
pub fn planned(
    app: &App,
    project: &Project,
    engine: &mut Engine,
    chosen: &BTreeSet<String>,
    how: &How,
    builds: &Plan,
) -> Result<(Planned, State), Failure> {
    let values = project.secrets(app, chosen)?;
    let ask = Ask {
        containers: true,
        images: true,
        networks: true,
        secrets: secrets::used(&project.system),
        ..Ask::default()
    };
    let mut state = app.state(engine, &project.system, ask)?;
    state.known = values.known;
    state = images::after(&project.system, state, builds);
    engine.podman.vault = values.vault;
    if how.verify {
        verify::look_closer(engine, &project.system, &mut state)?;
    }
    if how.take_over {
        elsewhere::take_over(&mut state);
    }
    release::still_possible(&project.system, &state, &how.specs)?;
    let planned = make_plan(project, &state, chosen, how, Vec::new())?;
    Ok((planned, state))
}

/// What is to be done, and for whom nothing can be.
#[derive(Debug)]
pub struct Planned {
    pub plan: Plan,
    pub refused: Refused,
    /// What was asked for.
    pub request: DeployRequest,
}

/// The plan for all of `chosen` but those that are `unfit` or refused.
fn make_plan(
    project: &Project,
    state: &State,
    chosen: &BTreeSet<String>,
    how: &How,
    mut unfit: Vec<PlanError>,
) -> Result<Planned, Failure> {
    let system = &project.system;
    let groups = system
        .agents
        .iter()
        .filter(|agent| chosen.contains(&agent.name));
    let used = networks::used_by(system, groups.map(|agent| agent.group.as_str()));
    let request = DeployRequest {
        agents: chosen.clone(),
        order: how.order,
        keep: how.keep,
        recreate: how.recreate.clone(),
        prune: how.prune,
        restart_hung: how.restart_hung,
        go_back: how.go_back,
        keep_images: how.no_new_images,
        specs: how.specs.clone(),
        settle_ms: how.settle_ms,
    };
    unfit.extend(wanted_secrets::refusals(system, state, &request.agents));
    let networks = networks::plan(system, state, &used, false);
    let agents = refused::plan(system, state, &request, unfit);
    let (mut plan, (agents, refused)) = match (networks, agents) {
        (Ok(networks), Ok(agents)) => (networks, agents),
        (networks, agents) => {
            let errors = networks.err().into_iter().chain(agents.err()).flatten();
            return Err(plan_failure(&errors.collect::<Vec<_>>()));
        }
    };
    plan.unchanged.clear();
    plan.append(wanted_secrets::create(system, state, &agents), &[]);
    let created: Vec<usize> = (0..plan.steps.len()).collect();
    plan.append(agents, &created);
    wanted_secrets::remove_unused(system, state, &mut plan);
    if how.specs.is_empty() {
        plan.warnings.extend(stale_images(project, state)?);
    }
    plan.warnings.extend(left_out::warnings(&refused));
    Ok(Planned {
        plan,
        refused,
        request,
    })
}

/// The agents that get a new container.
fn made(system: &System, plan: &Plan) -> BTreeSet<String> {
    let creates = |step: &&Step| matches!(step.action, Action::CreateContainer(_));
    let subjects: BTreeSet<&str> = plan
        .steps
        .iter()
        .filter(creates)
        .map(|step| step.subject.as_str())
        .collect();
    let names = system.agents.iter().map(|agent| &agent.name);
    let made = names.filter(|name| subjects.contains(name.as_str()));
    made.cloned().collect()
}

/// Images that were built from other code or requirements than there are now.
fn stale_images(project: &Project, state: &State) -> Result<Vec<String>, Failure> {
    let used: BTreeSet<&str> = project
        .system
        .agents
        .iter()
        .map(|agent| agent.image.as_str())
        .collect();
    let used: Vec<&str> = used
        .into_iter()
        .filter(|name| {
            state
                .images
                .contains_key(&pointer_tag(&project.system, name))
        })
        .collect();
    let hashes = project.inputs_of(&used)?;
    let stale = used.into_iter().filter(|name| {
        let found = &state.images[&pointer_tag(&project.system, name)];
        found.labels.get(label::INPUTS) != hashes.get(*name)
    });
    let told = stale.map(|name| {
        format!("image `{name}` is out of date; `cargo xtask build-images` rebuilds it")
    });
    Ok(told.collect())
}
