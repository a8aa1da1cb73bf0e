//! One requirement for each name: what several lines ask for together, and
//! where they contradict each other.

use std::collections::BTreeMap;

use diagnostics::finding::{Finding, Severity};
use pep440_rs::{Operator, Version, VersionSpecifier, VersionSpecifiers};

use crate::{
    known,
    requirement::{Requirement, Wanted, render},
    rules::Limit,
    split::report::{Asked, Report},
};

/// Lines for one name that are looked at; more were made by a machine.
const LINES_MAX: usize = 100;

/// Merges by name; a name keeps the place of its first line.
pub fn merge(all: Vec<Asked>, report: &mut Report) -> Vec<Asked> {
    let mut merged: Vec<Asked> = Vec::new();
    let mut index: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for asked in all {
        let name = asked.requirement.name.clone();
        let (at, lines) = index.entry(name).or_insert((merged.len(), 0));
        *lines += 1;
        match *lines {
            1 => merged.push(asked),
            2..=LINES_MAX => join(&mut merged[*at], asked, report),
            lines if lines == LINES_MAX + 1 => {
                let message = format!(
                    "`{}` is asked for by more than {LINES_MAX} lines; this and later ones are left out",
                    asked.requirement.name
                );
                report.find(
                    Finding::new("duplicate", Severity::Error, &asked.at, message)
                        .hint("keep one line"),
                );
            }
            _ => {}
        }
    }
    merged
}

fn join(held: &mut Asked, next: Asked, report: &mut Report) {
    if let Some((lists, reason)) = next.decided {
        // Two decisions can only be a placement and an addition; both count.
        match &mut held.decided {
            Some((held, _)) => held.extend(
                lists
                    .iter()
                    .filter(|l| !held.contains(l))
                    .copied()
                    .collect::<Vec<_>>(),
            ),
            None => held.decided = Some((lists, reason)),
        }
    }
    // The rules may narrow what a file asks for.
    let silent = next.added;
    let (one, other) = (&held.requirement, &next.requirement);
    let name = &one.name;
    if one == other {
        let message = format!("`{}` is asked for at {} as well", one.spec(), held.at);
        let severity = Severity::Remark;
        if !silent {
            report.find(Finding::new("duplicate", severity, &next.at, message).hint("remove one"));
        }
        return;
    }
    let Some(wanted) = both(&one.wanted, &other.wanted) else {
        let (new, old) = (other.spec(), one.spec());
        let message = format!("`{new}` contradicts `{old}` at {}, which stays", held.at);
        // No image has these tools.
        let severity = match known::is_development(name) {
            true => Severity::Remark,
            false => Severity::Error,
        };
        report.find(
            Finding::new("contradictory", severity, &next.at, message)
                .hint("no version can satisfy both; decide on one"),
        );
        return;
    };
    let extras = one.extras.union(&other.extras).cloned().collect();
    let requirement = Requirement {
        name: name.clone(),
        extras,
        wanted,
        marker: None,
    };
    let message = format!(
        "`{name}` is asked for twice: `{}` here and `{}` at {}; `{}` is used",
        other.spec(),
        one.spec(),
        held.at,
        requirement.spec()
    );
    if !silent {
        report.find(
            Finding::new("duplicate", Severity::Warning, &next.at, message)
                .hint(format!("keep one line: `{}`", requirement.spec())),
        );
    }
    // The line that says it all is the one to look at.
    if requirement.wanted == next.requirement.wanted
        && requirement.wanted != held.requirement.wanted
    {
        held.at = next.at;
    }
    held.requirement = requirement;
}

/// What satisfies both; `None` if nothing can.
fn both(one: &Wanted, other: &Wanted) -> Option<Wanted> {
    match (one, other) {
        (Wanted::Versions(one), Wanted::Versions(other)) => {
            let all: Vec<_> = one.iter().chain(other.iter()).cloned().collect();
            together(all).map(Wanted::Versions)
        }
        (Wanted::Url(one), Wanted::Url(other)) if one == other => Some(Wanted::Url(one.clone())),
        (Wanted::Url(url), Wanted::Versions(any)) | (Wanted::Versions(any), Wanted::Url(url))
            if any.is_empty() =>
        {
            Some(Wanted::Url(url.clone()))
        }
        _ => None,
    }
}

/// The specifiers as one: an exact version alone if there is one, otherwise all
/// of them; `None` if no version satisfies them.
fn together(all: Vec<VersionSpecifier>) -> Option<VersionSpecifiers> {
    let exact = |specifier: &&VersionSpecifier| {
        matches!(specifier.operator(), Operator::Equal | Operator::ExactEqual)
    };
    if all.iter().any(|specifier| exact(&specifier)) {
        let mut pins = all.iter().filter(exact);
        let pin = pins.find(|pin| all.iter().all(|other| other.contains(pin.version())))?;
        return Some(VersionSpecifiers::from(pin.clone()));
    }
    if !has_room(&all) {
        return None;
    }
    let mut different: Vec<VersionSpecifier> = Vec::new();
    for specifier in all {
        if !different.contains(&specifier) {
            different.push(specifier);
        }
    }
    Some(different.into_iter().collect())
}

