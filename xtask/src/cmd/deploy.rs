//! `deploy`: converge the agents, gated on health, in order.

use std::collections::{BTreeMap, BTreeSet};

use diagnostics::Failure;
use model::{plan::agents::Order, system::System};
use operations::work::{App, Scope, deploy, project::Project, select};

use super::{duration_ms, finish::finish};
use crate::show;

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
    /// Replace the named agents' containers (all, without names) even if they are as they should be
    #[arg(long)]
    pub recreate: bool,
    /// Remove containers whose agents the manifest no longer has
    #[arg(long)]
    pub prune: bool,
    /// Restart agents that run and do not answer well, instead of only telling
    #[arg(long)]
    pub restart_hung: bool,
    /// Keep what came up if others fail, instead of putting all former containers back
    #[arg(long)]
    pub no_rollback: bool,
    /// Look for changes by hand in all settings of each container, and replace
    /// those that have any
    #[arg(long)]
    pub verify: bool,
    /// Let agents that have a container keep their image: repair, but release nothing
    #[arg(long)]
    pub no_new_images: bool,
    /// Leave an agent that fails its gate as it is
    #[arg(long)]
    pub keep: bool,
    /// Go on where another checkout has deployed a system of this name
    #[arg(long)]
    pub take_over: bool,
    /// Go on in spite of this finding of check-toolchain or check-gpu; may be repeated
    #[arg(long, value_name = "ID")]
    pub ignore: Vec<String>,
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
    /// The same for those who do not know the command line.
    pub fn plain(&self, system: &System, names: &[String]) -> Result<deploy::How, Failure> {
        let recreate = match self.recreate {
            true => select(system, names, true)?,
            false => BTreeSet::new(),
        };
        Ok(deploy::How {
            order: self.order.into(),
            settle_ms: self.settle,
            recreate,
            prune: self.prune,
            restart_hung: self.restart_hung,
            go_back: !self.no_rollback,
            verify: self.verify,
            no_new_images: self.no_new_images,
            specs: BTreeMap::new(),
            command: "deploy".to_owned(),
            keep: self.keep,
            take_over: self.take_over,
            no_import_check: self.no_import_check,
        })
    }
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let project = Project::open(app)?;
    let chosen = select(&project.system, &args.names, args.how.no_deps)?;
    let mut engine = app.engine(&project.system)?;
    let _alone = app.lock(&engine, &project.system, Scope::Agents, "deploy")?;
    let how = args.how.plain(&project.system, &args.names)?;
    let host = deploy::Host::Unknown;
    let ending = deploy::converge(app, &project, &mut engine, &chosen, &how, host)?;
    if let Some(deployment) = finish(app, "deploy", ending)? {
        show::deploy::show(&app.ui, &deployment);
    }
    Ok(())
}
