//! The agents' logs: merged in time order, followed live, or those of containers
//! that are gone.

mod change;
mod follow;
mod past;
mod since;
pub mod source;
mod tail;

use std::collections::BTreeMap;

use diagnostics::{Exit, Failure, excerpt::printable};
use model::system::{Agent, System};
use serde::Serialize;
pub use since::parse_since;

use self::{
    follow::Followed,
    source::{Source, merge, told},
};
use super::{choose::select, failures::podman_failure};
use crate::podman::{
    Engine,
    clock::nanos,
    log_file::{LogRecord, LogStream},
    seen::{self, Seen},
};

/// Lines of each agent that are shown where nobody looks for something.
const TAIL_DEFAULT: usize = 50;

/// Which lines of which logs.
#[derive(Debug, Clone, Default)]
pub struct LogRequest {
    /// Agents and groups; all without any.
    pub names: Vec<String>,
    /// Go on with what comes.
    pub follow: bool,
    /// Last lines of each agent; `None`: some, or all where something is looked for.
    pub tail: Option<usize>,
    /// Not older than this, in nanoseconds since 1970.
    pub since: Option<i64>,
    /// Only lines that hold this text, in any case.
    pub grep: Option<String>,
    /// Logs that runs have kept, instead of those that there are.
    pub past: Past,
}

/// Whether logs of containers that are gone are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Past {
    #[default]
    No,
    /// Of the container before.
    Previous,
    /// Of the run with this number.
    Run(u32),
    /// Of the last run in which an agent failed.
    Failed,
}

/// One line of an agent's log.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogLine {
    /// RFC 3339.
    pub time: String,
    /// As in the manifest.
    pub agent: String,
    /// Where it was written to.
    pub stream: LogStream,
    /// The line, safe to print.
    pub text: String,
}

/// What was looked through.
#[derive(Debug, Default)]
pub struct Searched {
    pub lines: u64,
    pub matches: u64,
    pub agents: usize,
}

/// Who is told.
pub trait Listener {
    /// Whose logs are read, before the first line.
    fn begin(&mut self, agents: &[&str]);
    /// A line, and the position of its agent among those of the system.
    fn tell(&mut self, position: usize, line: &LogLine);
    /// `false`: nobody is there any more.
    fn listens(&self) -> bool;
}

/// Tells the lines of logs, in the order of time.
///
/// # Errors
/// There are no such logs, or podman fails.
pub fn read(
    system: &System,
    engine: impl FnOnce() -> Result<Engine, Failure>,
    asked: &LogRequest,
    listener: &mut dyn Listener,
) -> Result<Searched, Failure> {
    let tail = tail(asked);
    let number = match asked.past {
        Past::Run(number) => Some(Some(number)),
        Past::Failed => Some(None),
        Past::No | Past::Previous => None,
    };
    let mut telling = Telling::new(system, asked, listener);
    if let Some(number) = number {
        let mut sources = past::of_run(system, number, &asked.names, tail)?;
        telling.all(&mut sources);
        return Ok(telling.searched);
    }
    let mut engine = engine()?;
    // Looking on is no reason for the next run to wait for our podman.
    engine.podman.system.clear();
    let agents = chosen(system, asked)?;
    let found = containers(system, &engine, &agents)?;
    if asked.past == Past::Previous {
        let mut sources = previous(system, &engine, &agents, &found, tail)?;
        telling.all(&mut sources);
        return Ok(telling.searched);
    }
    let there: Vec<&Agent> = agents
        .iter()
        .copied()
        .filter(|agent| found.contains_key(&agent.container))
        .collect();
    if there.is_empty() {
        return Err(
            Failure::new(Exit::Unhealthy, "none of these agents has a container")
                .hint("`cargo xtask deploy` creates them"),
        );
    }
    let agents = if asked.follow { agents } else { there };
    let mut sources = Vec::new();
    for agent in &agents {
        let seen = found.get(&agent.container);
        sources.push(current(&engine, agent, seen, asked, tail)?);
    }
    let listens = telling.all(&mut sources);
    if asked.follow && listens {
        go_on(&engine, &agents, found, sources, &mut telling)?;
    }
    Ok(telling.searched)
}

fn tail(asked: &LogRequest) -> Option<usize> {
    let all = asked.since.is_some() || asked.grep.is_some() || asked.past != Past::No;
    asked.tail.or((!all).then_some(TAIL_DEFAULT))
}

fn chosen<'s>(system: &'s System, asked: &LogRequest) -> Result<Vec<&'s Agent>, Failure> {
    let chosen = select(system, &asked.names, true)?;
    let agents = system.agents.iter();
    // Without names, those that are optional, too.
    let wanted = agents.filter(|agent| asked.names.is_empty() || chosen.contains(&agent.name));
    Ok(wanted.collect())
}

/// The agents' containers and those before them, by name, as far as there are.
fn containers(
    system: &System,
    engine: &Engine,
    agents: &[&Agent],
) -> Result<BTreeMap<String, Seen>, Failure> {
    let before: Vec<String> = agents
        .iter()
        .map(|agent| past::container_before(agent))
        .collect();
    let names = agents.iter().map(|agent| agent.container.as_str());
    let names: Vec<&str> = names.chain(before.iter().map(String::as_str)).collect();
    let mut found = seen::look(&engine.podman, &names).map_err(podman_failure)?;
    found.retain(|_, seen| seen.system.as_ref() == Some(&system.name));
    Ok(found)
}

