//! `status`: one bulk view of every agent.

use diagnostics::Failure;
use operations::work::{App, status};

use crate::show;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Agents and groups [default: all, optional ones only if they have a container]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Look for changes by hand in all settings of each container
    #[arg(long)]
    deep: bool,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let system = app.system()?;
    let engine = app.engine(&system)?;
    let fleet = status::look(app, &system, &engine, &args.names, args.deep)?;
    show::status::show(&app.ui, &fleet);
    Ok(())
}
