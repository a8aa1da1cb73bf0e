//! Syntax errors of the TOML parser, in the manner of our own problems.
//!
//! Knows nothing about the manifest's content.

use toml::de::Error;

use super::problem::{Problem, Problems};

/// Adds the syntax errors; true if they leave the rest of the file in doubt.
///
/// A doubled key loses nothing but itself. After any other error the parser may
/// have skipped a part of the file, so that only what was found wrong before it
/// is certain, and nothing is certainly missing.
pub fn report(problems: &mut Problems, source: &str, errors: &[Error]) -> bool {
    let (doubled, broken): (Vec<&Error>, Vec<&Error>) = errors
        .iter()
        .partition(|error| error.message().starts_with("duplicate key"));
    report_doubled(problems, source, &doubled);
    if broken.is_empty() {
        return false;
    }
    let first = broken
        .iter()
        .filter_map(|error| error.span())
        .map(|span| span.start)
        .min();
    let certain = first.unwrap_or(0);
    problems.retain(|problem: &Problem| {
        let before = problem.at.as_ref().is_some_and(|at| at.end <= certain);
        before && !problem.message.contains(" has no `")
    });
    for error in broken {
        let (message, help) = match error.message().split_once(", expected ") {
            Some((message, expected)) => (message, format!("expected {expected}")),
            None => (error.message(), "correct the TOML syntax".to_owned()),
        };
        problems.report(&error.span().unwrap_or(0..0), message, help);
    }
    true
}

/// A doubled table header makes all its keys doubled too; only the header is
/// worth a message.
fn report_doubled(problems: &mut Problems, source: &str, errors: &[&Error]) {
    let mut silent_until = 0;
    for error in errors {
        let Some(span) = error.span() else { continue };
        let (Some(before), Some(name)) = (source.get(..span.start), source.get(span.clone()))
        else {
            continue;
        };
        if span.start < silent_until {
            continue;
        }
        let line = before.rfind('\n').map_or(0, |newline| newline + 1);
        if source[line..].trim_start().starts_with('[') {
            let next = source[span.end..].find("\n[");
            silent_until = next.map_or(source.len(), |next| span.end + next);
        }
        let help = "keep one of the two, or give one another name";
        problems.report(&span, format!("`{name}` is defined twice"), help);
    }
}
