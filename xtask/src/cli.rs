//! The command line: global options, the list of commands, and which file under
//! `cmd/` each of them is.

use std::{collections::BTreeSet, path::PathBuf};

use clap::{CommandFactory, Parser, Subcommand};
use diagnostics::{Exit, Failure};
use operations::{
    ui::{self, Ui},
    work::{App, Settings, runs::Recorder, toolchain},
};
use process::Cancel;

use crate::cmd::{self, duration_ms};

/// Builds, deploys and watches the agents of a monorepo in podman containers.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    max_term_width = 100
)]
#[command(
    after_help = "Exit codes: 0 success, 2 usage, 3 manifest, 4 engine, 5 build, 6 deploy, \
    7 unhealthy, 8 tests, 9 findings, 10 locked, 11 conflict, 130 interrupted."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Clone, clap::Args)]
pub struct Global {
    /// Manifest to read [default: containers/system.toml of this checkout]
    #[arg(long, global = true, value_name = "PATH")]
    pub manifest: Option<PathBuf>,
    /// Tree that holds main_pc_code/ [default: the manifest's]
    #[arg(long, global = true, value_name = "PATH", env = "AI_SYSTEM_MONOREPO")]
    pub monorepo: Option<PathBuf>,
    /// Print what would be run, and change nothing
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// How results are written to stdout
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub format: Format,
    /// podman system connection to use instead of the local podman
    #[arg(long, global = true, value_name = "NAME")]
    pub connection: Option<String>,
    /// Echo every podman call
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// When to colour
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
    /// podman calls that change something at the same time [default: 4 to 8, by cores; 2 for builds]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: Option<u16>,
    /// How long to wait for another run on the same system
    #[arg(long, global = true, value_name = "DURATION", default_value = "60s", value_parser = duration_ms)]
    pub lock_timeout: u64,
}

/// How results are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    #[default]
    Human,
    Json,
}

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

impl Global {
    /// The terminal as it was asked for.
    pub fn ui(&self) -> Ui {
        let format = match self.format {
            Format::Human => ui::Format::Human,
            Format::Json => ui::Format::Json,
        };
        let color = match self.color {
            Color::Auto => ui::Color::Auto,
            Color::Always => ui::Color::Always,
            Color::Never => ui::Color::Never,
        };
        Ui::new(format, color)
    }

    /// The rest, for those who do not know the command line.
    pub fn settings(&self) -> Settings {
        Settings {
            manifest: self.manifest.clone(),
            monorepo: self.monorepo.clone(),
            dry_run: self.dry_run,
            connection: self.connection.clone(),
            verbose: self.verbose,
            jobs: self.jobs,
            ignore: BTreeSet::new(),
            lock_timeout_ms: self.lock_timeout,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// From a bare machine to a healthy system: check, build, deploy, ask
    Up(cmd::up::Args),
    /// Check podman and this host, and run a real container as proof
    CheckToolchain(cmd::check_toolchain::Args),
    /// Check driver, GPUs, CDI and their memory, and prove it in a container
    CheckGpu(cmd::check_gpu::Args),
    /// Show what the agents' code imports, and which image fits each
    Scan(cmd::scan::Args),
    /// Split requirements files into a list and a lock per image
    SplitRequirements(cmd::split_requirements::Args),
    /// Build the images whose inputs have changed
    BuildImages(cmd::build_images::Args),
    /// Create the networks that do not exist
    CreateNetworks(cmd::create_networks::Args),
    /// Bring agents to the manifest's state, in order, gated on health
    Deploy(cmd::deploy::Args),
    /// Bring agents back to what an earlier deployment left
    Rollback(cmd::rollback::Args),
    /// Show what was deployed when, by whom, and what changed with it
    History(cmd::history::Args),
    /// Ask all agents for their health over ZeroMQ
    HealthCheck(cmd::health_check::Args),
    /// Find out why agents are not well, and what to do next
    Doctor(cmd::doctor::Args),
    /// Show every agent: container, health, ports, age
    Status(cmd::status::Args),
    /// Show the agents' logs, merged in time order
    Logs(cmd::logs::Args),
    /// Stop and remove the agents' containers in reverse order
    Down(cmd::down::Args),
    /// Run the agents' unit tests, each in a container of its agent's image
    TestUnit(cmd::test_unit::Args),
    /// Run integration tests among the live agents, or in a copy of the system
    TestIntegration(cmd::test_integration::Args),
    /// Run all tests of this tool, on real podman too
    Test(cmd::test::Args),
    /// Explain a field of the manifest, a finding, a cause or an exit code
    Explain(cmd::explain::Args),
    /// Print a shell completion script
    Completions(cmd::completions::Args),
}

impl Command {
    /// Findings that this command is to go on in spite of.
    fn ignored(&self) -> &[String] {
        match self {
            Command::Up(args) => &args.how.ignore,
            Command::Deploy(args) => &args.how.ignore,
            Command::BuildImages(args) => &args.ignore,
            Command::TestUnit(args) => &args.how.ignore,
            Command::TestIntegration(args) => &args.how.ignore,
            _ => &[],
        }
    }
}

impl Cli {
    /// Runs the command that was asked for, and tells of its failure.
    pub fn run(self, cancel: Cancel) -> Result<(), Exit> {
        let mut app = App {
            ui: self.global.ui(),
            settings: self.global.settings(),
            cancel,
            run: Recorder::default(),
        };
        let ended = toolchain::ignored(self.command.ignored()).and_then(|ids| {
            app.settings.ignore = ids;
            self.carry_out(&app)
        });
        if let Err(failure) = &ended {
            app.ui.failure(failure);
        }
        if let Some(words) = app.run.end(app.ui, &ended) {
            app.ui.note(words);
        }
        ended.map_err(|failure| failure.exit)
    }

    fn carry_out(&self, app: &App) -> Result<(), Failure> {
        match &self.command {
            Command::Up(args) => cmd::up::run(app, args),
            Command::CheckToolchain(args) => cmd::check_toolchain::run(app, args),
            Command::CheckGpu(args) => cmd::check_gpu::run(app, args),
            Command::Scan(args) => cmd::scan::run(app, args),
            Command::SplitRequirements(args) => cmd::split_requirements::run(app, args),
            Command::BuildImages(args) => cmd::build_images::run(app, args),
            Command::CreateNetworks(args) => cmd::create_networks::run(app, args),
            Command::Deploy(args) => cmd::deploy::run(app, args),
            Command::Rollback(args) => cmd::rollback::run(app, args),
            Command::History(args) => cmd::history::run(app, args),
            Command::HealthCheck(args) => cmd::health_check::run(app, args),
            Command::Doctor(args) => cmd::doctor::run(app, args),
            Command::Status(args) => cmd::status::run(app, args),
            Command::Logs(args) => cmd::logs::run(app, args),
            Command::Down(args) => cmd::down::run(app, args),
            Command::TestUnit(args) => cmd::test_unit::run(app, args),
            Command::TestIntegration(args) => cmd::test_integration::run(app, args),
            Command::Test(args) => cmd::test::run(app, args),
            Command::Explain(args) => cmd::explain::run(app, args),
            Command::Completions(args) => cmd::completions::run(app, args, Cli::command()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
