//! The command line: global options and the list of commands. What a command
//! takes stands in its own file under `cmd/`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::{
    cmd,
    ui::{Color, Format},
};

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

/// `10s`, `500ms`, `2m` or a plain number of seconds, in milliseconds.
pub fn duration_ms(text: &str) -> Result<u64, String> {
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "ms" => 1.0,
        "" | "s" => 1e3,
        "m" => 60e3,
        "h" => 3600e3,
        _ => return Err(format!("unknown unit `{unit}`; use ms, s, m or h")),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| "expected a number such as 10s".to_owned())?;
    let ms = number * factor;
    if ms > 7.0 * 24.0 * 3600e3 {
        return Err("longer than a week".to_owned());
    }
    Ok(ms as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn durations() {
        assert_eq!(duration_ms("10s"), Ok(10_000));
        assert_eq!(duration_ms("1.5"), Ok(1_500));
        assert_eq!(duration_ms("250ms"), Ok(250));
        assert_eq!(duration_ms("2m"), Ok(120_000));
        for wrong in ["", "s", "-1s", "10 parsecs", "1..2s", "999999h"] {
            assert!(duration_ms(wrong).is_err(), "{wrong}");
        }
    }
}
