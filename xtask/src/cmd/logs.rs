//! `logs`: the agents' logs, each line with its agent's name, merged in time
//! order; followed live; or those of containers that are gone.

use diagnostics::Failure;
use operations::{
    results::LogLine,
    ui::Ui,
    work::{
        App,
        logs::{self, Listener, LogRequest, Past, parse_since},
    },
};

use crate::show::{self, logs::Look};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Agents and groups [default: every agent]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Go on with what comes, whatever becomes of the containers, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Last lines of each agent [default: 50; all with --since, --grep and logs of the past]
    #[arg(short = 'n', long, value_name = "N")]
    tail: Option<usize>,
    /// Only lines that are not older: `10m`, `2h30m`, `yesterday`, `14:30`, `2026-11-30 14:30`, RFC 3339
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    since: Option<i64>,
    /// Only lines that hold this text, in any case
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
    /// Put the time before each line
    #[arg(short, long)]
    timestamps: bool,
    /// The container before: one that waits for its successor, or the last one that failed
    #[arg(long, conflicts_with_all = ["follow", "run", "failed"])]
    previous: bool,
    /// Logs that the run with this number has kept, of agents that failed in it
    #[arg(long, value_name = "N", conflicts_with_all = ["follow", "failed"])]
    run: Option<u32>,
    /// Logs that the last run has kept in which an agent failed
    #[arg(long, conflicts_with = "follow")]
    failed: bool,
}

impl Args {
    fn past(&self) -> Past {
        match (self.run, self.failed, self.previous) {
            (Some(number), _, _) => Past::Run(number),
            (None, true, _) => Past::Failed,
            (None, false, true) => Past::Previous,
            (None, false, false) => Past::No,
        }
    }
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let system = app.system()?;
    let request = LogRequest {
        names: args.names.clone(),
        follow: args.follow,
        tail: args.tail,
        since: args.since,
        grep: args.grep.clone(),
        past: args.past(),
    };
    let mut printer = Printer {
        ui: &app.ui,
        width: 0,
        timestamps: args.timestamps,
    };
    let searched = logs::read(&system, || app.engine(&system), &request, &mut printer)?;
    if args.grep.is_some() && !args.follow {
        show::logs::searched(&app.ui, &searched);
    }
    Ok(())
}

/// Prints lines as they come.
#[derive(Debug)]
struct Printer<'a> {
    ui: &'a Ui,
    width: usize,
    timestamps: bool,
}

impl Listener for Printer<'_> {
    fn begin(&mut self, agents: &[&str]) {
        let lengths = agents.iter().map(|agent| agent.len());
        self.width = lengths.max().unwrap_or(0);
    }

    fn tell(&mut self, position: usize, line: &LogLine) {
        let look = Look {
            width: self.width,
            position,
            timestamps: self.timestamps,
        };
        show::logs::show(self.ui, line, look);
    }

    fn listens(&self) -> bool {
        !self.ui.reader_gone()
    }
}