/// Whether there is anything between the highest lower and the lowest upper
/// end. Exclusions of single versions are not looked at.
fn has_room(all: &[VersionSpecifier]) -> bool {
    let mut lower: Option<(Version, bool)> = None;
    let mut upper: Option<(Version, bool)> = None;
    let mut raise = |version: Version, inclusive: bool| {
        let higher = lower.as_ref().is_none_or(|(held, held_inclusive)| {
            version > *held || (version == *held && *held_inclusive && !inclusive)
        });
        if higher {
            lower = Some((version, inclusive));
        }
    };
    let mut cut = |version: Version, inclusive: bool| {
        let deeper = upper.as_ref().is_none_or(|(held, held_inclusive)| {
            version < *held || (version == *held && *held_inclusive && !inclusive)
        });
        if deeper {
            upper = Some((version, inclusive));
        }
    };
    for specifier in all {
        let version = specifier.version().clone();
        match specifier.operator() {
            Operator::GreaterThanEqual => raise(version, true),
            Operator::GreaterThan => raise(version, false),
            Operator::LessThanEqual => cut(version, true),
            Operator::LessThan => cut(version, false),
            Operator::EqualStar => {
                cut(next_of(&version, version.release().len()), false);
                raise(version, true);
            }
            Operator::TildeEqual => {
                cut(
                    next_of(&version, version.release().len().saturating_sub(1)),
                    false,
                );
                raise(version, true);
            }
            _ => {}
        }
    }
    match (lower, upper) {
        (Some((lower, from)), Some((upper, to))) => lower < upper || (lower == upper && from && to),
        _ => true,
    }
}

/// The first version that no longer starts with the first `length` numbers.
fn next_of(version: &Version, length: usize) -> Version {
    let mut release: Vec<u64> = version
        .release()
        .iter()
        .take(length.max(1))
        .copied()
        .collect();
    if let Some(last) = release.last_mut() {
        *last = last.saturating_add(1);
    }
    Version::new(release).with_epoch(version.epoch())
}

/// Reports what is asked for and not allowed by a limit.
pub fn check_limits(asked: &[Asked], limits: &[Limit], report: &mut Report) {
    let mut by_name: BTreeMap<&str, Vec<&Limit>> = BTreeMap::new();
    for limit in limits {
        by_name.entry(&limit.name).or_default().push(limit);
    }
    for asked in asked {
        let Wanted::Versions(versions) = &asked.requirement.wanted else {
            continue;
        };
        for limit in by_name
            .get(asked.requirement.name.as_str())
            .into_iter()
            .flatten()
        {
            let all = versions
                .iter()
                .chain(limit.versions.iter())
                .cloned()
                .collect();
            if together(all).is_none() {
                let message = format!(
                    "`{}` contradicts the limit `{}` at {}: {}",
                    asked.requirement.spec(),
                    render(&limit.versions),
                    limit.at,
                    limit.reason
                );
                report.find(
                    Finding::new("contradictory", Severity::Error, &asked.at, message)
                        .hint("change one of the two"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::requirement::parse_versions, *};

    fn together_of(text: &str) -> Option<String> {
        let all = parse_versions(text).expect(text);
        together(all.iter().cloned().collect()).map(|versions| render(&versions))
    }

    #[test]
    fn an_exact_version_stands_for_all() {
        for (text, result) in [
            ("==27.0.0,>=25.1.0", "==27.0.0"),
            ("==1.0,==1.0.0", "==1.0"),
            ("==1.0,==1.0+cu118", "==1.0+cu118"),
            (">=1,<2", ">=1,<2"),
            (">=1,>=1", ">=1"),
            (">=1,<=1", ">=1,<=1"),
            ("~=1.4.2,<1.4.9", "~=1.4.2,<1.4.9"),
            ("==1.*,>=1.5", "==1.*,>=1.5"),
            ("!=1.0", "!=1.0"),
        ] {
            assert_eq!(together_of(text).as_deref(), Some(result), "{text}");
        }
    }

    #[test]
    fn what_no_version_satisfies() {
        for text in [
            "==1,==2",
            "==1.0,>=2",
            ">=2,<2",
            ">2,<=2",
            ">=3,<1",
            "==1.*,>=2",
            "==1.*,<1",
            "~=1.4.2,>=1.5",
            "~=1.4,>=2",
            "==1.5,!=1.5",
            "==1!1.0,==1.0",
        ] {
            assert_eq!(together_of(text), None, "{text}");
        }
    }
}
