//! `health-check`: all agents at once, from the host, over ZeroMQ.

use std::time::{Duration, Instant};

use diagnostics::Failure;
use model::system::Agent;
use operations::{
    results::AgentStatus,
    work::{App, ask, select},
};

use super::duration_ms;
use crate::show;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Agents and groups [default: every agent that is not optional]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Ask again until all are healthy, at most this long
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "60s", value_parser = duration_ms)]
    wait: Option<u64>,
    /// Ask again and again until Ctrl-C
    #[arg(long, conflicts_with = "wait")]
    watch: bool,
    /// Time between two rounds of --watch
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration_ms, requires = "watch")]
    interval: u64,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let system = app.system()?;
    let chosen = select(&system, &args.names, true)?;
    let chosen: Vec<&Agent> = system
        .agents
        .iter()
        .filter(|agent| chosen.contains(&agent.name))
        .collect();
    let engine = app.engine(&system)?;
    if args.watch {
        // A table per change rather than per round: what did not change does not
        // need to be read again.
        let mut last: Vec<AgentStatus> = Vec::new();
        loop {
            let round = ask::ask(app, &engine, &system, &chosen)?;
            let now: Vec<AgentStatus> = round.agents.iter().map(|row| row.status).collect();
            if now != last {
                show::health::show(&app.ui, &round);
            }
            last = now;
            if app.ui.reader_gone() {
                return Ok(());
            }
            ask::pause(app, args.interval)?;
        }
    }
    let deadline = Instant::now() + Duration::from_millis(args.wait.unwrap_or(0));
    let round = loop {
        let round = ask::ask(app, &engine, &system, &chosen)?;
        if round.healthy == round.total || Instant::now() >= deadline {
            break round;
        }
        ask::pause(app, 250)?;
    };
    show::health::show(&app.ui, &round);
    ask::verdict(&round)
}
