//! `down`: takes agents down in reverse order. Data stays unless asked for.

use diagnostics::Failure;
use model::plan::down::Remove;
use operations::work::{App, Scope, down, ending::Ending};

use crate::show;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Agents, groups, and what the manifest no longer has [default: everything of this system]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Remove the networks, too
    #[arg(long, conflicts_with = "names")]
    networks: bool,
    /// Remove the images, too
    #[arg(long, conflicts_with = "names")]
    images: bool,
    /// Remove the volumes with the agents' logs and data, too
    #[arg(long, conflicts_with = "names")]
    volumes: bool,
    /// Go on where another checkout has deployed a system of this name
    #[arg(long)]
    take_over: bool,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let system = app.system()?;
    let engine = app.engine(&system)?;
    let _images = match args.images {
        true => app.lock(&engine, &system, Scope::Images, "down --images")?,
        false => None,
    };
    let _alone = app.lock(&engine, &system, Scope::Agents, "down")?;
    let remove = Remove {
        networks: args.networks,
        images: args.images,
        volumes: args.volumes,
    };
    let (names, take_over) = (&args.names, args.take_over);
    match down::take_down(app, &system, &engine, names, remove, take_over)? {
        Ending::Planned(script) => show::script::show(&app.ui, "down", &script),
        Ending::Done(removal) => show::changes::removal(&app.ui, &removal),
        Ending::Failed(removal, failure) => {
            show::changes::removal(&app.ui, &removal);
            return Err(failure);
        }
    }
    Ok(())
}
