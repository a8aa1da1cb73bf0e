//! `deploy`: converge the agents, gated on health, in order.

use std::{collections::BTreeSet, time::Instant};

use serde::Serialize;

use super::{App, check_gpu, check_toolchain, code, outcome, plan_failure, select, unreadable};
use crate::{
    cli::duration_ms,
    execute,
    host::{recipes, toolchain::Asked},
    podman::{Engine, observe::Ask},
    ui::progress::Progress,
};
use diagnostics::{Exit, Failure, words::seconds};
use model::{
    plan::{
        Action, Plan, State, Step,
        agents::{self, Order, Request},
        image_tag, label, networks,
    },
    system::System,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Agents and groups [default: every agent that is not optional]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub how: How,
}

/// How to deploy; shared with `up`.
#[derive(Debug, Clone, clap::Args)]
pub struct How {
    /// Leave out what the named agents depend on
    #[arg(long)]
    pub no_deps: bool,
    /// Which agents wait for which
    #[arg(long, value_enum, default_value = "groups", value_name = "ORDER")]
    pub order: StartOrder,
    /// Look at all agents again after this time; 0s: do not
    #[arg(long, default_value = "10s", value_name = "DURATION", value_parser = duration_ms)]
    pub settle: u64,
    /// Replace containers that are as they should be, too
    #[arg(long)]
    pub recreate: bool,
    /// Leave an agent that fails its gate as it is
    #[arg(long)]
    pub keep: bool,
    /// Deploy agents that their code or image would keep from starting, too
    #[arg(long)]
    pub no_import_check: bool,
}

/// Which agents wait for which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum StartOrder {
    /// A group starts when the groups it comes after are healthy.
    Groups,
    /// Only `depends_on` counts; groups start side by side.
    Dependencies,
}

impl From<StartOrder> for Order {
    fn from(order: StartOrder) -> Self {
        match order {
            StartOrder::Groups => Order::Groups,
            StartOrder::Dependencies => Order::Dependencies,
        }
    }
}

impl How {
    /// As quick as it is safe, without a second look.
    pub fn quick() -> Self {
        How {
            no_deps: true,
            order: StartOrder::Dependencies,
            settle: 0,
            recreate: false,
            keep: false,
            no_import_check: false,
        }
    }
}

/// Whether anybody has looked at the host yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    Unknown,
    /// Its warnings have been shown.
    Checked,
}

/// The end of a deployment.
#[derive(Debug, Serialize)]
pub struct Summary {
    pub agents: Vec<outcome::Outcome>,
    pub warnings: Vec<String>,
    /// Without the settle window.
    pub elapsed_ms: u64,
    pub settle_ms: u64,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let system = app.system()?;
    let chosen = select(&system, &args.names, args.how.no_deps)?;
    let mut engine = app.engine(&system)?;
    let _lock = app.lock(&system, "deploy")?;
    let Some(summary) = converge(app, &system, &mut engine, chosen, &args.how, Host::Unknown)?
    else {
        return Ok(());
    };
    if app.ui.json_wanted() {
        app.ui.json("deploy", &summary);
    } else {
        print(app, &summary);
    }
    Ok(())
}

/// Brings `chosen` to the manifest's state; `None` after a dry run.
pub fn converge(
    app: &App,
    system: &System,
    engine: &mut Engine,
    chosen: BTreeSet<String>,
    how: &How,
    host: Host,
) -> Result<Option<Summary>, Failure> {
    let started = Instant::now();
    let (mut plan, state) = plan_and_state(app, system, engine, &chosen, how)?;
    if !how.no_import_check {
        code::preflight(app, system, &made(system, &plan))?;
    }
    // Costs nothing where nothing is to be done.
    if host == Host::Unknown && !plan.is_empty() {
        let asked = Asked::named(system, &state, &chosen, false);
        check_toolchain::preflight(app, engine, &asked)?;
        check_gpu::preflight(app, engine, system, &state, &made(system, &plan))?;
    }
    if app.global.dry_run {
        app.print_plan("deploy", engine, &plan);
        return Ok(None);
    }
    for warning in &plan.warnings {
        app.ui.warn(warning);
    }
    if !plan.is_empty() {
        engine.ready()?;
    }
    let settle_ms = if plan.is_empty() { 0 } else { how.settle };
    let progress = Progress::new(app.ui, &plan);
    let report = execute::execute(engine, &plan, app.slots(), &progress);
    drop(progress);
    let elapsed_ms = (started.elapsed().as_millis() as u64).saturating_sub(settle_ms);
    let names: BTreeSet<&str> = system
        .agents
        .iter()
        .map(|agent| agent.name.as_str())
        .collect();
    let agents = outcome::outcomes(&plan, &report)
        .into_iter()
        .filter(|outcome| names.contains(outcome.name.as_str()) || !outcome.sick.is_empty())
        .collect();
    let warnings = std::mem::take(&mut plan.warnings);
    let summary = Summary {
        agents,
        warnings,
        elapsed_ms,
        settle_ms,
    };
    match outcome::failure(&plan, &report, Exit::Gate) {
        None => Ok(Some(summary)),
        Some(failure) => {
            if app.ui.json_wanted() {
                app.ui.json("deploy", &summary);
            }
            Err(failure)
        }
    }
}

