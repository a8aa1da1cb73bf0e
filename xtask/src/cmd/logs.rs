//! `logs`: the agents' logs, each line with its agent's name, merged in time
//! order; or followed live.

use std::sync::Mutex;

use super::{App, podman_failure, select};
use crate::{
    podman::{
        Engine, PodmanError, observe,
        run::{Call, How},
    },
    ui::Paint,
};
use diagnostics::{Exit, Failure, excerpt::printable};
use model::system::Agent;

/// Nobody looks on for longer than a day.
const FOLLOW_DEADLINE_MS: u64 = 24 * 60 * 60 * 1000;

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

/// One line: time as podman printed it, agent, text.
struct Line {
    time: String,
    agent: String,
    text: String,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let system = app.system()?;
    let chosen = select(&system, &args.names, true)?;
    let engine = app.engine(&system)?;
    let containers = observe::containers(&engine.podman).map_err(podman_failure)?;
    let agents: Vec<&Agent> = system
        .agents
        .iter()
        .filter(|agent| chosen.contains(&agent.name) || args.names.is_empty())
        .filter(|agent| {
            containers
                .get(&agent.container)
                .is_some_and(|found| found.belongs_to(&system.name))
        })
        .collect();
    if agents.is_empty() {
        return Err(
            Failure::new(Exit::Unhealthy, "none of these agents has a container")
                .hint("`cargo xtask deploy` creates them"),
        );
    }
    let width = agents
        .iter()
        .map(|agent| agent.name.len())
        .max()
        .unwrap_or(0);
    if args.follow {
        return follow(app, &engine, &agents, args, width);
    }
    let mut lines = Vec::new();
    for agent in &agents {
        let output = engine
            .podman
            .run(&call(agent, args))
            .map_err(podman_failure)?;
        let both = output.stdout.lines().chain(output.stderr.lines());
        lines.extend(both.filter_map(|line| parse(agent, line)));
    }
    lines.sort_by(|a, b| a.time.cmp(&b.time));
    for line in lines.iter().filter(|line| wanted(line, args)) {
        show(app, line, width);
    }
    Ok(())
}

fn follow(
    app: &App,
    engine: &Engine,
    agents: &[&Agent],
    args: &Args,
    width: usize,
) -> Result<(), Failure> {
    let errors: Mutex<Vec<PodmanError>> = Mutex::default();
    std::thread::scope(|scope| {
        for agent in agents {
            let errors = &errors;
            scope.spawn(move || {
                let say = |text: &str| {
                    if let Some(line) = parse(agent, text).filter(|line| wanted(line, args)) {
                        show(app, &line, width);
                    }
                };
                let mut call = call(agent, args);
                call.args.insert(1, "--follow".to_owned());
                let call = Call::long(call.purpose, call.args).deadline_ms(FOLLOW_DEADLINE_MS);
                if let Err(error) = engine.podman.run_with(&call, Some(&say)) {
                    errors
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .push(error);
                }
            });
        }
    });
    let errors = errors
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    // Ctrl-C is how following ends.
    let real = errors.into_iter().find(|error| {
        !matches!(
            error,
            PodmanError::Interrupted
                | PodmanError::Failed {
                    how: How::TimedOut { .. },
                    ..
                }
        )
    });
    real.map_or(Ok(()), |error| Err(podman_failure(error)))
}

fn call(agent: &Agent, args: &Args) -> Call {
    let tail = args.tail.to_string();
    let mut words = vec!["logs", "--timestamps", "--tail", &tail];
    if let Some(since) = &args.since {
        words.extend(["--since", since]);
    }
    words.push(&agent.container);
    Call::look(&format!("read the log of {}", agent.name), &words)
}

fn parse(agent: &Agent, line: &str) -> Option<Line> {
    let (time, text) = line.split_once(' ')?;
    let dated = time.len() > 18 && time.as_bytes()[4] == b'-' && time.contains('T');
    dated.then(|| Line {
        time: time.to_owned(),
        agent: agent.name.clone(),
        text: printable(text),
    })
}

fn wanted(line: &Line, args: &Args) -> bool {
    args.grep
        .as_ref()
        .is_none_or(|text| line.text.to_lowercase().contains(&text.to_lowercase()))
}

fn show(app: &App, line: &Line, width: usize) {
    #[derive(serde::Serialize)]
    struct Row<'a> {
        time: &'a str,
        agent: &'a str,
        text: &'a str,
    }
    if app.ui.json_wanted() {
        // One object a line: logs have no end that an array could close at.
        let row = Row {
            time: &line.time,
            agent: &line.agent,
            text: &line.text,
        };
        app.ui
            .out(serde_json::to_string(&row).expect("strings serialise"));
        return;
    }
    let name = app
        .ui
        .paint(Paint::Bold, &format!("{:<width$}", line.agent));
    app.ui.out(format!("{name}  {}", line.text));
}
