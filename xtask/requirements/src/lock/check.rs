//! Whether locks are current: offline, without uv, in milliseconds.
//!
//! Pure. A digest tells whether something has changed; the rest says what, as
//! far as that can be told without asking the index.

use std::collections::{BTreeMap, BTreeSet};

use diagnostics::finding::Place;

use super::{
    super::{
        list::List,
        lock_file::{LockFile, Pin, Release, digest},
        marker::Environment,
        name::normalized,
        requirement::{Requirement, Wanted},
        rules::Limit,
        uv::BUILD_LOCK,
    },
    request::{Sources, inputs_digest},
};
use crate::lock::{
    names::{JOINT, TEST_LOCK, lock_name, lock_names},
    problem::{LockProblem, Wrong},
    request::LockRequest,
};

/// All that is wrong with the locks of `request.existing`, by place. Nothing if
/// they are what `lock` would make of the request without an upgrade.
pub fn check(request: &LockRequest) -> Vec<LockProblem> {
    let mut problems = Vec::new();
    let mut locks = BTreeMap::new();
    for name in lock_names() {
        let mut wrong = |line: usize, wrong: Wrong| {
            problems.push(LockProblem {
                at: Place::line(&name, line),
                wrong,
            });
        };
        let Some(text) = request.existing.get(&name) else {
            if name == TEST_LOCK && request.test.is_empty() {
                continue;
            }
            wrong(1, Wrong::Missing);
            continue;
        };
        match LockFile::parse(text) {
            Ok(lock) => {
                let header = &lock.header;
                match &header.content {
                    None => wrong(1, Wrong::Unrecorded),
                    Some(content) if *content != lock.found => wrong(1, Wrong::Edited),
                    Some(_) => {}
                }
                locks.insert(name, lock);
            }
            Err(malformed) => wrong(malformed.line, Wrong::Malformed(malformed.message)),
        }
    }
    if let Some(joint) = locks.get(JOINT) {
        together(request, joint, &locks, &mut problems);
    }
    for (name, lock) in &locks {
        pins(name, lock, &mut problems);
    }
    requirements(request, &locks, &mut problems);
    problems.sort();
    problems.dedup();
    problems
}

/// What the joint lock knows about inputs and other locks.
fn together(
    request: &LockRequest,
    joint: &LockFile,
    locks: &BTreeMap<String, LockFile>,
    problems: &mut Vec<LockProblem>,
) {
    let header = &joint.header;
    let recorded = header.content.is_some();
    let at_top = |file: &str| Place::line(file, 1);
    if recorded && header.inputs.as_ref() != Some(&inputs_digest(request)) {
        problems.push(LockProblem {
            at: at_top(JOINT),
            wrong: Wrong::Stale,
        });
    }
    for (name, lock) in locks.iter().filter(|(name, _)| *name != JOINT) {
        let text = &request.existing[name];
        // A lock that was edited, or that is of another kind, has been told.
        let sound = lock.header.content.as_ref() == Some(&lock.found);
        if recorded && sound && header.others.get(name) != Some(&digest(text)) {
            problems.push(LockProblem {
                at: at_top(name),
                wrong: Wrong::NotTogether,
            });
        }
        if name == BUILD_LOCK || name == TEST_LOCK {
            continue;
        }
        for pin in &lock.pins {
            let other = joint.pin(&pin.name).map(|pin| &pin.release);
            if other != Some(&pin.release) {
                problems.push(LockProblem {
                    at: Place::line(name, pin.line),
                    wrong: Wrong::Differs {
                        name: pin.name.clone(),
                        release: pin.release.to_string(),
                        joint: other.map(Release::to_string),
                    },
                });
            }
        }
    }
}

fn pins(file: &str, lock: &LockFile, problems: &mut Vec<LockProblem>) {
    let mut seen = BTreeSet::new();
    for pin in &lock.pins {
        let mut wrong = |wrong| {
            problems.push(LockProblem {
                at: Place::line(file, pin.line),
                wrong,
            });
        };
        let name = pin.name.clone();
        if !seen.insert(&pin.name) {
            wrong(Wrong::Twice { name: name.clone() });
        }
        if pin.hashes.is_empty() && file != JOINT {
            wrong(Wrong::NoHash { name });
        }
    }
}

/// Every line of a list is met by the list's lock, every limit by all.
fn requirements(
    request: &LockRequest,
    locks: &BTreeMap<String, LockFile>,
    problems: &mut Vec<LockProblem>,
) {
    let sources = Sources::new(request);
    let environment = Environment::of_python(&request.python);
    let tools = [
        (BUILD_LOCK.to_owned(), &sources.build),
        (TEST_LOCK.to_owned(), &sources.test),
    ];
    let lists = List::ALL.iter().filter_map(|list| {
        let lines = sources.lists.get(list)?;
        Some((lock_name(*list), lines))
    });
    for (lock, lines) in lists.chain(tools) {
        let Some(found) = locks.get(&lock) else {
            continue;
        };
        for line in lines {
            let Some(requirement) = &line.requirement else {
                continue;
            };
            let marker = requirement.marker.as_ref();
            if marker.is_some_and(|marker| !marker.holds(&environment)) {
                continue;
            }
            let pin = found.pin(&requirement.name);
            if !pin.is_some_and(|pin| meets(pin, requirement)) {
                problems.push(LockProblem {
                    at: line.at.clone(),
                    wrong: Wrong::Unmet {
                        requirement: requirement.spec(),
                        lock: lock.clone(),
                        release: pin.map(shown),
                    },
                });
            }
        }
    }
    limits(&sources.limits, JOINT, locks, problems);
    limits(&sources.build_limits, BUILD_LOCK, locks, problems);
}

fn limits(
    limits: &[Limit],
    lock: &str,
    locks: &BTreeMap<String, LockFile>,
    problems: &mut Vec<LockProblem>,
) {
    for limit in limits {
        let pin = locks
            .get(lock)
            .and_then(|lock| lock.pin(&normalized(&limit.name)));
        let Some(pin) = pin else { continue };
        let kept = |pin: &Pin| {
            let version = pin.release.version();
            version.is_none_or(|version| limit.versions.contains(version))
        };
        if !kept(pin) {
            problems.push(LockProblem {
                at: limit.at.clone(),
                wrong: Wrong::OverLimit {
                    limit: limit.text(),
                    lock: lock.to_owned(),
                    release: shown(pin),
                },
            });
        }
    }
}

fn meets(pin: &Pin, requirement: &Requirement) -> bool {
    match (&requirement.wanted, &pin.release) {
        (Wanted::Versions(versions), Release::Version(version)) => versions.contains(version),
        // An address has whatever version it has.
        (Wanted::Versions(_), Release::Url(_)) => true,
        (Wanted::Url(_), Release::Version(_)) => false,
        (Wanted::Url(wanted), Release::Url(found)) => wanted == found,
    }
}

fn shown(pin: &Pin) -> String {
    pin.release
        .to_string()
        .trim_start_matches("==")
        .trim()
        .to_owned()
}
