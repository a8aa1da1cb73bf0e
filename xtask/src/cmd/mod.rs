//! The commands, one file each: its arguments, and its story in a few lines. What
//! it does stands in `operations`, what it tells in `show`.

pub mod build_images;
pub mod check_gpu;
pub mod check_toolchain;
pub mod completions;
pub mod create_networks;
pub mod deploy;
pub mod doctor;
pub mod down;
pub mod health_check;
pub mod logs;
pub mod scan;
pub mod split_requirements;
pub mod status;
pub mod test;
pub mod test_integration;
pub mod test_unit;
pub mod up;

use diagnostics::Failure;
use operations::work::{App, ending::Ending};
use process::Cancel;
use serde::Serialize;

use crate::{
    cli::{Cli, Command},
    show,
};

/// Runs the command that was asked for.
pub fn run(cli: Cli, cancel: Cancel) -> Result<(), Failure> {
    let app = App {
        ui: cli.global.ui(),
        settings: cli.global.settings(),
        cancel,
    };
    match &cli.command {
        Command::Up(args) => up::run(&app, args),
        Command::CheckToolchain(args) => check_toolchain::run(&app, args),
        Command::CheckGpu(args) => check_gpu::run(&app, args),
        Command::Scan(args) => scan::run(&app, args),
        Command::SplitRequirements(args) => split_requirements::run(&app, args),
        Command::BuildImages(args) => build_images::run(&app, args),
        Command::CreateNetworks(args) => create_networks::run(&app, args),
        Command::Deploy(args) => deploy::run(&app, args),
        Command::HealthCheck(args) => health_check::run(&app, args),
        Command::Doctor(args) => doctor::run(&app, args),
        Command::Status(args) => status::run(&app, args),
        Command::Logs(args) => logs::run(&app, args),
        Command::Down(args) => down::run(&app, args),
        Command::TestUnit(args) => test_unit::run(&app, args),
        Command::TestIntegration(args) => test_integration::run(&app, args),
        Command::Test(args) => test::run(&app, args),
        Command::Completions(args) => completions::run(&app, args),
    }
}

/// The result of a command that carries out a plan; `None` after a dry run, which
/// has been shown. A failed one is told as values where these are wanted.
fn finish<T: Serialize>(app: &App, command: &str, ending: Ending<T>) -> Result<Option<T>, Failure> {
    match ending {
        Ending::Planned(script) => {
            show::script::show(&app.ui, command, &script);
            Ok(None)
        }
        Ending::Done(result) => Ok(Some(result)),
        Ending::Failed(result, failure) => {
            if app.ui.json_wanted() {
                app.ui.json(command, &result);
            }
            Err(failure)
        }
    }
}
