//! Where the manifest and the code disagree.
//!
//! One cause is one finding, with the agents that it stops, however many.

use std::collections::{BTreeMap, BTreeSet};

use diagnostics::finding::{Finding, Place, Severity};
use model::system::System;
use python::{facts::FileFacts, modules::Sources, stdlib};

use super::{
    agents::{AgentScan, Category},
    images::Provided,
};

/// No message names more agents than this; the JSON result has all.
const NAMES_MAX: usize = 5;

/// Everything that keeps agents from starting, then what may surprise.
pub fn check(
    system: &System,
    agents: &[&AgentScan],
    sources: &Sources,
    provided: &Provided,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    broken_files(agents, &mut findings);
    unresolved(agents, &mut findings);
    packages(system, agents, provided, &mut findings);
    names(agents, &mut findings);
    localhost(system, agents, sources, &mut findings);
    findings.sort_by(|a, b| {
        let key = |finding: &Finding| (finding.file.clone(), finding.line, finding.id);
        b.severity.cmp(&a.severity).then(key(a).cmp(&key(b)))
    });
    findings
}

/// The findings that keep agents from starting.
pub fn stopping(findings: &[Finding]) -> impl Iterator<Item = &Finding> {
    findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
}

fn broken_files(agents: &[&AgentScan], findings: &mut Vec<Finding>) {
    type Stopped<'a> = (&'a super::agents::Unparsable, Vec<&'a str>, Vec<&'a str>);
    let mut files: BTreeMap<&str, Stopped<'_>> = BTreeMap::new();
    for agent in agents {
        for file in &agent.unparsable {
            let entry = files
                .entry(&file.file)
                .or_insert_with(|| (file, Vec::new(), Vec::new()));
            let list = if file.hard {
                &mut entry.1
            } else {
                &mut entry.2
            };
            list.push(&agent.name);
        }
    }
    for (file, hard, soft) in files.into_values() {
        let at = Place {
            file: file.file.as_str().into(),
            line: file.line as usize,
            column: file.column as usize,
        };
        let message = &file.message;
        let finding = if hard.is_empty() {
            let text = format!(
                "does not parse: {message}; imported softly by {}",
                some(&soft)
            );
            Finding::new("does-not-parse", Severity::Warning, &at, text)
        } else {
            let text = format!("does not parse: {message}; {} cannot start", some(&hard));
            Finding::new("does-not-parse", Severity::Error, &at, text)
        };
        findings.push(finding.hint("correct the file; python3 -m py_compile shows the place"));
    }
}

fn unresolved(agents: &[&AgentScan], findings: &mut Vec<Finding>) {
    type Key<'a> = (&'a str, &'a str, u32);
    type Users<'a> = (Vec<&'a str>, bool, &'a [String]);
    let mut names: BTreeMap<Key<'_>, Users<'_>> = BTreeMap::new();
    for agent in agents {
        for lost in &agent.unresolved {
            let entry = names
                .entry((&lost.name, &lost.file, lost.line))
                .or_insert_with(|| (Vec::new(), false, &lost.nearest));
            entry.0.push(&agent.name);
            entry.1 |= lost.hard;
        }
    }
    for ((name, file, line), (users, hard, nearest)) in names {
        let what = if stdlib::was_standard(name) {
            "is no longer in the standard library of the image's Python"
        } else if name.starts_with('.') {
            "leads nowhere: a script that is run directly has no package around it"
        } else {
            "is not a module of the monorepo, of the standard library or of a known package"
        };
        let outcome = if hard {
            "cannot start"
        } else {
            "may fail later"
        };
        let message = format!("import of `{name}` {what}; {} {outcome}", some(&users));
        let severity = if hard {
            Severity::Error
        } else {
            Severity::Warning
        };
        let near: Vec<String> = nearest.iter().map(|name| format!("`{name}`")).collect();
        let hint = if near.is_empty() {
            "correct or restore it; if a package provides it, name that under [imports] in \
             requirements/rules.toml"
                .to_owned()
        } else {
            format!("did you mean {}?", near.join(" or "))
        };
        let at = Place::line(file, line as usize);
        findings.push(Finding::new("unresolved-import", severity, &at, message).hint(hint));
    }
}

fn packages(
    system: &System,
    agents: &[&AgentScan],
    provided: &Provided,
    findings: &mut Vec<Finding>,
) {
    let mut nowhere: BTreeMap<&str, (Place, Vec<&str>, bool)> = BTreeMap::new();
    for agent in agents {
        for package in agent.packages.iter().filter(|package| !package.in_image) {
            let name = package.distribution.as_str();
            if !provided.anywhere(name) {
                let place = || Place::line(&package.file, package.line as usize);
                let entry = nowhere
                    .entry(name)
                    .or_insert_with(|| (place(), Vec::new(), false));
                if package.hard && !entry.2 {
                    entry.0 = place();
                }
                entry.1.push(&agent.name);
                entry.2 |= package.hard;
            }
        }
        wrong_image(system, agent, provided, findings);
    }
    for (name, (at, users, hard)) in nowhere {
        if hard {
            let message = format!("no image provides `{name}`; {} cannot start", some(&users));
            let hint = format!(
                "add `{name}` to your requirements file and run `cargo xtask split-requirements`"
            );
            findings
                .push(Finding::new("no-image-provides", Severity::Error, &at, message).hint(hint));
        } else {
            let message = format!(
                "no image provides `{name}`, which {} can do without",
                some(&users)
            );
            findings.push(Finding::new(
                "missing-soft-import",
                Severity::Remark,
                &at,
                message,
            ));
        }
    }
}

