//! `split-requirements`: from the monorepo's requirements files to one list and
//! one lock per image, or to the word that these are current.
//!
//! Nothing is written before all of it is known to be good: a list without the
//! locks that belong to it would be built into an image half.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use super::{
    App,
    code::{self, Code},
    scan::show_findings,
    scratch,
    split_report::{Ending, report},
};
use diagnostics::{
    Exit, Failure,
    finding::{Finding, Severity},
};
use model::system::System;
use requirements::{
    file::{self, Files},
    list::List,
    lock::{self, Kind, LockError, Locked, Unmet, Upgrade},
    lock_file::LockFile,
    marker::Environment,
    split::{self, Import, Split, Usage, wheels},
    uv,
};

/// What the images run on; the wheels must be for it.
const PLATFORM: &str = "x86_64-manylinux_2_28";

/// Rounds of leaving out what the index does not have. Each names everything it
/// finds, so that a second one is rare.
const ROUNDS_MAX: usize = 4;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Requirements files [default: requirements.txt of the monorepo or of its main_pc_code]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Folder for lists and locks [default: requirements/ of this checkout]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the lists only
    #[arg(long, conflicts_with_all = ["upgrade", "upgrade_package"])]
    no_lock: bool,
    /// Change nothing; fail if lists or locks are not current: for CI, needs no network
    #[arg(long, conflicts_with_all = ["upgrade", "upgrade_package"])]
    check: bool,
    /// Show remarks, too
    #[arg(long)]
    all: bool,
    /// Lock the newest versions that the lists allow
    #[arg(long)]
    upgrade: bool,
    /// Lock the newest version of this package; may be repeated
    #[arg(long, value_name = "NAME", conflicts_with = "upgrade")]
    upgrade_package: Vec<String>,
}

impl Args {
    fn ending<'e>(&self, written: &'e [String], started: Instant) -> Ending<'e> {
        Ending {
            check: self.check,
            all: self.all,
            written,
            elapsed_ms: started.elapsed().as_millis() as u64,
        }
    }
}

/// What is known before anything is written.
struct Work {
    code: Code,
    files: Files,
    usage: Usage,
    environment: Environment,
    out: PathBuf,
    python: String,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let started = Instant::now();
    let system = app.system_without_locks()?;
    let work = Work::read(app, &system, args)?;
    if args.check {
        return check(app, &work, args, started);
    }
    let _lock = app.lock(&system, "split-requirements")?;
    let (mut split, locked) = if args.no_lock {
        (work.split(&Known::default()), None)
    } else if let Some(split) = work.current(args)? {
        (split, None)
    } else {
        let (split, locked) = lock(app, &work, args)?;
        (split, Some(locked))
    };
    if let Some(locked) = &locked {
        split.findings.extend(cuda_in_cpu_images(&split, locked));
    }
    let incomplete = split.findings.iter().any(loses_requirements);
    let written = if incomplete {
        Vec::new()
    } else {
        write(app, &work, &split, locked.as_ref())?
    };
    report(
        app,
        &split,
        locked.as_ref(),
        &args.ending(&written, started),
    );
    verdict(&split.findings, incomplete)
}

/// What locking has told, or the locks that there are.
#[derive(Default)]
struct Known {
    /// Names in the locks: what an image has, though no list asks for it.
    locked: BTreeSet<String>,
    /// What the index does not have, and why.
    refused: BTreeMap<String, String>,
    source_only: BTreeSet<String>,
}

impl Known {
    fn read(&mut self, files: &BTreeMap<String, String>) {
        let names = List::ALL.map(lock::lock_name);
        let locks = names.iter().filter_map(|name| files.get(name));
        for lock in locks.filter_map(|text| LockFile::parse(text).ok()) {
            self.locked
                .extend(lock.pins.into_iter().map(|pin| pin.name));
        }
        let source = files.get(lock::SOURCE);
        if let Some(Ok(source)) = source.map(|text| LockFile::parse(text)) {
            self.source_only = source.pins.into_iter().map(|pin| pin.name).collect();
        }
    }
}

/// A file that cannot be read may hold anything: what is made without it would
/// take packages away from the images.
fn loses_requirements(finding: &Finding) -> bool {
    let unread = ["unreadable", "missing-include"].contains(&finding.id);
    unread && finding.severity == Severity::Error
}

impl Work {
    fn read(app: &App, system: &System, args: &Args) -> Result<Self, Failure> {
        let code = Code::load(app, system)?;
        let paths = match args.files.is_empty() {
            true => vec![default_file(&system.monorepo)?],
            false => args.files.clone(),
        };
        let files = file::read(&paths, &mut file::from_disk);
        let usage = usage(system, &code);
        let python = system.base.python.to_string();
        Ok(Work {
            environment: Environment::of_python(&python),
            out: args.out.clone().unwrap_or_else(|| code.folder.clone()),
            code,
            files,
            usage,
            python,
        })
    }

