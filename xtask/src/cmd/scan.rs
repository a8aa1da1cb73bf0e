//! `scan`: what the agents' code imports, which image fits each agent, and
//! where code and manifest disagree. Runs no podman and no agent.

use std::{collections::BTreeSet, rc::Rc, time::Instant};

use serde::Serialize;

use super::{App, code::Code, scratch, select};
use python::{
    facts::FileFacts,
    memory::Memory,
    modules::Sources,
    tree::{self, Skipped, Tree},
};

use crate::{
    scan::{self, AgentScan, Category},
    ui::{Paint, table},
};
use diagnostics::{
    Exit, Failure,
    finding::{Finding, Severity},
    words::seconds,
};
use model::{plan::spec::hash_of, system::System};
use requirements::rules::Rules;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Agents and groups to judge; the files of the whole tree are read [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Fail if an agent could not start: for CI
    #[arg(long)]
    check: bool,
    /// Show remarks and the files that do not parse, too
    #[arg(long)]
    all: bool,
}

/// The end of `scan`.
#[derive(Serialize)]
struct Summary<'s> {
    root: String,
    python: String,
    counts: Counts,
    agents: &'s [AgentScan],
    findings: &'s [Finding],
    files: Vec<File<'s>>,
    /// What was not read, and why.
    skipped: &'s [Skipped],
    elapsed_ms: u64,
}

#[derive(Serialize)]
struct File<'s> {
    #[serde(flatten)]
    facts: &'s FileFacts,
    /// The folder that says that the file is no longer in use.
    archived: Option<&'s str>,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Counts {
    files: usize,
    live: usize,
    archived: usize,
    unparsable_live: usize,
    unparsable_archived: usize,
    lines: u64,
    bytes: u64,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let started = Instant::now();
    let system = app.system()?;
    let names = chosen(&system, &args.names)?;
    let (tree, code) = std::thread::scope(|scope| {
        let tree = scope.spawn(|| read(&system));
        let code = Code::load(app, &system);
        (tree.join().expect("reading does not panic"), code)
    });
    let (tree, code) = (tree?, code?);
    let counts = count(&tree, &code.rules);
    let skipped = tree.skipped;
    let sources = Sources::new(
        system.monorepo.clone(),
        super::code::version(&system),
        tree.files,
    );
    let files = sources.known();
    let agents = code.agents(&system, &sources, &|agent| names.contains(&agent.name));
    let findings = scan::check::check(&system, &agents, &sources, &code.provided);
    let elapsed_ms = started.elapsed().as_millis() as u64;
    if app.ui.json_wanted() {
        app.ui.json(
            "scan",
            &Summary {
                root: system.monorepo.display().to_string(),
                python: system.base.python.to_string(),
                counts,
                agents: &agents,
                findings: &findings,
                files: files.iter().map(|file| mark(&code.rules, file)).collect(),
                skipped: &skipped,
                elapsed_ms,
            },
        );
    } else {
        show_agents(app, &agents);
        show_findings(app, &findings, args.all);
        show_files(app, &code.rules, &files, &skipped, args.all);
        show_counts(app, &counts, &skipped, elapsed_ms);
    }
    verdict(args, &findings)
}

fn chosen(system: &System, names: &[String]) -> Result<BTreeSet<String>, Failure> {
    if names.is_empty() {
        let all = system.agents.iter().map(|agent| agent.name.clone());
        return Ok(all.collect());
    }
    select(system, names, true)
}

/// Every Python file of the monorepo.
pub fn read(system: &System) -> Result<Tree, Failure> {
    let options = tree::Options {
        version: super::code::version(system),
        ..tree::Options::default()
    };
    let root = system.monorepo.display().to_string();
    let file = scratch().join(format!("scan-{}.json", hash_of(&root)));
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

fn mark<'s>(rules: &'s Rules, facts: &'s FileFacts) -> File<'s> {
    File {
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

fn verdict(args: &Args, findings: &[Finding]) -> Result<(), Failure> {
    let errors = scan::check::stopping(findings).count();
    if !args.check || errors == 0 {
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

fn show_agents(app: &App, agents: &[AgentScan]) {
    let head = ["AGENT", "CATEGORY", "FITS", "MANIFEST", "HARD", "SOFT"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(agents.iter().map(|agent| row(app, agent)));
    for line in table::render(&rows) {
        app.ui.out(line);
    }
}

fn row(app: &App, agent: &AgentScan) -> Vec<String> {
    let category = match agent.category {
        Category::None => "none",
        Category::Light => "light",
        Category::Heavy => "heavy",
    };
    let list = |names: &[String]| match names {
        [] => "-".to_owned(),
        names => names.join(" "),
    };
    let fits = match &agent.image {
        _ if agent.missing => app.ui.paint(Paint::Dim, "no script"),
        None => app.ui.paint(Paint::Bad, "none"),
        Some(image) => image.clone(),
    };
    let same = agent.missing || agent.image.as_ref() == Some(&agent.manifest_image);
    let paint = if same { Paint::Dim } else { Paint::Warn };
    vec![
        agent.name.clone(),
        category.to_owned(),
        fits,
        app.ui.paint(paint, &agent.manifest_image),
        list(&agent.hard),
        list(&agent.soft),
    ]
}

/// Findings as compilers print them, so that editors find the place.
pub fn show_findings(app: &App, findings: &[Finding], all: bool) {
    let mut remarks = 0;
    for finding in findings {
        if finding.severity == Severity::Remark && !all {
            remarks += 1;
            continue;
        }
        let mark = match finding.severity {
            Severity::Error => app.ui.paint(Paint::Bad, "error"),
            Severity::Warning => app.ui.paint(Paint::Warn, "warning"),
            Severity::Remark => app.ui.paint(Paint::Dim, "remark"),
        };
        let place = format!("{}:{}:{}", finding.file, finding.line, finding.column);
        app.ui.out(format!(
            "{place}: {mark}: {} [{}]",
            finding.message, finding.id
        ));
        if let Some(hint) = &finding.hint {
            app.ui.out(format!("    {hint}"));
        }
    }
    match remarks {
        0 => {}
        1 => app.ui.out("1 remark; --all shows it"),
        more => app.ui.out(format!("{more} remarks; --all shows them")),
    }
}

fn show_files(app: &App, rules: &Rules, files: &[Rc<FileFacts>], skipped: &[Skipped], all: bool) {
    if !all {
        return;
    }
    for file in files {
        let Some(error) = &file.error else { continue };
        let state = match archived(rules, &file.path) {
            Some(folder) => format!("archived by `{folder}`"),
            None => "live".to_owned(),
        };
        app.ui.out(format!("{}:{error} ({state})", file.path));
    }
    for skipped in skipped {
        app.ui.out(format!("{}: {}", skipped.path, skipped.reason));
    }
}

fn show_counts(app: &App, counts: &Counts, skipped: &[Skipped], elapsed_ms: u64) {
    let Counts {
        files,
        live,
        archived,
        ..
    } = counts;
    let broken = (counts.unparsable_live, counts.unparsable_archived);
    let parsing = match broken {
        (0, 0) => "all parse".to_owned(),
        (live, 0) => format!("{live} do not parse"),
        (live, archived) => format!("{live} live and {archived} archived ones do not parse"),
    };
    let skipped = match skipped.len() {
        0 => String::new(),
        count => format!(", {count} skipped"),
    };
    app.ui.out(format!(
        "{files} files: {live} live, {archived} archived{skipped}; {parsing}; {}",
        seconds(elapsed_ms)
    ));
}
