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
mod report;
mod sift;
mod text;
pub mod wheels;

use std::collections::BTreeSet;

use diagnostics::finding::Finding;
use report::Report;
pub use report::{Import, ImportUsage, Placed, Split, SplitInput};

use super::{
    distributions::Resolver,
    file::Files,
    list::List,
    marker::Environment,
    requirement::Wanted,
    rules::{Limit, Rules},
};

/// Decides about every requirement. Never fails: what is wrong is a finding.
pub fn split(request: &SplitInput<'_>) -> Split {
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
    let nothing = ImportUsage::default();
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

#[cfg(test)]
#[path = "tests/split.rs"]
mod tests;
