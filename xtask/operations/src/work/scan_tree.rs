//! What the agents' code imports, which image fits each agent, and where code and
//! manifest disagree. Runs no podman and no agent.

use std::{collections::BTreeSet, rc::Rc, time::Instant};

use diagnostics::{Exit, Failure, finding::Finding};
use model::{plan::spec::hash_of, system::System};
use python::{
    facts::FileFacts,
    memory::Memory,
    modules::Sources,
    tree::{self, Skipped, Tree},
};
use requirements::rules::Rules;
use serde::Serialize;

use super::{
    app::{App, scratch},
    choose::select,
    project::{Project, version},
};
use crate::scan::{self, AgentScan};

/// A whole tree, read and judged.
#[derive(Debug)]
pub struct Scan {
    project: Project,
    names: BTreeSet<String>,
    counts: Counts,
    scans: Rc<Vec<AgentScan>>,
    findings: Vec<Finding>,
    files: Vec<Rc<FileFacts>>,
    skipped: Vec<Skipped>,
    elapsed_ms: u64,
}

/// The end of `scan`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScanReport<'s> {
    /// The monorepo.
    pub root: String,
    /// The version that the code was read for.
    pub python: String,
    /// How many files there are, of which kinds.
    pub counts: Counts,
    /// Those that were asked for, in start order.
    pub agents: Vec<&'s AgentScan>,
    /// What would keep agents from starting, and what is worth knowing.
    pub findings: &'s [Finding],
    /// All Python files that were read.
    pub files: Vec<ScannedFile<'s>>,
    /// What was not read, and why.
    pub skipped: &'s [Skipped],
    /// Time that all of it took, in ms.
    pub elapsed_ms: u64,
}

/// One file of the tree.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScannedFile<'s> {
    #[serde(flatten)]
    pub facts: &'s FileFacts,
    /// The folder that says that the file is no longer in use; null if it is in use.
    pub archived: Option<&'s str>,
}

/// How many files there are, of which kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counts {
    /// All Python files.
    pub files: usize,
    /// Those in use.
    pub live: usize,
    /// Those in folders that the rules call archived.
    pub archived: usize,
    /// Files in use that do not parse.
    pub unparsable_live: usize,
    /// Archived files that do not parse.
    pub unparsable_archived: usize,
    /// Of the files that parse.
    pub lines: u64,
    /// Of all files.
    pub bytes: u64,
}

/// Reads all files of the monorepo and judges the agents that are named; all
/// without names.
pub fn scan(app: &App, names: &[String]) -> Result<Scan, Failure> {
    let started = Instant::now();
    let project = Project::open(app)?;
    let names = chosen(&project.system, names)?;
    let tree = std::thread::scope(|scope| {
        let system = &project.system;
        let tree = scope.spawn(|| read(system));
        // Asked for below; takes about as long.
        let installed = project.installed();
        let tree = tree.join().expect("reading does not panic")?;
        installed.map(|_| tree)
    })?;
    let counts = count(&tree, &project.requirements().rules);
    let root = project.system.monorepo.clone();
    let sources = Sources::new(root, version(&project.system), tree.files);
    let project = project.with_sources(sources);
    let files = project.sources().known();
    let scans = project.scans()?;
    let agents = scans.iter().filter(|agent| names.contains(&agent.name));
    let agents: Vec<&AgentScan> = agents.collect();
    let provided = &project.requirements().provided;
    let findings = scan::check::check(&project.system, &agents, project.sources(), provided);
    Ok(Scan {
        names,
        counts,
        findings,
        files,
        skipped: tree.skipped,
        elapsed_ms: started.elapsed().as_millis() as u64,
        scans,
        project,
    })
}

impl Scan {
    /// What there is to tell of it.
    pub fn report(&self) -> ScanReport<'_> {
        let rules = &self.project.requirements().rules;
        let agents = self.scans.iter();
        ScanReport {
            root: self.project.system.monorepo.display().to_string(),
            python: self.project.system.base.python.to_string(),
            counts: self.counts,
            agents: agents
                .filter(|agent| self.names.contains(&agent.name))
                .collect(),
            findings: &self.findings,
            files: self.files.iter().map(|file| mark(rules, file)).collect(),
            skipped: &self.skipped,
            elapsed_ms: self.elapsed_ms,
        }
    }
}

fn chosen(system: &System, names: &[String]) -> Result<BTreeSet<String>, Failure> {
    if names.is_empty() {
        let all = system.agents.iter().map(|agent| agent.name.clone());
        return Ok(all.collect());
    }
    select(system, names, true)
}

/// Every Python file of the monorepo.
fn read(system: &System) -> Result<Tree, Failure> {
    let options = tree::Options {
        version: version(system),
        ..tree::Options::default()
    };
    let root = system.monorepo.display().to_string();
    let file = scratch()?.join(format!("scan-{}.json", hash_of(&root)));
    let memory = Memory::open(file, format!("{} {}", options.version, own_version()));
    tree::scan(&system.monorepo, &options, &memory).map_err(|error| {
        let root = system.monorepo.display();
        Failure::new(Exit::Manifest, format!("`{root}` cannot be read: {error}"))
    })
}

/// Another build of this tool may find other things in a file.
fn own_version() -> String {
    let about = std::env::current_exe().and_then(std::fs::metadata);
    about.map_or_else(
        |_| "unknown".to_owned(),
        |about| format!("{:?} {}", about.modified().ok(), about.len()),
    )
}

fn mark<'s>(rules: &Rules, facts: &'s FileFacts) -> ScannedFile<'s> {
    ScannedFile {
        archived: archived(rules, &facts.path),
        facts,
    }
}

/// The first folder on the way to a file that the rules call archived.
fn archived<'p>(rules: &Rules, path: &'p str) -> Option<&'p str> {
    let (folders, _) = path.rsplit_once('/')?;
    folders.split('/').find(|folder| rules.is_archived(folder))
}

fn count(tree: &Tree, rules: &Rules) -> Counts {
    let mut counts = Counts {
        lines: tree.lines,
        bytes: tree.bytes,
        ..Counts::default()
    };
    for file in &tree.files {
        counts.files += 1;
        let broken = usize::from(!file.parses());
        if archived(rules, &file.path).is_some() {
            counts.archived += 1;
            counts.unparsable_archived += broken;
        } else {
            counts.live += 1;
            counts.unparsable_live += broken;
        }
    }
    counts
}

/// Fails if agents could not start.
pub fn verdict(findings: &[Finding]) -> Result<(), Failure> {
    let errors = scan::check::stopping(findings).count();
    if errors == 0 {
        return Ok(());
    }
    let what = if errors == 1 {
        "finding keeps"
    } else {
        "findings keep"
    };
    let message = format!("{errors} {what} agents from starting");
    Err(Failure::new(Exit::Findings, message)
        .hint("each stands above with its remedy; docs/troubleshooting.md explains the ids"))
}
