//! `rollback`: agents as an earlier deployment left them, through the same order,
//! gates and second look as `deploy`.

use diagnostics::Failure;
use operations::work::{App, Scope, deploy, project::Project, rollback};

use super::{deploy::StartOrder, duration_ms, finish::finish};
use crate::show;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of the deployment [default: the one before the last], then agents and
    /// groups [default: all that it had]
    #[arg(value_name = "N|NAME")]
    pub words: Vec<String>,
    /// Which agents wait for which
    #[arg(long, value_enum, default_value = "groups", value_name = "ORDER")]
    pub order: StartOrder,
    /// Look at all agents again after this time; 0s: do not
    #[arg(long, default_value = "10s", value_name = "DURATION", value_parser = duration_ms)]
    pub settle: u64,
    /// Keep what came up if others fail, instead of putting all former containers back
    #[arg(long)]
    pub no_rollback: bool,
    /// Go on where another checkout has deployed the system
    #[arg(long)]
    pub take_over: bool,
    /// Leave an agent that fails its gate as it is
    #[arg(long)]
    pub keep: bool,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let mut project = Project::open(app)?;
    let first = args.words.first().and_then(|word| word.parse().ok());
    let names = &args.words[usize::from(first.is_some())..];
    let mut how = deploy::How {
        order: args.order.into(),
        settle_ms: args.settle,
        take_over: args.take_over,
        go_back: !args.no_rollback,
        keep: args.keep,
        ..deploy::How::quick()
    };
    let mut engine = app.engine(&project.system)?;
    let _alone = app.lock(&engine, &project.system, Scope::Agents, "rollback")?;
    let target = rollback::choose(&mut project, first, names, &mut how)?;
    if !target.forgotten.is_empty() {
        let names = target.forgotten.join(", ");
        app.ui.warn(format!(
            "not in the manifest any more, and left out: {names}"
        ));
    }
    let host = deploy::Host::Unknown;
    let ending = deploy::converge(app, &project, &mut engine, &target.chosen, &how, host)?;
    if let Some(deployment) = finish(app, "rollback", ending)? {
        show::deploy::show_as(&app.ui, "rollback", &deployment);
        app.ui.note(format!(
            "this is deployment {} again; `cargo xtask deploy` releases the manifest's state",
            target.number
        ));
    }
    Ok(())
}
