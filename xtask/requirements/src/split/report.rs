//! What a split is asked, and what it reports: the words that its parts share.

use std::collections::{BTreeMap, BTreeSet};

pub use diagnostics::finding::{Finding, Place};
use serde::Serialize;

pub use crate::list::List;
use crate::{file::Files, marker::Environment, requirement::Requirement, rules::Rules};

/// Everything a split depends on.
#[derive(Debug, Clone, Copy)]
pub struct SplitInput<'a> {
    pub files: &'a Files,
    pub rules: &'a Rules,
    /// `None`: the code was not looked at, and nothing is said about imports.
    pub usage: Option<&'a ImportUsage>,
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
pub struct ImportUsage {
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Placed {
    /// Normalised.
    pub name: String,
    /// As it is written, `pyzmq==27.0.0`.
    pub spec: String,
    /// The lists that it is in; empty if it is in none.
    pub images: Vec<List>,
    /// Why, in words.
    pub reason: String,
    /// Where it is asked for.
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
pub struct Asked {
    pub requirement: Requirement,
    pub at: Place,
    /// From the rules: where to, and why.
    pub decided: Option<(Vec<List>, String)>,
    /// No file asks for it, the rules do.
    pub added: bool,
}

/// What the steps report to.
#[derive(Debug, Default)]
pub struct Report {
    pub left_out: Vec<Placed>,
    pub findings: Vec<Finding>,
}

impl Report {
    pub fn leave_out(&mut self, asked: &Asked, reason: impl Into<String>) {
        self.left_out.push(placed(asked, Vec::new(), reason.into()));
    }

    pub fn find(&mut self, finding: Finding) {
        self.findings.push(finding);
    }
}

pub fn placed(asked: &Asked, images: Vec<List>, reason: String) -> Placed {
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
pub fn sentence(names: &[&str]) -> String {
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
