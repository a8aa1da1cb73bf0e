//! Back to what was deployed before: specifications from the journal, images by
//! their content, through the same plan, gates and second look as any deployment.

use std::collections::BTreeSet;

use diagnostics::{Exit, Failure};
use model::plan::deployed::{DeployedSet, system_of};

use super::{choose::select, deploy::How, journal::Journal, project::Project};

/// What to go back to.
#[derive(Debug)]
pub struct Target {
    pub number: u32,
    /// Agents that go back.
    pub chosen: BTreeSet<String>,
    /// Agents of that deployment that the manifest no longer has.
    pub forgotten: Vec<String>,
}

/// The deployment `number`, or the one before the last; without names all of its
/// agents. The project's system is changed to what it was then.
///
/// # Errors
/// If there is no such deployment, or it has none of the named agents.
pub fn choose(
    project: &mut Project,
    number: Option<u32>,
    names: &[String],
    how: &mut How,
) -> Result<Target, Failure> {
    let journal = Journal::open(&project.system)?;
    let numbers: Vec<u32> = journal.entries.iter().map(|entry| entry.number).collect();
    let found = match number {
        Some(number) => journal.entries.iter().find(|entry| entry.number == number),
        None => journal.entries.iter().rev().nth(1),
    };
    let Some(entry) = found else {
        return Err(unknown(number, &numbers));
    };
    let set = &entry.agents;
    let (known, forgotten): (Vec<&String>, Vec<&String>) = set
        .keys()
        .partition(|name| project.system.agent(name).is_some());
    let mut chosen: BTreeSet<String> = known.into_iter().cloned().collect();
    if !names.is_empty() {
        let named = select(&project.system, names, true)?;
        let absent: Vec<&str> = named.difference(&chosen).map(String::as_str).collect();
        if !absent.is_empty() {
            let message = format!("deployment {} had no {}", entry.number, absent.join(", "));
            let hint = "`cargo xtask history --format json` shows the agents of each";
            return Err(Failure::new(Exit::Usage, message).hint(hint));
        }
        chosen = named;
    }
    how.specs = chosen
        .iter()
        .map(|name| (name.clone(), set[name].spec.clone()))
        .collect();
    // What they import is in their images already.
    how.no_import_check = true;
    how.command = match names {
        [] => format!("rollback to {}", entry.number),
        _ => {
            let names: Vec<&str> = chosen.iter().map(String::as_str).collect();
            format!("rollback to {} of {}", entry.number, names.join(", "))
        }
    };
    let of_chosen: DeployedSet = set
        .iter()
        .filter(|(name, _)| chosen.contains(*name))
        .map(|(name, agent)| (name.clone(), agent.clone()))
        .collect();
    project.system = system_of(&project.system, &of_chosen);
    Ok(Target {
        number: entry.number,
        chosen,
        forgotten: forgotten.into_iter().cloned().collect(),
    })
}

fn unknown(number: Option<u32>, numbers: &[u32]) -> Failure {
    let known = match numbers {
        [] => "the journal knows of none; each `deploy` that changes something is one".to_owned(),
        [one] => format!("the journal knows of {one} alone"),
        [first, .., last] => format!("the journal has {first} to {last}: `cargo xtask history`"),
    };
    let message = match number {
        Some(number) => format!("there is no deployment {number} to go back to"),
        None => "there is no deployment before the last one".to_owned(),
    };
    Failure::new(Exit::Usage, message).hint(known)
}
