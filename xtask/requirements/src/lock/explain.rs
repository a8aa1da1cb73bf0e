//! Reads what uv says when it cannot resolve: what kind of reason it is and
//! which packages it is about. Pure.
//!
//! uv has no messages for machines, so a few words of each are looked for.
//! Whatever is not recognised is passed on as it is.

use std::{collections::BTreeSet, str::FromStr};

use diagnostics::excerpt::printable;
use toml::Table;

use super::super::name::{is_name, normalized};
use crate::lock::{error::LockError, kind::UnmetKind};

/// Lines of uv's explanation that are kept.
const LINES_MAX: usize = 12;
/// Characters of a line that are kept; explanations have long ones.
const LINE_MAX: usize = 400;

/// What uv's words come down to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UvVerdict {
    /// One package, and what is wrong with it whatever else is asked for.
    One {
        name: String,
        kind: UnmetKind,
    },
    /// Several requirements that do not go together.
    Conflict,
    NoIndex,
    NoPython,
    /// The answer is not in uv's cache.
    NotCached,
    /// No reason that is known here.
    Unknown,
}

/// Reads uv's messages.
pub fn verdict(said: &str) -> UvVerdict {
    let text = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let has = |words: &str| text.contains(words);
    if has("network was disabled") {
        return UvVerdict::NotCached;
    }
    if let Some(name) = failed_build(&text) {
        let misses = between(&text, "No module named '", "'").map(str::to_owned);
        return UvVerdict::One {
            name,
            kind: UnmetKind::BuildFailed { misses },
        };
    }
    if has("No interpreter found for") {
        return UvVerdict::NoPython;
    }
    if has("No solution found") {
        return unsolvable(&text);
    }
    let unreached = [
        "error sending request",
        "Failed to fetch",
        "Request failed after",
        "dns error",
    ];
    match unreached.iter().any(|words| has(words)) {
        true => UvVerdict::NoIndex,
        false => UvVerdict::Unknown,
    }
}

/// A package that stands alone has no `depends on` in its explanation.
fn unsolvable(text: &str) -> UvVerdict {
    let alone = !text.contains(" depends on ");
    let name = text.rfind("you require ").and_then(|at| {
        let word = text[at + "you require ".len()..].split([',', ' ']).next()?;
        name_of(word)
    });
    let kind = if text.contains("was not found in the package registry") {
        Some(UnmetKind::NoSuchPackage)
    } else if text.contains("has no wheels with a matching") {
        Some(UnmetKind::NotForPlatform)
    } else if text.contains("there is no version of")
        || (text.contains("Because only ") && text.contains(" available"))
    {
        Some(UnmetKind::NoSuchVersion)
    } else {
        None
    };
    match (alone, name, kind) {
        (true, Some(name), Some(kind)) => UvVerdict::One { name, kind },
        _ => UvVerdict::Conflict,
    }
}

/// `Failed to build `NAME==VERSION``, also when it was to be downloaded first.
fn failed_build(text: &str) -> Option<String> {
    let starts = ["Failed to build `", "Failed to download and build `"];
    let start = starts.iter().find(|start| text.contains(**start))?;
    name_of(between(text, start, "`")?)
}

/// Names of `known` that the text is about.
pub fn mentioned(said: &str, known: &BTreeSet<String>) -> BTreeSet<String> {
    let words = said.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '`' | '(' | ')'));
    words
        .filter_map(name_of)
        .filter(|name| known.contains(name))
        .collect()
}

/// uv's explanation without its ornaments, short enough to be shown.
pub fn trimmed(said: &str) -> Vec<String> {
    let mut in_trace = false;
    let lines = said.lines().map(printable).filter(|line| {
        let bare = line.trim();
        // Of a Python traceback only its last line says what is missing.
        let frame = bare.starts_with("Traceback") || bare.starts_with("File \"");
        let source = in_trace && !bare.contains("Error: ");
        in_trace = frame || (in_trace && source);
        !bare.is_empty() && !frame && !source && !bare.starts_with("warning: ")
    });
    // The advice is about files of uv's own, which there are none of here.
    let lines: Vec<String> = lines
        .take_while(|line| !line.starts_with("hint: This error likely"))
        .map(|line| line.chars().take(LINE_MAX).collect())
        .collect();
    if lines.len() <= LINES_MAX {
        return lines;
    }
    let (first, last) = (&lines[..4], &lines[lines.len() - (LINES_MAX - 4)..]);
    first.iter().chain(last).cloned().collect()
}

/// An error that no requirement can be blamed for.
pub fn plain_error(what: &str, said: &str) -> LockError {
    let lines = trimmed(said);
    match verdict(said) {
        UvVerdict::NoIndex => LockError::NoIndex { said: lines },
        UvVerdict::NoPython => {
            let python = between(said, "No interpreter found for Python ", " ").unwrap_or("3");
            LockError::NoPython {
                python: python.to_owned(),
            }
        }
        _ => LockError::Uv {
            what: what.to_owned(),
            said: lines,
        },
    }
}

/// Names of the packages without a wheel in a `pylock.toml` that was made for
/// one platform; the addresses in it are of no interest.
///
/// # Errors
/// If the text is no such file.
pub fn source_only(pylock: &str) -> Result<BTreeSet<String>, String> {
    let no_list = || "it has no list of packages".to_owned();
    let table = Table::from_str(pylock).map_err(|error| error.message().to_owned())?;
    let packages = match table.get("packages") {
        Some(packages) => packages.as_array().ok_or_else(no_list)?.as_slice(),
        None => &[],
    };
    let mut found = BTreeSet::new();
    for package in packages {
        let name = package.get("name").and_then(toml::Value::as_str);
        let name = name.ok_or_else(no_list)?;
        let wheels = package.get("wheels").and_then(toml::Value::as_array);
        let archive = package.get("archive").and_then(|archive| {
            let address = archive.get("url").or_else(|| archive.get("path"))?;
            address.as_str()
        });
        let is_wheel = |address: &str| {
            address
                .split(['#', '?'])
                .next()
                .is_some_and(|path| path.ends_with(".whl"))
        };
        if wheels.is_none_or(Vec::is_empty) && !archive.is_some_and(is_wheel) {
            found.insert(normalized(name));
        }
    }
    Ok(found)
}

/// `torch>=2.2` and `torch[x]==1` are about `torch`.
fn name_of(word: &str) -> Option<String> {
    let end = word
        .find(['=', '<', '>', '!', '~', '[', '@'])
        .unwrap_or(word.len());
    let name = word[..end].trim_end_matches(['.', ':']);
    is_name(name).then(|| normalized(name))
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    let rest = &text[text.find(start)? + start.len()..];
    rest.split(end).next()
}
