//! `scan`: what the agents' code imports, which image fits each agent, and
//! where code and manifest disagree. Runs no podman and no agent.

use diagnostics::Failure;
use operations::work::{App, scan_tree};

use crate::show;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Agents and groups to judge; the files of the whole tree are read [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Fail if an agent could not start: for CI
    #[arg(long)]
    check: bool,
    /// Show remarks and the files that do not parse, too
    #[arg(long)]
    all: bool,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let scan = scan_tree::scan(app, &args.names)?;
    let report = scan.report();
    show::scan::show(&app.ui, &report, args.all);
    match args.check {
        true => scan_tree::verdict(report.findings),
        false => Ok(()),
    }
}