    fn split(&self, known: &Known) -> Split {
        split::split(&split::Request {
            files: &self.files,
            rules: &self.code.rules,
            usage: Some(&self.usage),
            installed: &self.code.installed,
            locked: &known.locked,
            refused: &known.refused,
            source_only: &known.source_only,
            environment: &self.environment,
        })
    }

    /// What there is, if it is what locking would make again: asking the index
    /// costs seconds, and a network.
    fn current(&self, args: &Args) -> Result<Option<Split>, Failure> {
        if args.upgrade || !args.upgrade_package.is_empty() {
            return Ok(None);
        }
        let (split, problems) = self.judged()?;
        Ok(problems.is_empty().then_some(split))
    }

    /// The split as the locks there are let it be, and what is wrong with them.
    fn judged(&self) -> Result<(Split, Vec<lock::LockProblem>), Failure> {
        let mut known = Known::default();
        known.read(&self.existing()?);
        let split = self.split(&known);
        let problems = lock::check(&self.request(&split)?);
        Ok((split, problems))
    }

    fn request(&self, split: &Split) -> Result<lock::Request, Failure> {
        // The tools belong to the images of this repository.
        let read = |name: &str| {
            let path = self.code.folder.join(name);
            fs::read_to_string(&path).map_err(|error| {
                let message = format!("`{}` cannot be read: {error}", path.display());
                Failure::new(Exit::Findings, message).hint("restore it from the repository")
            })
        };
        let test = match self.code.folder.join(lock::TEST_LIST).exists() {
            true => read(lock::TEST_LIST)?,
            false => String::new(),
        };
        let build = read(lock::BUILD_LIST)?;
        Ok(lock::Request {
            lists: split.lists.clone(),
            limits: split::limits(&self.files, &self.code.rules, &self.environment),
            build,
            test,
            build_limits: self.code.rules.build.clone(),
            python: self.python.clone(),
            platform: PLATFORM.to_owned(),
            existing: self.existing()?,
        })
    }

    /// The locks that there are, text by file name.
    fn existing(&self) -> Result<BTreeMap<String, String>, Failure> {
        lock::read(&self.out)
            .map_err(|error| Failure::new(Exit::Findings, format!("locks cannot be read: {error}")))
    }
}

fn default_file(monorepo: &Path) -> Result<PathBuf, Failure> {
    let candidates = ["requirements.txt", "main_pc_code/requirements.txt"];
    let paths = candidates.map(|name| monorepo.join(name));
    let found = paths.iter().find(|path| path.is_file());
    found.cloned().ok_or_else(|| {
        let message = format!("there is no requirements.txt in `{}`", monorepo.display());
        Failure::new(Exit::Usage, message).hint("name the files to split")
    })
}

/// What the agents of the manifest import, and the lists of their images.
fn usage(system: &System, code: &Code) -> Usage {
    let sources = code::sources(system);
    let mut imports = Vec::new();
    for agent in code.agents(system, &sources, &|_| true) {
        let lists = lists_of(system, &agent.manifest_image);
        for at in agent.closure.packages.values() {
            imports.extend(at.modules.iter().map(|module| Import {
                module: module.clone(),
                agent: Some(agent.name.clone()),
                file: at.file.clone(),
                line: at.line as usize,
                hard: at.hard,
                lists: lists.clone(),
            }));
        }
    }
    Usage { imports }
}

/// The lists of an image besides core; core alone for an image of nothing else.
fn lists_of(system: &System, image: &str) -> Vec<List> {
    let mut found = BTreeSet::new();
    let mut at = system.images.get(image);
    while let Some(image) = at {
        let lists = List::ALL.into_iter();
        found
            .extend(lists.filter(|list| image.requirements.iter().any(|name| name == list.name())));
        at = system.images.get(&image.parent);
    }
    if found.len() > 1 {
        found.remove(&List::Core);
    }
    found.into_iter().collect()
}

/// Splits and locks; what the index does not have is left out and reported.
fn lock(app: &App, work: &Work, args: &Args) -> Result<(Split, Locked), Failure> {
    let upgrade = match (args.upgrade, args.upgrade_package.is_empty()) {
        (true, _) => Upgrade::All,
        (false, true) => Upgrade::None,
        (false, false) => Upgrade::Packages(args.upgrade_package.clone()),
    };
    let scratch = scratch();
    let build_lock = work.code.folder.join(uv::BUILD_LOCK);
    let build_lock = fs::read_to_string(&build_lock).unwrap_or_default();
    let say = |line: &str| app.ui.note(line);
    let uv = uv::find(&build_lock, &scratch, &app.cancel, &say)?;
    let mut known = Known::default();
    for _ in 0..ROUNDS_MAX {
        let split = work.split(&known);
        let request = work.request(&split)?;
        match lock::lock(&request, &upgrade, &uv, &scratch, &app.cancel) {
            Ok(locked) => {
                known.read(&locked.files);
                return Ok((work.split(&known), locked));
            }
            Err(LockError::Unmet { unmet, .. }) if refuse(&unmet, &mut known.refused) => {}
            Err(error) => {
                show_findings(app, &split.findings, false);
                return Err(error.into_failure(Exit::Findings));
            }
        }
    }
    Err(Failure::new(
        Exit::Findings,
        "the index refuses more requirements each time some are left out",
    )
    .detail(known.refused.into_values())
    .hint("correct these, and run the command again"))
}

