//! The list for each requirement: what the rules say, else what it is for by
//! its nature, else where the agents that import it run, else core.

use std::collections::BTreeSet;

use diagnostics::finding::{Finding, Place, Severity};

use super::imports::Uses;
use crate::{
    known,
    list::List,
    split::report::{Asked, Import, Placed, Report, placed, sentence},
};

/// Places everything; what belongs in no image is left out.
pub fn place(all: Vec<Asked>, uses: &Uses<'_>, report: &mut Report) -> Vec<Placed> {
    let mut requirements = Vec::new();
    for asked in all {
        let name = asked.requirement.name.as_str();
        let importers = uses.of(name);
        if let Some((lists, reason)) = asked.decided.clone() {
            if lists.is_empty() {
                report.leave_out(&asked, reason);
            } else {
                requirements.push(placed(&asked, without_doubles(lists), reason));
            }
            continue;
        }
        let needed = importers
            .iter()
            .any(|import| import.hard && import.agent.is_some());
        if known::is_development(name) && !needed {
            let message = format!("`{name}` is a tool for development and is in no image");
            report.find(Finding::new(
                "development",
                Severity::Remark,
                &asked.at,
                message,
            ));
            report.leave_out(&asked, "a tool for development");
            continue;
        }
        let (lists, reason) = by_nature(name)
            .or_else(|| by_importers(importers))
            .unwrap_or_else(|| (vec![List::Core], "imported by no agent".to_owned()));
        requirements.push(placed(&asked, lists, reason));
    }
    requirements
}

/// The two other lists stand on core.
fn without_doubles(mut lists: Vec<List>) -> Vec<List> {
    lists.sort();
    lists.dedup();
    if lists.contains(&List::Core) {
        lists = vec![List::Core];
    }
    lists
}

fn by_nature(name: &str) -> Option<(Vec<List>, String)> {
    let list = known::family(name)?;
    let reason = match list {
        List::Core => "for every agent: messaging, web services, configuration",
        List::Gpu => "machine learning",
        List::Audio => "sound and speech",
    };
    Some((vec![list], reason.to_owned()))
}

fn by_importers(importers: &[&Import]) -> Option<(Vec<List>, String)> {
    let importers: Vec<&Import> = importers
        .iter()
        .copied()
        .filter(|import| import.agent.is_some() && !import.lists.is_empty())
        .collect();
    if importers.is_empty() {
        return None;
    }
    let mut lists: BTreeSet<List> = BTreeSet::new();
    let (one, several): (Vec<&Import>, Vec<&Import>) =
        importers.iter().partition(|import| import.lists.len() == 1);
    lists.extend(one.iter().flat_map(|import| import.lists.iter().copied()));
    for import in several {
        // An image that extends several lists is served by any of them.
        let smallest = import.lists.iter().min().copied();
        if !import.lists.iter().any(|list| lists.contains(list)) {
            lists.extend(smallest);
        }
    }
    let agents: BTreeSet<&str> = importers
        .iter()
        .filter_map(|i| i.agent.as_deref())
        .collect();
    let agents: Vec<&str> = agents.into_iter().collect();
    let reason = format!("imported by {}", sentence(&agents));
    Some((without_doubles(lists.into_iter().collect()), reason))
}

/// Reports distributions that overwrite each other's files.
pub fn check_same_module(requirements: &[Placed], report: &mut Report) {
    for group in known::same_module() {
        let together: Vec<&Placed> = requirements
            .iter()
            .filter(|placed| group.contains(&placed.name.as_str()))
            .collect();
        for (index, placed) in together.iter().enumerate().skip(1) {
            let other = together[..index]
                .iter()
                .find(|other| overlap(placed, other));
            let Some(other) = other else { continue };
            let preferred = group
                .iter()
                .find(|name| **name == placed.name || **name == other.name);
            let Some(keep) = preferred else { continue };
            let drop = if *keep == placed.name {
                &other.name
            } else {
                &placed.name
            };
            let message = format!(
                "`{}` writes the same files as `{}` at {}:{}; which one works is a matter of chance",
                placed.name, other.name, other.file, other.line
            );
            let at = Place::line(&placed.file, placed.line);
            report.find(Finding::new("same-module", Severity::Warning, &at, message).hint(format!(
                "keep `{keep}` and remove `{drop}`, or add `[place.{drop}]` with `lists = []` to the rules"
            )));
        }
    }
}

fn overlap(one: &Placed, other: &Placed) -> bool {
    let core = |placed: &Placed| placed.images.contains(&List::Core);
    core(one) || core(other) || one.images.iter().any(|list| other.images.contains(list))
}