/// The steps that would bring `chosen` to the manifest's state.
pub fn planned(
    app: &App,
    system: &System,
    engine: &Engine,
    chosen: BTreeSet<String>,
    how: &How,
) -> Result<Plan, Failure> {
    plan_and_state(app, system, engine, &chosen, how).map(|(plan, _)| plan)
}

/// These steps, and what podman and the host were found to have.
fn plan_and_state(
    app: &App,
    system: &System,
    engine: &Engine,
    chosen: &BTreeSet<String>,
    how: &How,
) -> Result<(Plan, State), Failure> {
    let ask = Ask {
        containers: true,
        images: true,
        networks: true,
        ..Ask::default()
    };
    let state = app.state(engine, system, ask)?;
    let mut plan = make_plan(system, &state, chosen.clone(), how)?;
    plan.warnings.extend(stale_images(app, system, &state)?);
    Ok((plan, state))
}

fn make_plan(
    system: &System,
    state: &State,
    chosen: BTreeSet<String>,
    how: &How,
) -> Result<Plan, Failure> {
    let groups = system
        .agents
        .iter()
        .filter(|agent| chosen.contains(&agent.name));
    let used = networks::used_by(system, groups.map(|agent| agent.group.as_str()));
    let request = Request {
        agents: chosen,
        order: how.order.into(),
        keep: how.keep,
        recreate: how.recreate,
        settle_ms: how.settle,
    };
    let networks = networks::plan(system, state, &used, false);
    let agents = agents::plan(system, state, &request);
    let (mut plan, agents) = match (networks, agents) {
        (Ok(networks), Ok(agents)) => (networks, agents),
        (networks, agents) => {
            let errors = networks.err().into_iter().chain(agents.err()).flatten();
            return Err(plan_failure(&errors.collect::<Vec<_>>()));
        }
    };
    plan.unchanged.clear();
    let created: Vec<usize> = (0..plan.steps.len()).collect();
    plan.append(agents, &created);
    Ok(plan)
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
fn stale_images(app: &App, system: &System, state: &State) -> Result<Vec<String>, Failure> {
    let used: BTreeSet<&str> = system
        .agents
        .iter()
        .map(|agent| agent.image.as_str())
        .collect();
    let used: Vec<&str> = used
        .into_iter()
        .filter(|name| state.images.contains_key(&image_tag(name)))
        .collect();
    let hashes = recipes::inputs_of(system, &code::left_out(app, system)?, &used)
        .map_err(|error| unreadable(&error))?;
    Ok(used
        .into_iter()
        .filter(|name| {
            let found = &state.images[&image_tag(name)];
            found.labels.get(label::INPUTS) != hashes.get(*name)
        })
        .map(|name| {
            format!("image `{name}` is out of date; `cargo xtask build-images` rebuilds it")
        })
        .collect())
}

pub fn print(app: &App, summary: &Summary) {
    let count = |result: &str| {
        summary
            .agents
            .iter()
            .filter(|agent| agent.result == result)
            .count()
    };
    let (started, unchanged) = (count("healthy"), count("unchanged"));
    let took = seconds(summary.elapsed_ms);
    let line = match started {
        0 => format!("nothing to do: {unchanged} agents healthy, {took}"),
        _ if summary.settle_ms > 0 => {
            let settle = seconds(summary.settle_ms);
            format!(
                "{} agents healthy: {started} deployed, {unchanged} unchanged, {took} and {settle} to settle",
                started + unchanged
            )
        }
        _ => format!(
            "{} agents healthy: {started} deployed, {unchanged} unchanged, {took}",
            started + unchanged
        ),
    };
    app.ui.out(line);
}
