//! `explain`: what a field of the manifest, a finding, a cause or an exit code
//! means. Needs neither podman nor a manifest.

use diagnostics::Failure;
use operations::work::{App, explain};

use crate::show;

/// What to explain.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Field (`port`, `agents.port`) or table (`agents`) of the manifest, id of a finding or
    /// cause, or exit code [default: list them all]
    name: Option<String>,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let explanation = match &args.name {
        Some(name) => explain::of(name)?,
        None => explain::all(),
    };
    show::explain::show(&app.ui, &explanation);
    Ok(())
}
