//! Problems of a manifest, and how they are shown: with source lines and
//! carets for people, as values for machines.
//!
//! Decides nothing about what is wrong; `reader` and `check` do.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use crate::names::quoted_list;

/// Bytes of the manifest that something stands at.
pub type Span = Range<usize>;

/// A manifest that was read but not accepted.
#[derive(Debug)]
pub struct Invalid {
    path: PathBuf,
    source: String,
    /// In the order of the file; never empty.
    problems: Vec<Problem>,
}

/// One thing that is wrong, and how to put it right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `None` for what the manifest does not hold (`--monorepo`).
    pub at: Option<Span>,
    pub message: String,
    pub help: String,
    /// Other places that belong to it, each with a few words.
    pub related: Vec<(Span, String)>,
}

/// A problem as machines read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProblemRow {
    /// Path of the file that was not accepted.
    pub file: String,
    /// From 1; null for what does not stand in the file.
    pub line: Option<usize>,
    /// From 1, in characters; null for what does not stand in the file.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// How to put it right.
    pub help: String,
}

/// Collects problems instead of stopping at the first.
#[derive(Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
    strays: Vec<String>,
}

impl Problems {
    /// Adds a problem at `at`.
    pub fn report(&mut self, at: &Span, message: impl Into<String>, help: impl Into<String>) {
        self.push(Some(at.clone()), message.into(), help.into(), Vec::new());
    }

    /// Adds a problem that also has to do with another place.
    pub fn report_pair(
        &mut self,
        at: &Span,
        message: impl Into<String>,
        help: impl Into<String>,
        other: (&Span, impl Into<String>),
    ) {
        let related = vec![(other.0.clone(), other.1.into())];
        self.push(Some(at.clone()), message.into(), help.into(), related);
    }

    /// Adds a problem that stands nowhere in the manifest.
    pub fn report_outside(&mut self, message: impl Into<String>, help: impl Into<String>) {
        self.push(None, message.into(), help.into(), Vec::new());
    }

    /// Adds a reference to an unknown name, with the nearest known one.
    pub fn report_unknown(&mut self, at: &Span, kind: &str, name: &str, known: &[&str]) {
        let help = crate::names::suggestion(name, &format!("{kind}s"), known);
        self.report(at, format!("unknown {kind} `{name}`"), help);
    }

    fn push(
        &mut self,
        at: Option<Span>,
        message: String,
        help: String,
        related: Vec<(Span, String)>,
    ) {
        // A group's setting is checked once for each of its agents.
        let known = |held: &Problem| held.at == at && held.message == message;
        if !self.list.iter().any(known) {
            self.list.push(Problem {
                at,
                message,
                help,
                related,
            });
        }
    }

    /// Notes that a reader and the table of its fields disagree, which is no
    /// fault of the file.
    pub fn stray(&mut self, what: String) {
        self.strays.push(what);
    }

    /// Where a reader and the table of its fields disagree: mistakes of this
    /// tool, for its tests to find.
    pub fn strays(&self) -> &[String] {
        &self.strays
    }

    /// What is wrong, in the order in which it was found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// Whether nothing is wrong so far.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Drops what does not satisfy `keep`.
    pub fn retain(&mut self, keep: impl FnMut(&Problem) -> bool) {
        self.list.retain(keep);
    }

    /// All problems of a file, in its order.
    pub fn into_invalid(mut self, path: &Path, source: String) -> Invalid {
        self.list
            .sort_by_key(|problem| problem.at.as_ref().map(|at| (at.start, at.end)));
        Invalid {
            path: path.to_owned(),
            source,
            problems: self.list,
        }
    }
}

/// A problem that has no place in a file: ends with a newline.
pub fn render_placeless(title: &str, note: &str, help: &str, color: bool) -> String {
    let report = [Group::with_title(Level::ERROR.primary_title(title))
        .element(Level::NOTE.message(note))
        .element(Level::HELP.message(help))];
    renderer(color).render(&report) + "\n"
}

fn renderer(color: bool) -> Renderer {
    if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    }
}

impl Invalid {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `1 problem`, `2 problems`
    pub fn count(&self) -> String {
        let count = self.problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        format!("{count} {noun}")
    }

    /// For people: every problem with its source line; ends with a newline.
    pub fn render(&self, color: bool) -> String {
        let path = self.path.to_string_lossy();
        let renderer = renderer(color);
        let texts: Vec<String> = self
            .problems
            .iter()
            .map(|problem| renderer.render(&[self.report(problem, &path)]))
            .collect();
        texts.join("\n\n") + "\n"
    }

    fn report<'s>(&'s self, problem: &'s Problem, path: &'s str) -> Group<'s> {
        let mut group = Group::with_title(Level::ERROR.primary_title(problem.message.as_str()));
        if let Some(at) = &problem.at {
            let mut snippet = Snippet::source(self.source.as_str())
                .path(path)
                .annotation(AnnotationKind::Primary.span(self.drawable(at)));
            for (place, label) in &problem.related {
                let span = self.drawable(place);
                snippet =
                    snippet.annotation(AnnotationKind::Context.span(span).label(label.as_str()));
            }
            group = group.element(snippet);
        }
        group.element(Level::HELP.message(problem.help.as_str()))
    }

    /// `span` made safe to slice with, and cut at the end of its first line: a
    /// table of many lines is not helped by many carets.
    fn drawable(&self, span: &Span) -> Span {
        let start = boundary(&self.source, span.start);
        let end = boundary(&self.source, span.end).max(start);
        let line = self.source[start..end].lines().next().unwrap_or("");
        start..start + line.len()
    }

    /// For machines.
    pub fn rows(&self) -> Vec<ProblemRow> {
        let row = |problem: &Problem| {
            let place = problem
                .at
                .as_ref()
                .map(|at| line_and_column(&self.source, at.start));
            ProblemRow {
                file: self.path.to_string_lossy().into_owned(),
                line: place.map(|(line, _)| line),
                column: place.map(|(_, column)| column),
                message: problem.message.clone(),
                help: problem.help.clone(),
            }
        };
        self.problems.iter().map(row).collect()
    }
}

/// The last place of `source` up to `offset` where a character starts.
fn boundary(source: &str, offset: usize) -> usize {
    let mut at = offset.min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Where in `source` the byte at `offset` stands. Both are from 1; columns
/// count characters, as editors do.
pub fn line_and_column(source: &str, offset: usize) -> (usize, usize) {
    let before = &source[..boundary(source, offset)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

/// Remedy that lists what is possible.
pub fn one_of(names: &[&str]) -> String {
    format!("possible values: {}", quoted_list(names))
}
