//! `up`: everything in order, from a bare machine to a healthy system.

use diagnostics::Failure;
use model::system::Agent;
use operations::work::{
    App, Scope, ask, build, deploy as deployment,
    project::Project,
    select,
    up::{self, Phases, Up},
};

use super::{deploy, finish::finish};
use crate::show;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Agents and groups [default: every agent that is not optional]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Install missing packages with the distribution's package manager
    #[arg(long)]
    install: bool,
    #[command(flatten)]
    pub how: deploy::How,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let project = Project::open(app)?;
    let system = &project.system;
    let chosen = select(system, &args.names, args.how.no_deps)?;
    let how = deployment::How {
        command: "up".to_owned(),
        ..args.how.plain(system, &args.names)?
    };
    if app.settings.dry_run {
        let preview = up::preview(app, &project, &chosen, &how, args.install)?;
        show::up::preview(&app.ui, &preview);
        return Ok(());
    }
    let mut phases = Phases::default();
    if args.install {
        phases.run("install", || up::install(app))?;
    }
    let (mut engine, unfit) = phases.run("check", || up::check(app, &project, &chosen, &how))?;
    let wanted = build::needed(system, &chosen);
    let images = phases.run("build", || {
        let _alone = app.lock(&engine, system, Scope::Images, "up")?;
        let ending = build::converge(app, &project, &mut engine, &wanted, false)?;
        finish(app, "build-images", ending)
    })?;
    let Some(images) = images else { return Ok(()) };
    if !app.ui.json_wanted() {
        show::images::print(&app.ui, &images, false);
    }
    let deployment = phases.run("deploy", || {
        let _alone = app.lock(&engine, system, Scope::Agents, "up")?;
        let host = deployment::Host::Checked(unfit);
        let ending = deployment::converge(app, &project, &mut engine, &chosen, &how, host)?;
        finish(app, "deploy", ending)
    })?;
    let Some(deployment) = deployment else {
        return Ok(());
    };
    let agents: Vec<&Agent> = system
        .agents
        .iter()
        .filter(|agent| chosen.contains(&agent.name))
        .collect();
    let health = phases.run("health", || ask::ask(app, &engine, system, &agents))?;
    let verdict = ask::verdict(&health);
    let up = Up {
        phases: phases.0,
        images,
        deployment,
        health,
        run: app.run.number(),
    };
    show::up::show(&app.ui, &up);
    verdict
}
