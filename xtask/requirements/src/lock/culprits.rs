//! Finds out which requirements make a resolution fail, by trying without.
//!
//! uv explains its failure package by package, but not where a requirement
//! comes from, and it stops at the first reason. Here what cannot be met is
//! left out, and the rest tried again, so that all reasons are found at once.
//! Trials are answered from uv's cache where they can be, and are bounded in
//! number and time.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::{
    explain::{UvVerdict, mentioned, plain_error, trimmed, verdict},
    request::{Constraint, Sources},
    workshop::{Call, Said, Workshop},
};
use crate::lock::{error::LockError, kind::UnmetKind, names::JOINT, unmet::Unmet};

/// Reasons that are looked for.
const REASONS_MAX: usize = 25;
/// Trials for one conflict.
const TRIALS_MAX: usize = 16;
/// One trial; most take under a second.
const TRIAL_DEADLINE: Duration = Duration::from_secs(60);
/// All trials together.
const PATIENCE: Duration = Duration::from_secs(240);

/// Explains why the joint resolution of `sources` failed with `said`.
pub fn explain(workshop: &Workshop, sources: &Sources, said: Said) -> LockError {
    let mut text = match said {
        Said::No(text) => text,
        Said::Error(error) => return error,
    };
    let search = Search {
        workshop,
        until: Instant::now() + PATIENCE,
    };
    let mut rest = sources.clone();
    let mut unmet: Vec<Unmet> = Vec::new();
    let ended = |unmet: Vec<Unmet>, rest_resolves| LockError::Unmet {
        unmet,
        rest_resolves,
    };
    while unmet.len() < REASONS_MAX {
        let found = match search.reason(&rest, &text) {
            Ok(Some(found)) => found,
            Ok(None) if unmet.is_empty() => return plain_error("resolve the lists", &text),
            Ok(None) => return ended(unmet, false),
            Err(LockError::Interrupted) => return LockError::Interrupted,
            Err(error) if unmet.is_empty() => return error,
            Err(_) => return ended(unmet, false),
        };
        // One of a conflict's is enough; of a package that cannot be had, all.
        let count = match found.kind {
            UnmetKind::Conflict => 1,
            _ => found.culprits.len(),
        };
        let blamed = found.culprits.iter().take(count);
        let dropped: Vec<&Constraint> = match found.culprits.is_empty() {
            true => found.against.iter().take(1).collect(),
            false => blamed.collect(),
        };
        let nobody = dropped.is_empty();
        rest = rest.without(&dropped);
        unmet.push(found);
        if nobody {
            return ended(unmet, false);
        }
        match search.attempt(&rest) {
            Ok(Outcome::Resolves) => return ended(unmet, true),
            Ok(Outcome::Fails(next)) => text = next,
            Err(LockError::Interrupted) => return LockError::Interrupted,
            Err(_) => return ended(unmet, false),
        }
    }
    ended(unmet, false)
}

struct Search<'w> {
    workshop: &'w Workshop<'w>,
    until: Instant,
}

enum Outcome {
    Resolves,
    /// With uv's explanation.
    Fails(String),
}

