//! What must not reach an image: back-ports that hide the standard library,
//! empty packages, packages for other systems, what the index does not have.
//!
//! A placement in the rules goes before all of it, except where nothing could
//! be installed at all.

use std::collections::BTreeMap;

use diagnostics::{
    excerpt::excerpt,
    finding::{Finding, Place, Severity},
};
use pep440_rs::{Version, VersionSpecifiers};

use crate::{
    file::{Entry, is_portable, shown_url},
    known,
    requirement::{Requirement, Wanted},
    rules::Rules,
    split::report::{Asked, Report, SplitInput, sentence},
};

/// What is left, in the order of the files, then what the rules add.
pub fn sift(request: &SplitInput<'_>, report: &mut Report) -> Vec<Asked> {
    let mut kept = Vec::new();
    let listed = listed(request);
    for entry in &request.files.entries {
        let decided = request.rules.places.get(&entry.requirement.name);
        let asked = Asked {
            requirement: Requirement {
                marker: None,
                ..entry.requirement.clone()
            },
            at: entry.at.clone(),
            decided: decided.map(|decision| (decision.lists.clone(), decision.reason.clone())),
            added: false,
        };
        if !can_be_installed(request, entry, &asked, report) {
            continue;
        }
        if decided.is_some() {
            kept.push(asked);
        } else {
            kept.extend(without_traps(&listed, request.rules, asked, report));
        }
    }
    let added = request.rules.additions.iter().map(|addition| Asked {
        requirement: addition.requirement.clone(),
        at: addition.at.clone(),
        decided: Some((addition.lists.clone(), addition.reason.clone())),
        added: true,
    });
    for asked in added {
        let entry = Entry {
            requirement: asked.requirement.clone(),
            at: asked.at.clone(),
        };
        if can_be_installed(request, &entry, &asked, report) {
            kept.push(asked);
        }
    }
    for asked in &kept {
        if request.source_only.contains(&asked.requirement.name) {
            let message = format!(
                "`{}` is published as source only and is compiled in a build stage",
                asked.requirement.name
            );
            report.find(Finding::new(
                "source-only",
                Severity::Remark,
                &asked.at,
                message,
            ));
        }
    }
    kept
}

/// The first place of every name.
type Listed<'r> = BTreeMap<&'r str, &'r Place>;

fn listed<'r>(request: &SplitInput<'r>) -> Listed<'r> {
    let mut listed = Listed::new();
    let entries = request
        .files
        .entries
        .iter()
        .map(|e| (&e.requirement, &e.at));
    let added = request
        .rules
        .additions
        .iter()
        .map(|a| (&a.requirement, &a.at));
    for (requirement, at) in entries.chain(added) {
        listed.entry(&requirement.name).or_insert(at);
    }
    listed
}

fn can_be_installed(
    request: &SplitInput<'_>,
    entry: &Entry,
    asked: &Asked,
    report: &mut Report,
) -> bool {
    let (requirement, at) = (&entry.requirement, &entry.at);
    if let Some(marker) = &requirement.marker
        && !marker.holds(request.environment)
    {
        let marker = excerpt(&marker.to_string());
        let message = format!("`{}` is not for these images: {marker}", requirement.name);
        report.find(Finding::new("marker-false", Severity::Remark, at, message));
        report.leave_out(asked, format!("not for these images: {marker}"));
        return false;
    }
    if !is_portable(requirement)
        && let Wanted::Url(url) = &requirement.wanted
    {
        let message = format!("`{}` comes from `{}`", requirement.name, shown_url(url));
        report.find(
            Finding::new("not-portable", Severity::Warning, at, message)
                .hint("no hash can hold it; give the URL of an archive, or publish it"),
        );
        report.leave_out(asked, "its URL cannot be locked by hash");
        return false;
    }
    if let Some(reason) = request.refused.get(&requirement.name) {
        let message = format!("`{}` cannot be had: {reason}", requirement.spec());
        report.find(
            Finding::new("no-such-version", Severity::Error, at, message)
                .hint("correct the version; it is left out until then"),
        );
        report.leave_out(asked, "the package index does not have it");
        return false;
    }
    true
}

fn without_traps(
    listed: &Listed<'_>,
    rules: &Rules,
    asked: Asked,
    report: &mut Report,
) -> Option<Asked> {
    let name = asked.requirement.name.as_str();
    if let Some(shim) = known::shim(name) {
        return replaced(listed, rules, asked, shim, report);
    }
    if let Some(module) = known::shadowed_module(name) {
        let message = format!("`{name}` shadows the standard library's `{module}` and is left out");
        report.find(
            Finding::new("stdlib-shadow", Severity::Warning, &asked.at, message)
                .hint("remove the line; this module comes with Python"),
        );
        report.leave_out(&asked, format!("shadows the standard library's `{module}`"));
        return None;
    }
    if known::is_platform_only(name) {
        let message = format!("`{name}` is for another system than Linux and is left out");
        report.find(
            Finding::new("platform-only", Severity::Warning, &asked.at, message)
                .hint("add a marker such as ` ; sys_platform == \"win32\"`"),
        );
        report.leave_out(&asked, "for another system than Linux");
        return None;
    }
    Some(asked)
}

/// The package that is meant takes the place of an empty one, unless it is
/// asked for anyway.
fn replaced(
    listed: &Listed<'_>,
    rules: &Rules,
    asked: Asked,
    shim: known::Shim,
    report: &mut Report,
) -> Option<Asked> {
    let (name, meant) = (&asked.requirement.name, shim.meant);
    check_version(&asked, shim, report);
    let listed = listed.get(meant);
    let message = match listed {
        Some(at) => {
            format!(
                "`{name}` is an empty or abandoned package; `{meant}` is meant, which is listed at {at}"
            )
        }
        None => format!("`{name}` is an empty or abandoned package; `{meant}` takes its place"),
    };
    let hint = match listed {
        Some(_) => "remove the line".to_owned(),
        None => format!("write `{meant}` instead"),
    };
    report.find(Finding::new("empty-shim", Severity::Warning, &asked.at, message).hint(hint));
    report.leave_out(&asked, format!("`{meant}` is meant"));
    if listed.is_some() {
        return None;
    }
    let decided = rules.places.get(meant);
    Some(Asked {
        requirement: Requirement {
            name: meant.to_owned(),
            extras: asked.requirement.extras,
            // The versions of an empty package say nothing about the other.
            wanted: Wanted::Versions(VersionSpecifiers::empty()),
            marker: None,
        },
        at: asked.at,
        decided: decided.map(|decision| (decision.lists.clone(), decision.reason.clone())),
        added: false,
    })
}

/// Nobody asks the index about a package that is left out.
fn check_version(asked: &Asked, shim: known::Shim, report: &mut Report) {
    let Wanted::Versions(wanted) = &asked.requirement.wanted else {
        return;
    };
    let all: Vec<Version> = shim
        .versions
        .iter()
        .filter_map(|v| v.parse().ok())
        .collect();
    if all.is_empty() || all.iter().any(|version| wanted.contains(version)) {
        return;
    }
    let message = format!(
        "`{}` does not exist: there is {} only",
        asked.requirement.spec(),
        sentence(shim.versions)
    );
    report.find(
        Finding::new("no-such-version", Severity::Error, &asked.at, message)
            .hint("remove the line"),
    );
}
