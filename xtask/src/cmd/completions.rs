//! `completions`: a script for the shell, made from the command line itself.

use clap::CommandFactory;

use crate::cli::Cli;
use diagnostics::Failure;
use operations::work::app::App;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Shell to write for
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Completes the program `xtask`; the README shows how `cargo xtask` uses it.
pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut Cli::command().bin_name("xtask"),
        "xtask",
        &mut script,
    );
    app.ui.out(String::from_utf8_lossy(&script).trim_end());
    Ok(())
}