impl Search<'_> {
    /// The reason that `text` gives; `None` if it is none that is known.
    fn reason(&self, sources: &Sources, text: &str) -> Result<Option<Unmet>, LockError> {
        let all = sources.constraints();
        let unmet = |kind, name: &str, culprits: Vec<Constraint>| {
            let other = |one: &&Constraint| says(text, &one.text) && !culprits.contains(one);
            let against = match kind {
                UnmetKind::Conflict => all.iter().filter(other).cloned().collect(),
                _ => Vec::new(),
            };
            Unmet {
                kind,
                name: name.to_owned(),
                culprits,
                against,
                said: trimmed(text),
            }
        };
        match verdict(text) {
            UvVerdict::One { name, kind } => {
                let own: Vec<Constraint> =
                    all.iter().filter(|one| one.name == name).cloned().collect();
                if own.is_empty() {
                    // Something else asks for it.
                    let culprits = self.culprits(sources, &all, text)?;
                    return Ok(Some(unmet(kind, &name, culprits)));
                }
                // Several lines may ask for a package, not all of them wrongly.
                let exact: Vec<Constraint> = own
                    .iter()
                    .filter(|one| says(text, &one.text))
                    .cloned()
                    .collect();
                let narrowed = kind == UnmetKind::NoSuchVersion && !exact.is_empty();
                Ok(Some(unmet(kind, &name, if narrowed { exact } else { own })))
            }
            UvVerdict::Conflict => {
                let culprits = self.culprits(sources, &all, text)?;
                let name = culprits
                    .first()
                    .map(|one| one.name.clone())
                    .unwrap_or_default();
                Ok(Some(unmet(UnmetKind::Conflict, &name, culprits)))
            }
            UvVerdict::NoIndex
            | UvVerdict::NoPython
            | UvVerdict::NotCached
            | UvVerdict::Unknown => Ok(None),
        }
    }

    /// Those of `all` without which the reason is gone.
    fn culprits(
        &self,
        sources: &Sources,
        all: &[Constraint],
        text: &str,
    ) -> Result<Vec<Constraint>, LockError> {
        let known: BTreeSet<String> = all.iter().map(|one| one.name.clone()).collect();
        let names = mentioned(text, &known);
        let candidates: Vec<&Constraint> =
            all.iter().filter(|one| names.contains(&one.name)).collect();
        let mut found = Vec::new();
        let mut trials = 0;
        let mut helps = |dropped: &[&Constraint]| -> Result<bool, LockError> {
            trials += 1;
            if trials > TRIALS_MAX || Instant::now() >= self.until {
                return Ok(false);
            }
            match self.attempt(&sources.without(dropped))? {
                Outcome::Resolves => Ok(true),
                // Another reason, about other packages, stands behind this one.
                Outcome::Fails(next) => Ok(mentioned(&next, &known).is_disjoint(&names)),
            }
        };
        for candidate in &candidates {
            if helps(&[candidate])? {
                found.push((*candidate).clone());
            }
        }
        // A package that several lines ask for: no single one helps.
        for name in &names {
            let same: Vec<&Constraint> = candidates
                .iter()
                .copied()
                .filter(|one| one.name == *name)
                .collect();
            let tried = found.iter().any(|one| one.name == *name);
            if same.len() > 1 && !tried && helps(&same)? {
                found.extend(same.into_iter().cloned());
            }
        }
        Ok(found)
    }

    /// Resolves all lists, preferring what the locks have.
    fn attempt(&self, sources: &Sources) -> Result<Outcome, LockError> {
        let room = self.workshop.room("trial")?;
        room.write_sources(sources)?;
        room.write(JOINT, &self.workshop.text(JOINT))?;
        let call = Call::joint(sources);
        let cached = room.run(&call.clone().offline(), TRIAL_DEADLINE);
        let ended = match cached {
            // What is not in the cache may still be in the index.
            Err(Said::No(text)) if verdict(&text) == UvVerdict::NotCached => {
                room.run(&call, TRIAL_DEADLINE)
            }
            other => other,
        };
        match ended {
            Ok(_) => Ok(Outcome::Resolves),
            Err(Said::No(text)) => Ok(Outcome::Fails(text)),
            Err(Said::Error(error)) => Err(error),
        }
    }
}

/// The text holds the requirement as words of its own: `torch>=2` is in neither
/// `torch>=2.2` nor `pytorch>=2`, and `torch` is not in `torch>=2`.
fn says(text: &str, requirement: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || "-_=<>!~[*+".contains(c);
    text.match_indices(requirement).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let mut after = text[at + requirement.len()..].chars();
        let next = match after.next() {
            // At the end of a sentence, or in a version.
            Some('.') => after.next(),
            other => other,
        };
        !before.is_some_and(|c| inside(c) || c == '.') && !next.is_some_and(inside)
    })
}

#[cfg(test)]
mod tests {
    use super::says;

    #[test]
    fn requirements_are_found_as_words() {
        let text = "Because torch>=2.2 and (x<1), you require y==1.0. And z";
        for (requirement, expected) in [
            ("torch>=2.2", true),
            ("torch>=2", false),
            ("torch", false),
            ("orch>=2.2", false),
            ("x<1", true),
            ("y==1.0", true),
            ("y==1", false),
            ("z", true),
        ] {
            assert_eq!(says(text, requirement), expected, "{requirement}");
        }
    }
}
