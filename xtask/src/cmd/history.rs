//! `history`: what was deployed when, by whom, and what changed with it.

use diagnostics::Failure;
use operations::work::{App, history};

use crate::show;

#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(app: &App, _: &Args) -> Result<(), Failure> {
    let system = app.system()?;
    let engine = app.engine(&system)?;
    let history = history::look(app, &system, &engine)?;
    show::history::show(&app.ui, &history);
    Ok(())
}
