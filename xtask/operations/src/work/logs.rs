//! The agents' logs: merged in time order, or followed live.

use std::sync::Mutex;

use diagnostics::{Exit, Failure, excerpt::printable};
use model::system::{Agent, System};
use serde::Serialize;

use super::{choose::select, failures::podman_failure};
use crate::podman::{
    Engine, PodmanError, observe,
    run::{Call, How},
};

/// Nobody looks on for longer than a day.
const FOLLOW_DEADLINE_MS: u64 = 24 * 60 * 60 * 1000;

/// Which lines of which logs.
#[derive(Debug, Clone, Default)]
pub struct LogRequest {
    /// Agents and groups; all without any.
    pub names: Vec<String>,
    /// Go on with what comes.
    pub follow: bool,
    /// Last lines of each agent.
    pub tail: u32,
    /// Not older than this, as podman takes it.
    pub since: Option<String>,
    /// Only lines that hold this text, in any case.
    pub grep: Option<String>,
}

/// One line of an agent's log.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogLine {
    /// RFC 3339, as podman printed it.
    pub time: String,
    /// As in the manifest.
    pub agent: String,
    /// The line, safe to print.
    pub text: String,
}

/// The agents whose logs are asked for: those with a container.
pub fn sources<'s>(
    system: &'s System,
    engine: &Engine,
    asked: &LogRequest,
) -> Result<Vec<&'s Agent>, Failure> {
    let chosen = select(system, &asked.names, true)?;
    let containers = observe::containers(&engine.podman).map_err(podman_failure)?;
    let agents: Vec<&Agent> = system
        .agents
        .iter()
        .filter(|agent| chosen.contains(&agent.name) || asked.names.is_empty())
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
    Ok(agents)
}

/// Tells the lines of these agents' logs, in the order of time.
pub fn read(
    engine: &Engine,
    agents: &[&Agent],
    asked: &LogRequest,
    tell: &(dyn Fn(&LogLine) + Sync),
) -> Result<(), Failure> {
    if asked.follow {
        return follow(engine, agents, asked, tell);
    }
    let mut lines = Vec::new();
    for agent in agents {
        let call = call(agent, asked);
        let output = engine.podman.run(&call).map_err(podman_failure)?;
        let both = output.stdout.lines().chain(output.stderr.lines());
        lines.extend(both.filter_map(|line| parse(agent, line)));
    }
    lines.sort_by(|a, b| a.time.cmp(&b.time));
    lines
        .iter()
        .filter(|line| wanted(line, asked))
        .for_each(tell);
    Ok(())
}

/// Every agent's log as it comes, until Ctrl-C.
fn follow(
    engine: &Engine,
    agents: &[&Agent],
    asked: &LogRequest,
    tell: &(dyn Fn(&LogLine) + Sync),
) -> Result<(), Failure> {
    let errors: Mutex<Vec<PodmanError>> = Mutex::default();
    std::thread::scope(|scope| {
        for agent in agents {
            let errors = &errors;
            scope.spawn(move || {
                let say = |text: &str| {
                    if let Some(line) = parse(agent, text).filter(|line| wanted(line, asked)) {
                        tell(&line);
                    }
                };
                let mut call = call(agent, asked);
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

fn call(agent: &Agent, asked: &LogRequest) -> Call {
    let tail = asked.tail.to_string();
    let mut words = vec!["logs", "--timestamps", "--tail", &tail];
    if let Some(since) = &asked.since {
        words.extend(["--since", since]);
    }
    words.push(&agent.container);
    Call::look(&format!("read the log of {}", agent.name), &words)
}

fn parse(agent: &Agent, line: &str) -> Option<LogLine> {
    let (time, text) = line.split_once(' ')?;
    let dated = time.len() > 18 && time.as_bytes()[4] == b'-' && time.contains('T');
    dated.then(|| LogLine {
        time: time.to_owned(),
        agent: agent.name.clone(),
        text: printable(text),
    })
}

fn wanted(line: &LogLine, asked: &LogRequest) -> bool {
    asked
        .grep
        .as_ref()
        .is_none_or(|text| line.text.to_lowercase().contains(&text.to_lowercase()))
}
