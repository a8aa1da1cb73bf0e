//! `logs`: the agents' logs, each line with its agent's name, merged in time
//! order; or followed live.

use diagnostics::Failure;
use operations::work::{
    App,
    logs::{self, LogRequest},
};

use crate::show;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Agents and groups [default: every agent]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,
    /// Last lines of each agent
    #[arg(short = 'n', long, default_value_t = 50, value_name = "N")]
    tail: u32,
    /// Only lines that are not older than this, as podman takes it (`10m`, RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only lines that hold this text, in any case
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let system = app.system()?;
    let request = LogRequest {
        names: args.names.clone(),
        follow: args.follow,
        tail: args.tail,
        since: args.since.clone(),
        grep: args.grep.clone(),
    };
    let engine = app.engine(&system)?;
    let agents = logs::sources(&system, &engine, &request)?;
    let widths = agents.iter().map(|agent| agent.name.len());
    let width = widths.max().unwrap_or(0);
    logs::read(&engine, &agents, &request, &|line| {
        show::logs::show(&app.ui, line, width);
    })
}
