//! What locks are made from: lists, limits, build tools, interpreter, platform.

use std::collections::BTreeMap;

use diagnostics::finding::Place;

use super::super::{
    lines,
    list::List,
    lock_file::digest,
    name::normalized,
    requirement::{Requirement, render},
    rules::Limit,
    statement::{self, Statement},
};
use crate::lock::names::{BUILD_LIST, TEST_LIST};

/// Everything that decides what is locked.
#[derive(Debug, Clone)]
pub struct LockRequest {
    /// Text of the three lists. Those of gpu and audio may refer to core by
    /// `-r requirements.core.txt`.
    pub lists: BTreeMap<List, String>,
    /// For all lists; they ask for nothing by themselves.
    pub limits: Vec<Limit>,
    /// Text of `requirements.build.txt`: tools of build stages, which also
    /// limit what uv uses to build a package from source.
    pub build: String,
    /// Text of `requirements.test.txt`: what tests are run with; may be empty.
    pub test: String,
    /// More limits for building from source.
    pub build_limits: Vec<Limit>,
    /// `3.11`
    pub python: String,
    /// As uv names it: `x86_64-manylinux_2_28`.
    pub platform: String,
    /// The locks there are, text by file name.
    pub existing: BTreeMap<String, String>,
}

/// Which versions may move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upgrade {
    /// None, unless a list or limit asks for it.
    None,
    All,
    /// These, as they were typed.
    Packages(Vec<String>),
}

impl Upgrade {
    /// The package (its name normalised) keeps its version if it can.
    pub fn keeps(&self, name: &str) -> bool {
        match self {
            Upgrade::None => true,
            Upgrade::All => false,
            Upgrade::Packages(names) => !names.iter().any(|own| normalized(own) == name),
        }
    }
}

/// A line of a list, or a limit: what a resolution has to meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    /// Normalised.
    pub name: String,
    /// `torch>=2.2`
    pub text: String,
    pub at: Place,
    /// Why there is this limit; `None` for a line of a list.
    pub reason: Option<String>,
}

/// The request, taken apart.
#[derive(Debug, Clone)]
pub struct Sources {
    pub lists: BTreeMap<List, Vec<Line>>,
    pub limits: Vec<Limit>,
    pub build: Vec<Line>,
    pub test: Vec<Line>,
    pub build_limits: Vec<Limit>,
}

/// A logical line of a list.
#[derive(Debug, Clone)]
pub struct Line {
    /// Without comment.
    pub text: String,
    /// `None` for an option such as `-r`.
    pub requirement: Option<Requirement>,
    pub at: Place,
}

impl Limit {
    /// `torch<2.8`
    pub fn text(&self) -> String {
        format!("{}{}", self.name, render(&self.versions))
    }

    /// The file it stands in, without the folders of this machine.
    pub fn shown_file(&self) -> &str {
        let file: &str = &self.at.file;
        match file.starts_with('/') {
            true => file.rsplit('/').next().unwrap_or(file),
            false => file,
        }
    }
}

impl std::fmt::Display for Constraint {
    /// `torch<2.8 (rules.toml:9: xformers is compiled against it)`
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} ({}", self.text, self.at)?;
        match &self.reason {
            Some(reason) if !reason.is_empty() => write!(out, ": {reason})"),
            _ => out.write_str(")"),
        }
    }
}

impl Sources {
    pub fn new(request: &LockRequest) -> Self {
        let list = |(list, text): (&List, &String)| (*list, read(text, &list.file()));
        Sources {
            lists: request.lists.iter().map(list).collect(),
            limits: request.limits.clone(),
            build: read(&request.build, BUILD_LIST),
            test: read(&request.test, TEST_LIST),
            build_limits: request.build_limits.clone(),
        }
    }

    /// Everything a resolution has to meet: lines first, then limits.
    pub fn constraints(&self) -> Vec<Constraint> {
        let lines = self.lists.values().flatten().filter_map(|line| {
            let requirement = line.requirement.as_ref()?;
            Some(Constraint {
                name: requirement.name.clone(),
                text: requirement.to_string(),
                at: line.at.clone(),
                reason: None,
            })
        });
        let limits = self.limits.iter().map(|limit| Constraint {
            name: normalized(&limit.name),
            text: limit.text(),
            at: limit.at.clone(),
            reason: Some(limit.reason.clone()),
        });
        lines.chain(limits).collect()
    }

    /// The same less these.
    pub fn without(&self, dropped: &[&Constraint]) -> Self {
        let mut rest = self.clone();
        let is_dropped = |name: &str, at: &Place| {
            let same = |one: &&Constraint| one.name == name && one.at == *at;
            dropped.iter().any(same)
        };
        for lines in rest.lists.values_mut() {
            lines.retain(|line| match &line.requirement {
                Some(requirement) => !is_dropped(&requirement.name, &line.at),
                None => true,
            });
        }
        rest.limits
            .retain(|limit| !is_dropped(&normalized(&limit.name), &limit.at));
        rest
    }
}

/// Digest of all that decides; comments and blank lines do not. The version of
/// uv is in it by the list of build tools.
pub fn inputs_digest(request: &LockRequest) -> String {
    let sources = Sources::new(request);
    let mut text = format!("python {}\nplatform {}\n", request.python, request.platform);
    let mut add = |title: &str, lines: Vec<String>| {
        text.push_str(&format!("[{title}]\n"));
        lines
            .iter()
            .for_each(|line| text.push_str(&format!("{line}\n")));
    };
    let plain = |lines: &[Line]| lines.iter().map(|line| line.text.clone()).collect();
    let sorted = |limits: &[Limit]| {
        let mut lines: Vec<String> = limits.iter().map(Limit::text).collect();
        lines.sort();
        lines
    };
    for (list, lines) in &sources.lists {
        add(list.name(), plain(lines));
    }
    add("limits", sorted(&sources.limits));
    add("build", plain(&sources.build));
    if !sources.test.is_empty() {
        add("test", plain(&sources.test));
    }
    add("build limits", sorted(&sources.build_limits));
    digest(&text)
}

fn read(text: &str, file: &str) -> Vec<Line> {
    let lines = lines::read(text.as_bytes()).lines.into_iter();
    lines
        .map(|line| {
            let requirement = match statement::read(&line.text) {
                Statement::Requirement { requirement, .. } => Some(*requirement),
                _ => None,
            };
            Line {
                requirement,
                at: Place::line(file, line.position(0).0),
                text: line.text,
            }
        })
        .collect()
}
