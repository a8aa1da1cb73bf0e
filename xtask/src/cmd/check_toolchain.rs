//! `check-toolchain`: what podman is, what it needs here, and whether this
//! host fits the manifest.

use diagnostics::Failure;
use operations::work::{App, toolchain};

use crate::show;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Agents and groups that are to run here [default: every agent that is not optional]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Whether the host has room for so many more agents like those of the
    /// manifest [default: those that are not deployed yet]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    agents: Option<u32>,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let system = app.system()?;
    let report = toolchain::check(app, &system, &args.names, args.agents)?;
    show::toolchain::show(&app.ui, &report, app.settings.verbose);
    toolchain::verdict(&report.findings)
}
