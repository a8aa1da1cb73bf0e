//! `create-networks`: creates what the manifest asks for and does not exist.

use diagnostics::Failure;
use operations::work::{App, Scope, ending::Ending, networks};

use crate::show;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Replace our networks that differ from the manifest; no container may be attached
    #[arg(long)]
    recreate: bool,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let system = app.system()?;
    let engine = app.engine(&system)?;
    let _alone = app.lock(&engine, &system, Scope::Agents, "create-networks")?;
    match networks::create(app, &system, &engine, args.recreate)? {
        Ending::Planned(script) => show::script::show(&app.ui, "create-networks", &script),
        Ending::Done(creation) => show::changes::networks(&app.ui, &creation),
        Ending::Failed(creation, failure) => {
            show::changes::networks(&app.ui, &creation);
            return Err(failure);
        }
    }
    Ok(())
}