fn wrong_image(
    system: &System,
    agent: &AgentScan,
    provided: &Provided,
    findings: &mut Vec<Finding>,
) {
    let image = &agent.manifest_image;
    let elsewhere: Vec<&super::agents::Package> = agent
        .packages
        .iter()
        .filter(|package| package.hard && !package.in_image)
        .filter(|package| provided.anywhere(&package.distribution))
        .collect();
    let group = system
        .agent(&agent.name)
        .map_or("", |found| found.group.as_str());
    if let Some(first) = elsewhere.first() {
        let names: BTreeSet<&str> = elsewhere
            .iter()
            .map(|package| package.distribution.as_str())
            .collect();
        let names: Vec<&str> = names.into_iter().collect();
        let category = match agent.category {
            Category::None => "no machine learning",
            Category::Light => "light",
            Category::Heavy => "heavy",
        };
        let message = format!(
            "{} ({category}) imports {} at start, and its image `{image}` (group {group}) has not",
            agent.name,
            quoted(&names),
        );
        let hint = match &agent.image {
            Some(fits) => format!("move it to a group or `image` that stands on `{fits}`"),
            None => "no image has all that it imports: describe one that installs several lists, \
                     `requirements = [\"gpu\", \"audio\"]`"
                .to_owned(),
        };
        let at = Place::line(&first.file, first.line as usize);
        findings.push(Finding::new("wrong-image", Severity::Error, &at, message).hint(hint));
    } else if let Some(fits) = agent.image.as_ref().filter(|fits| *fits != image) {
        let message = format!(
            "{} would run in `{fits}`; its image stands on `{image}`",
            agent.name
        );
        let at = Place::line(&agent.script, 1);
        findings.push(Finding::new(
            "heavier-image",
            Severity::Remark,
            &at,
            message,
        ));
    }
}

fn names(agents: &[&AgentScan], findings: &mut Vec<Finding>) {
    let mut seen = BTreeSet::new();
    for agent in agents {
        for (name, at) in &agent.closure.not_on_linux {
            if !seen.insert(("windows", name.clone())) {
                continue;
            }
            let severity = if at.hard {
                Severity::Error
            } else {
                Severity::Remark
            };
            let message = format!(
                "`{name}` does not exist on Linux; {} imports it",
                agent.name
            );
            let at = Place::line(&at.file, at.line as usize);
            findings.push(
                Finding::new("windows-only-import", severity, &at, message)
                    .hint("guard it with a test of `sys.platform`"),
            );
        }
        for (name, at) in &agent.closure.shadows {
            if !seen.insert(("shadow", name.clone())) {
                continue;
            }
            let message = format!("the monorepo's `{name}` hides the standard library's");
            let at = Place::line(&at.file, at.line as usize);
            findings.push(
                Finding::new("shadows-standard-library", Severity::Warning, &at, message)
                    .hint("rename it, or remove its folder from `search_roots`"),
            );
        }
        for (name, places) in &agent.closure.ambiguous {
            if !seen.insert(("ambiguous", name.clone())) {
                continue;
            }
            let message = format!(
                "`{name}` stands in {}; the first is used",
                some(&places.iter().map(String::as_str).collect::<Vec<_>>(),)
            );
            let at = Place::line(&places[0], 1);
            findings.push(Finding::new(
                "ambiguous-module",
                Severity::Remark,
                &at,
                message,
            ));
        }
    }
}

/// Peers at localhost are out of reach when each agent has its own address.
fn localhost(
    system: &System,
    agents: &[&AgentScan],
    sources: &Sources,
    findings: &mut Vec<Finding>,
) {
    let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for agent in agents {
        let bridge = system
            .agent(&agent.name)
            .is_some_and(|found| system.group(&found.group).net.is_bridge());
        if !bridge {
            continue;
        }
        for file in agent.closure.files.keys() {
            files.entry(file).or_default().push(&agent.name);
        }
    }
    for (file, users) in files {
        let Some(facts) = sources.facts(file) else {
            continue;
        };
        let FileFacts { peers, .. } = facts.as_ref();
        let local: Vec<_> = peers.iter().filter(|peer| peer.localhost).collect();
        let Some(first) = local.first() else {
            continue;
        };
        let more = match local.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let message = format!(
            "peers are expected at localhost ({}{more}), where {} finds none: each agent has its own address",
            first.address,
            some(&users),
        );
        let at = Place::line(file, first.line as usize);
        findings.push(
            Finding::new("localhost-peer", Severity::Warning, &at, message)
                .hint("read the peer's <NAME>_ADDRESS variable, or set network_mode = \"host\""),
        );
    }
}

fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// A few names and how many more there are.
fn some(names: &[&str]) -> String {
    let shown = names.iter().take(NAMES_MAX).copied().collect::<Vec<_>>();
    match names.len().saturating_sub(NAMES_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
