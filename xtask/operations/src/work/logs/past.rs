//! Logs of containers that are gone: those that runs have kept, and those of
//! containers that wait for their successors to prove themselves.

use std::path::{Path, PathBuf};

use diagnostics::{Exit, Failure};
use model::{
    plan::agents::previous_name,
    system::{Agent, System},
};

use super::source::Source;
use crate::work::{
    choose::{find_agent, select},
    runs::{folder, runs_of},
};

/// The logs that a run has kept: of the run with this number, or of the last one
/// in which an agent failed.
///
/// # Errors
/// There is no such run, or it has no log of these agents.
pub fn of_run(
    system: &System,
    number: Option<u32>,
    names: &[String],
    tail: Option<usize>,
) -> Result<Vec<Source>, Failure> {
    let runs = kept(system);
    let found = match number {
        Some(number) => runs.iter().find(|(known, _)| *known == number),
        None => runs.iter().rev().find(|(_, path)| !logs(path).is_empty()),
    };
    let Some((number, path)) = found else {
        let first = runs.first().map(|(number, _)| number);
        let last = runs.last().map(|(number, _)| number);
        return Err(match (number, first.zip(last)) {
            (Some(number), Some((first, last))) => {
                Failure::new(Exit::Usage, format!("there is no run {number}"))
                    .hint(format!("runs {first} to {last} are kept"))
            }
            (Some(number), None) => Failure::new(Exit::Usage, format!("there is no run {number}"))
                .hint("no run of this user has changed anything yet"),
            (None, _) => Failure::new(Exit::Usage, "no run is kept in which an agent failed")
                .hint("`cargo xtask logs NAME` shows what runs"),
        });
    };
    let mut logs = logs(path);
    if logs.is_empty() {
        return Err(Failure::new(
            Exit::Usage,
            format!("run {number} has kept no log: no agent failed in it"),
        )
        .hint(format!("its plan is in {}", path.display())));
    }
    if !names.is_empty() {
        let wanted = wanted(system, &logs, names)?;
        let all: Vec<&str> = logs.iter().map(|(agent, _)| agent.as_str()).collect();
        let all = all.join(", ");
        logs.retain(|(agent, _)| wanted.contains(agent));
        if logs.is_empty() {
            let message = format!("run {number} has kept no log of {}", names.join(", "));
            return Err(Failure::new(Exit::Usage, message).hint(format!("it has logs of {all}")));
        }
    }
    let sources = logs.iter();
    Ok(sources
        .map(|(agent, path)| Source::file(agent, path, tail, false))
        .collect())
}

/// The agents that are asked for. One that has left the manifest may still have a
/// log.
fn wanted(
    system: &System,
    logs: &[(String, PathBuf)],
    names: &[String],
) -> Result<Vec<String>, Failure> {
    let mut wanted = Vec::new();
    for name in names {
        if logs.iter().any(|(agent, _)| agent == name) && find_agent(system, name).is_none() {
            wanted.push(name.clone());
        } else {
            wanted.extend(select(system, std::slice::from_ref(name), true)?);
        }
    }
    Ok(wanted)
}

/// Name of the container that this agent's took the place of.
pub fn container_before(agent: &Agent) -> String {
    previous_name(&agent.container)
}

/// The log of this agent that was kept last.
pub fn kept_last(system: &System, agent: &str) -> Option<PathBuf> {
    let runs = kept(system).into_iter().rev();
    let mut files = runs.map(|(_, path)| path.join(format!("{agent}.log")));
    files.find(|file| file.exists())
}

fn kept(system: &System) -> Vec<(u32, PathBuf)> {
    let runs = runs_of(&system.name).and_then(|runs| folder::numbers(&runs));
    runs.unwrap_or_default()
}

/// Agents with their logs, by name.
fn logs(run: &Path) -> Vec<(String, PathBuf)> {
    let files = std::fs::read_dir(run).into_iter().flatten().flatten();
    let mut logs: Vec<(String, PathBuf)> = files
        .filter_map(|file| {
            let name = file.file_name().into_string().ok()?;
            Some((name.strip_suffix(".log")?.to_owned(), file.path()))
        })
        .collect();
    logs.sort();
    logs
}
