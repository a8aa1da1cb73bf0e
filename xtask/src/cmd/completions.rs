//! `completions`: a script for the shell, made from the command line itself.

use diagnostics::Failure;
use operations::work::App;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Shell to write for
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Completes the program `xtask`, which takes `command`; the README shows how
/// `cargo xtask` uses it.
pub fn run(app: &App, args: &Args, command: clap::Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    let mut command = command.bin_name("xtask");
    clap_complete::generate(args.shell, &mut command, "xtask", &mut script);
    app.ui.out(String::from_utf8_lossy(&script).trim_end());
    Ok(())
}
