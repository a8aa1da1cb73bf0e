//! `doctor`: why agents are not well, and what to do next.
//!
//! It changes nothing. In the containers of agents that run it starts a short
//! program, which only looks.

use diagnostics::Failure;
use operations::work::{App, diagnosis, project::Project};

use crate::show;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Agents and groups; with names every check is shown [default: all, optional ones only if
    /// they have a container]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let project = Project::open(app)?;
    let report = diagnosis::diagnose(app, &project, &args.names)?;
    show::doctor::show(&app.ui, &report, !args.names.is_empty());
    diagnosis::verdict(&report.diagnosis)
}
