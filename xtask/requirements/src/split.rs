//! Which requirement goes into which list, and why.
//!
//! files -> `sift` (traps are left out) -> `merge` (one requirement for each
//! name) -> `place` (rules, nature, importers) -> `imports` (what the code wants
//! and nobody asks for) -> `text` (the lists).
//!
//! Invariant: pure, and stable: the same request gives the same bytes, whatever
//! order the scan reports imports in.

mod imports;
mod merge;
mod place;
mod sift;
mod text;
pub mod wheels;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    distributions::Resolver,
    file::Files,
    marker::Environment,
    requirement::{Requirement, Wanted},
    rules::{Limit, Rules},
};

pub use super::list::List;
pub use diagnostics::finding::{Finding, Place, Severity};

/// Everything a split depends on.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub files: &'a Files,
    pub rules: &'a Rules,
    /// `None`: the code was not looked at, and nothing is said about imports.
    pub usage: Option<&'a Usage>,
    /// `importlib.metadata.packages_distributions()` of the built images.
    pub installed: &'a BTreeMap<String, Vec<String>>,
    /// Names in the locks of all lists, normalised.
    pub locked: &'a BTreeSet<String>,
    /// Names that the index has no fitting version of, normalised, and why.
    pub refused: &'a BTreeMap<String, String>,
    /// Names that are published as source only, normalised.
    pub source_only: &'a BTreeSet<String>,
    pub environment: &'a Environment,
}

/// What the code imports.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    pub imports: Vec<Import>,
}

/// One import of third-party code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// As in the code, dotted: `google.protobuf`.
    pub module: String,
    /// Whose closure it is in; `None` for code that belongs to no agent.
    pub agent: Option<String>,
    pub file: String,
    /// From 1.
    pub line: usize,
    /// At module level and unguarded: without it the agent does not start.
    pub hard: bool,
    /// The lists that the agent's image is made of, besides core; `[Core]` for
    /// an image of core alone.
    pub lists: Vec<List>,
}

/// What became of a requirement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Placed {
    /// Normalised.
    pub name: String,
    /// As it is written, `pyzmq==27.0.0`.
    pub spec: String,
    /// Empty: in none.
    pub images: Vec<List>,
    pub reason: String,
    pub file: String,
    /// From 1.
    pub line: usize,
}

/// The lists, and everything there is to say about them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Split {
    /// In the order of the files; what was left out last.
    pub requirements: Vec<Placed>,
    /// The text of each list's file.
    #[serde(skip)]
    pub lists: BTreeMap<List, String>,
    /// In the order of files and lines.
    pub findings: Vec<Finding>,
}

/// A requirement on its way into the lists.
#[derive(Debug, Clone)]
struct Asked {
    requirement: Requirement,
    at: Place,
    /// From the rules: where to, and why.
    decided: Option<(Vec<List>, String)>,
    /// No file asks for it, the rules do.
    added: bool,
}

/// What the steps report to.
#[derive(Debug, Default)]
struct Report {
    left_out: Vec<Placed>,
    findings: Vec<Finding>,
}

impl Report {
    fn leave_out(&mut self, asked: &Asked, reason: impl Into<String>) {
        self.left_out.push(placed(asked, Vec::new(), reason.into()));
    }

    fn find(&mut self, finding: Finding) {
        self.findings.push(finding);
    }
}

/// Decides about every requirement. Never fails: what is wrong is a finding.
pub fn split(request: &Request<'_>) -> Split {
    let mut report = Report {
        findings: request.files.findings.clone(),
        ..Report::default()
    };
    let sifted = sift::sift(request, &mut report);
    let asked = merge::merge(sifted, &mut report);
    let limits = limits(request.files, request.rules, request.environment);
    merge::check_limits(&asked, &limits, &mut report);
    let mut listed: BTreeSet<String> = asked.iter().map(|a| a.requirement.name.clone()).collect();
    listed.extend(report.left_out.iter().map(|placed| placed.name.clone()));
    let resolver = Resolver::new(request.rules, request.installed, listed, request.locked);
    let nothing = Usage::default();
    let usage = request.usage.unwrap_or(&nothing);
    let uses = imports::uses(usage, &resolver, &asked);
    let mut requirements = place::place(asked, &uses, &mut report);
    if request.usage.is_some() {
        imports::check(request, &uses, &requirements, &mut report);
    }
    place::check_same_module(&requirements, &mut report);
    let lists = List::ALL.map(|list| (list, text::text(list, &requirements)));
    requirements.extend(report.left_out);
    let mut findings = report.findings;
    findings.sort_by(|a, b| {
        let key = |f: &Finding| (f.file.clone(), f.line, f.column);
        key(a)
            .cmp(&key(b))
            .then_with(|| (a.id, &a.message).cmp(&(b.id, &b.message)))
    });
    findings.dedup();
    Split {
        requirements,
        lists: lists.into(),
        findings,
    }
}

/// All limits on versions: the rules', then those of `-c` files that are for
/// these images. What a `-c` file says about URLs is no limit.
pub fn limits(files: &Files, rules: &Rules, environment: &Environment) -> Vec<Limit> {
    let constraints = files.constraints.iter().filter_map(|entry| {
        let marker = &entry.requirement.marker;
        if marker
            .as_ref()
            .is_some_and(|marker| !marker.holds(environment))
        {
            return None;
        }
        let Wanted::Versions(versions) = &entry.requirement.wanted else {
            return None;
        };
        Some(Limit {
            name: entry.requirement.name.clone(),
            versions: (!versions.is_empty()).then(|| versions.clone())?,
            reason: "a constraints file".to_owned(),
            at: entry.at.clone(),
        })
    });
    rules.limits.iter().cloned().chain(constraints).collect()
}

fn placed(asked: &Asked, images: Vec<List>, reason: String) -> Placed {
    Placed {
        name: asked.requirement.name.clone(),
        spec: asked.requirement.spec(),
        images,
        reason,
        file: asked.at.file.to_string(),
        line: asked.at.line,
    }
}

/// `A`, `A and B`, `A, B and C`, `A, B, C and 4 more`
fn sentence(names: &[&str]) -> String {
    const NAMES_MAX: usize = 4;
    if names.len() > NAMES_MAX {
        let shown = names[..NAMES_MAX - 1].join(", ");
        return format!("{shown} and {} more", names.len() - NAMES_MAX + 1);
    }
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
#[path = "tests/split.rs"]
mod tests;