/// Adds what the index does not have; false if there is anything else that
/// cannot be met, or nothing new.
fn refuse(unmet: &[Unmet], refused: &mut BTreeMap<String, String>) -> bool {
    let before = refused.len();
    let absent = |one: &Unmet| {
        let kinds = [
            Kind::NoSuchVersion,
            Kind::NoSuchPackage,
            Kind::NotForPlatform,
        ];
        kinds.contains(&one.kind) && !one.culprits.is_empty()
    };
    if !unmet.iter().all(absent) {
        return false;
    }
    for one in unmet {
        for culprit in &one.culprits {
            refused.insert(culprit.name.clone(), one.to_string());
        }
    }
    refused.len() > before
}

/// CUDA in the core and audio images, and who brings it.
fn cuda_in_cpu_images(split: &Split, locked: &Locked) -> Vec<Finding> {
    let mut findings = Vec::new();
    for list in List::ALL {
        let text = locked.files.get(&lock::lock_name(list));
        let Some(Ok(lock)) = text.map(|text| LockFile::parse(text)) else {
            continue;
        };
        let packages = lock.pins.iter();
        let packages = packages.map(|pin| (pin.name.clone(), pin.release.to_string()));
        let via = lock.pins.iter();
        let via = via.map(|pin| (pin.name.clone(), pin.via.clone()));
        let (packages, via) = (packages.collect(), via.collect());
        findings.extend(wheels::check(list, &packages, &via, &split.requirements));
    }
    findings
}

fn check(app: &App, work: &Work, args: &Args, started: Instant) -> Result<(), Failure> {
    let (mut split, problems) = work.judged()?;
    let mut stale = Vec::new();
    for (list, text) in &split.lists {
        if lock::differs(&work.out, &list.file(), text) {
            stale.push(work.out.join(list.file()).display().to_string());
        }
    }
    split
        .findings
        .extend(problems.iter().map(lock::LockProblem::finding));
    report(app, &split, None, &args.ending(&[], started));
    if !stale.is_empty() || !problems.is_empty() {
        return Err(
            Failure::new(Exit::Findings, "lists or locks are not current")
                .detail(stale.into_iter().map(|path| format!("{path} differs")))
                .hint("`cargo xtask split-requirements` renews them"),
        );
    }
    verdict(&split.findings, false)
}

/// Puts lists and locks into place; returns the names of what changed.
fn write(
    app: &App,
    work: &Work,
    split: &Split,
    locked: Option<&Locked>,
) -> Result<Vec<String>, Failure> {
    let failed = |error: std::io::Error| {
        let message = format!("cannot write to `{}`: {error}", work.out.display());
        Failure::new(Exit::Findings, message)
            .hint("`--check` tells which files do not belong together; run it again")
    };
    let differs = |name: &str, text: &str| lock::differs(&work.out, name, text);
    let lists = split.lists.iter().map(|(list, text)| (list.file(), text));
    let lists: Vec<_> = lists.filter(|(name, text)| differs(name, text)).collect();
    let mut changed: Vec<String> = lists.iter().map(|(name, _)| name.clone()).collect();
    if app.global.dry_run {
        let locks = locked.iter().flat_map(|locked| &locked.files);
        let locks = locks.filter(|(name, text)| differs(name, text));
        changed.extend(locks.map(|(name, _)| name.clone()));
        return Ok(changed);
    }
    fs::create_dir_all(&work.out).map_err(failed)?;
    for (name, text) in lists {
        lock::put(&work.out, &name, text).map_err(failed)?;
    }
    if let Some(locked) = locked {
        changed.extend(lock::publish(&work.out, locked).map_err(failed)?);
    }
    Ok(changed)
}

fn verdict(findings: &[Finding], incomplete: bool) -> Result<(), Failure> {
    let errors = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .count();
    if errors == 0 {
        return Ok(());
    }
    let what = if errors == 1 {
        "finding needs"
    } else {
        "findings need"
    };
    let message = format!("{errors} {what} a correction");
    let left = match incomplete {
        true => "a file cannot be read, so nothing was written",
        false => "what they are about is left out, the rest was dealt with",
    };
    Err(Failure::new(Exit::Findings, message).hint(left))
}