/// The log of an agent's container, to be gone on with.
fn current(
    engine: &Engine,
    agent: &Agent,
    seen: Option<&Seen>,
    asked: &LogRequest,
    tail: Option<usize>,
) -> Result<Source, Failure> {
    let Some(seen) = seen else {
        return Ok(Source::told(&agent.name, Vec::new(), None));
    };
    let file = seen.log.as_ref().filter(|_| !engine.facts.remote);
    if let Some(path) = file {
        return Ok(Source::file(&agent.name, path, tail, asked.follow));
    }
    let lines = told(&engine.podman, &agent.name, &agent.container, asked.since);
    let lines = lines.map_err(podman_failure)?;
    Ok(Source::told(&agent.name, lines, tail))
}

/// The logs of the containers before, or what was kept last.
fn previous(
    system: &System,
    engine: &Engine,
    agents: &[&Agent],
    found: &BTreeMap<String, Seen>,
    tail: Option<usize>,
) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    for agent in agents {
        let container = past::container_before(agent);
        if let Some(seen) = found.get(&container) {
            let file = seen.log.as_ref().filter(|_| !engine.facts.remote);
            sources.push(match file {
                Some(path) => Source::file(&agent.name, path, tail, false),
                None => {
                    let lines = told(&engine.podman, &agent.name, &container, None);
                    Source::told(&agent.name, lines.map_err(podman_failure)?, tail)
                }
            });
        } else if let Some(path) = past::kept_last(system, &agent.name) {
            sources.push(Source::file(&agent.name, &path, tail, false));
        }
    }
    if sources.is_empty() {
        let message = "no log is kept of the containers before";
        return Err(Failure::new(Exit::Unhealthy, message)
            .hint("runs keep the logs of agents that fail in them; `cargo xtask logs` shows what there is now"));
    }
    Ok(sources)
}

/// Follows the agents from where their sources ended.
fn go_on(
    engine: &Engine,
    agents: &[&Agent],
    mut found: BTreeMap<String, Seen>,
    sources: Vec<Source>,
    telling: &mut Telling<'_>,
) -> Result<(), Failure> {
    let followed: Vec<Followed> = agents
        .iter()
        .zip(sources)
        .map(|(agent, source)| Followed {
            agent: agent.name.clone(),
            container: agent.container.clone(),
            told: found.remove(&agent.container),
            tail: source.into_tail(),
            last: telling.last.get(&agent.name).copied().unwrap_or_default(),
        })
        .collect();
    let local = !engine.facts.remote;
    let names: Vec<&str> = agents.iter().map(|agent| agent.name.as_str()).collect();
    let ended = follow::follow(&engine.podman, local, followed, &mut |news| match news {
        Some(news) => telling.one(names[news.index], news.record),
        None => telling.listener.listens(),
    });
    ended.map_err(podman_failure)
}

/// Tells lines that are asked for, and counts all.
struct Telling<'a> {
    asked: &'a LogRequest,
    grep: Option<String>,
    listener: &'a mut dyn Listener,
    /// Agent to its position in the system.
    positions: BTreeMap<&'a str, usize>,
    searched: Searched,
    /// Agent to the time of its last line, in nanoseconds since 1970.
    last: BTreeMap<String, i64>,
}

impl<'a> Telling<'a> {
    fn new(system: &'a System, asked: &'a LogRequest, listener: &'a mut dyn Listener) -> Self {
        let names = system.agents.iter().map(|agent| agent.name.as_str());
        Telling {
            asked,
            grep: asked.grep.as_ref().map(|text| text.to_lowercase()),
            listener,
            positions: names.enumerate().map(|(at, name)| (name, at)).collect(),
            searched: Searched::default(),
            last: BTreeMap::new(),
        }
    }

    /// `false`: nobody listens any more.
    fn all(&mut self, sources: &mut [Source]) -> bool {
        let names: Vec<&str> = sources.iter().map(|source| source.agent.as_str()).collect();
        self.listener.begin(&names);
        self.searched.agents = sources.len();
        merge(sources, &mut |agent, record| self.one(agent, record))
    }

    fn one(&mut self, agent: &str, record: LogRecord) -> bool {
        let at = nanos(&record.time).unwrap_or_default();
        let event = record.stream == LogStream::Event;
        if !event {
            self.searched.lines += u64::from(self.asked.since.is_none_or(|since| at >= since));
            self.last.insert(agent.to_owned(), at);
        }
        if !event && self.asked.since.is_some_and(|since| at < since) {
            return true;
        }
        let line = LogLine {
            time: record.time,
            agent: agent.to_owned(),
            stream: record.stream,
            text: printable(&record.text),
        };
        let holds = |text: &String| line.text.to_lowercase().contains(text);
        if event || self.grep.as_ref().is_none_or(holds) {
            self.searched.matches += u64::from(!event);
            let position = self.positions.get(agent).copied().unwrap_or_default();
            self.listener.tell(position, &line);
            return self.listener.listens();
        }
        true
    }
}
