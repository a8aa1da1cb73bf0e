//! From the monorepo's requirements files to one list and one lock per image, or
//! to the word that these are current.
//!
//! Nothing is written before all of it is known to be good: a list without the
//! locks that belong to it would be built into an image half.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    rc::Rc,
    time::Instant,
};

use diagnostics::{
    Exit, Failure,
    finding::{Finding, Severity},
};
use model::system::System;
use requirements::{
    file::{self, Files},
    list::List,
    lock::{self, LockError, Locked, Unmet, UnmetKind, Upgrade},
    lock_file::LockFile,
    marker::Environment,
    split::{self, Import, ImportUsage, Placed, Split, wheels},
    uv,
};
use serde::Serialize;

use super::{
    app::{App, scratch},
    project::{Installed, Project, Requirements},
};

/// What the images run on; the wheels must be for it.
const PLATFORM: &str = "x86_64-manylinux_2_28";

/// Rounds of leaving out what the index does not have. Each names everything it
/// finds, so that a second one is rare.
const ROUNDS_MAX: usize = 4;

/// What to split, and how.
#[derive(Debug, Clone, Default)]
pub struct SplitRequest {
    /// Requirements files; without any, that of the monorepo.
    pub files: Vec<PathBuf>,
    /// Folder for lists and locks; `None`: that of the repository.
    pub out: Option<PathBuf>,
    /// Write the lists only.
    pub no_lock: bool,
    /// Change nothing; fail if lists or locks are not current.
    pub check: bool,
    /// Lock the newest versions that the lists allow: of all packages, or of
    /// these.
    pub upgrade: bool,
    pub upgrade_package: Vec<String>,
}

/// The end of `split-requirements`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SplitReport {
    /// Each requirement, and where it went.
    pub requirements: Vec<Placed>,
    /// What is wrong with the files, and what is worth knowing.
    pub findings: Vec<Finding>,
    /// Pinned packages by lock file; empty if nothing was locked.
    pub locks: BTreeMap<String, usize>,
    /// Packages that are published as source only, and the lists with them.
    pub source_only: BTreeMap<String, Vec<List>>,
    /// Packages whose locked version is another now.
    pub moved: Vec<Moved>,
    /// Files that were written, or that would be with `--dry-run`.
    pub written: Vec<String>,
    /// Time that all of it took, in ms.
    pub elapsed_ms: u64,
    #[serde(skip)]
    pub remarks: Vec<String>,
    #[serde(skip)]
    pub checked: bool,
    #[serde(skip)]
    pub dry_run: bool,
}

/// A package whose locked version is another now.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Moved {
    /// Normalised name of the package.
    pub name: String,
    /// The version that was locked.
    pub from: String,
    /// The version that is.
    pub to: String,
}

/// Why there is no report.
#[derive(Debug)]
pub struct Unlocked {
    /// What was found before the locks were tried.
    pub findings: Vec<Finding>,
    pub failure: Failure,
}

impl From<Failure> for Unlocked {
    fn from(failure: Failure) -> Self {
        Unlocked {
            findings: Vec::new(),
            failure,
        }
    }
}

/// Splits and locks, and writes what has changed; or only checks.
///
/// # Errors
/// Nothing was written, with what was found so far. A report may come with a
/// failure, too.
pub fn split(
    app: &App,
    project: &Project,
    asked: &SplitRequest,
) -> Result<(SplitReport, Option<Failure>), Unlocked> {
    let started = Instant::now();
    let work = Work::read(project, asked)?;
    let (mut split, locked, stale) = if asked.check {
        let (split, stale) = check(&work)?;
        (split, None, stale)
    } else if asked.no_lock {
        (work.split(&Known::default()), None, None)
    } else if let Some(split) = work.current(asked)? {
        (split, None, None)
    } else {
        let (split, locked) = lock(app, &work, asked)?;
        (split, Some(locked), None)
    };
    if let Some(locked) = &locked {
        split.findings.extend(cuda_in_cpu_images(&split, locked));
    }
    let incomplete = !asked.check && split.findings.iter().any(loses_requirements);
    let written = match asked.check || incomplete {
        true => Vec::new(),
        false => write(app, &work, &split, locked.as_ref())?,
    };
    let failure = stale.or_else(|| verdict(&split.findings, incomplete).err());
    let locked = locked.unwrap_or_default();
    let moved = locked.moved.into_iter();
    let moved = moved.map(|(name, from, to)| Moved { name, from, to });
    let report = SplitReport {
        requirements: split.requirements,
        findings: split.findings,
        locks: locked.pins,
        source_only: locked.source_only,
        moved: moved.collect(),
        written,
        elapsed_ms: started.elapsed().as_millis() as u64,
        remarks: locked.remarks,
        checked: asked.check,
        dry_run: app.settings.dry_run,
    };
    Ok((report, failure))
}

/// What is known before anything is written.
struct Work<'p> {
    requirements: &'p Requirements,
    installed: Rc<Installed>,
    files: Files,
    usage: ImportUsage,
    environment: Environment,
    out: PathBuf,
    python: String,
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

impl<'p> Work<'p> {
    fn read(project: &'p Project, asked: &SplitRequest) -> Result<Self, Failure> {
        let system = &project.system;
        let requirements = project.requirements();
        let paths = match asked.files.is_empty() {
            true => vec![default_file(&system.monorepo)?],
            false => asked.files.clone(),
        };
        let files = file::read(&paths, &mut file::from_disk);
        let usage = usage(project)?;
        let python = system.base.python.to_string();
        Ok(Work {
            environment: Environment::of_python(&python),
            out: asked
                .out
                .clone()
                .unwrap_or_else(|| requirements.folder.clone()),
            requirements,
            installed: project.installed()?,
            files,
            usage,
            python,
        })
    }

    fn split(&self, known: &Known) -> Split {
        split::split(&split::SplitInput {
            files: &self.files,
            rules: &self.requirements.rules,
            usage: Some(&self.usage),
            installed: &self.installed,
            locked: &known.locked,
            refused: &known.refused,
            source_only: &known.source_only,
            environment: &self.environment,
        })
    }

    /// What there is, if it is what locking would make again: asking the index
    /// costs seconds, and a network.
    fn current(&self, asked: &SplitRequest) -> Result<Option<Split>, Failure> {
        if asked.upgrade || !asked.upgrade_package.is_empty() {
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

    fn request(&self, split: &Split) -> Result<lock::LockRequest, Failure> {
        // The tools belong to the images of this repository.
        let read = |name: &str| {
            let path = self.requirements.folder.join(name);
            fs::read_to_string(&path).map_err(|error| {
                let message = format!("`{}` cannot be read: {error}", path.display());
                Failure::new(Exit::Findings, message).hint("restore it from the repository")
            })
        };
        let test = match self.requirements.folder.join(lock::TEST_LIST).exists() {
            true => read(lock::TEST_LIST)?,
            false => String::new(),
        };
        let build = read(lock::BUILD_LIST)?;
        Ok(lock::LockRequest {
            lists: split.lists.clone(),
            limits: split::limits(&self.files, &self.requirements.rules, &self.environment),
            build,
            test,
            build_limits: self.requirements.rules.build.clone(),
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
fn usage(project: &Project) -> Result<ImportUsage, Failure> {
    let mut imports = Vec::new();
    for agent in project.scans()?.iter() {
        let lists = lists_of(&project.system, &agent.manifest_image);
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
    Ok(ImportUsage { imports })
}

/// The lists of an image besides core; core alone for an image of nothing else.
fn lists_of(system: &System, image: &str) -> Vec<List> {
    let mut found = BTreeSet::new();
    for name in system.chain(image).flat_map(|image| image.lists()) {
        found.extend(List::ALL.into_iter().filter(|list| name == list.name()));
    }
    if found.len() > 1 {
        found.remove(&List::Core);
    }
    found.into_iter().collect()
}

/// Splits and locks; what the index does not have is left out and reported.
fn lock(app: &App, work: &Work<'_>, asked: &SplitRequest) -> Result<(Split, Locked), Unlocked> {
    let upgrade = match (asked.upgrade, asked.upgrade_package.is_empty()) {
        (true, _) => Upgrade::All,
        (false, true) => Upgrade::None,
        (false, false) => Upgrade::Packages(asked.upgrade_package.clone()),
    };
    let scratch = scratch()?;
    let build_lock = work.requirements.folder.join(uv::BUILD_LOCK);
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
                return Err(Unlocked {
                    findings: split.findings,
                    failure: error.into_failure(Exit::Findings),
                });
            }
        }
    }
    let message = "the index refuses more requirements each time some are left out";
    let failure = Failure::new(Exit::Findings, message)
        .detail(known.refused.into_values())
        .hint("correct these, and run the command again");
    Err(failure.into())
}

/// Adds what the index does not have; false if there is anything else that
/// cannot be met, or nothing new.
fn refuse(unmet: &[Unmet], refused: &mut BTreeMap<String, String>) -> bool {
    let before = refused.len();
    let absent = |one: &Unmet| {
        let kinds = [
            UnmetKind::NoSuchVersion,
            UnmetKind::NoSuchPackage,
            UnmetKind::NotForPlatform,
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

/// Whether lists and locks are what the command would make; changes nothing.
fn check(work: &Work<'_>) -> Result<(Split, Option<Failure>), Failure> {
    let (mut split, problems) = work.judged()?;
    let mut stale = Vec::new();
    for (list, text) in &split.lists {
        if lock::differs(&work.out, &list.file(), text) {
            stale.push(work.out.join(list.file()).display().to_string());
        }
    }
    let found = problems.iter().map(lock::LockProblem::finding);
    split.findings.extend(found);
    if stale.is_empty() && problems.is_empty() {
        return Ok((split, None));
    }
    let failure = Failure::new(Exit::Findings, "lists or locks are not current")
        .detail(stale.into_iter().map(|path| format!("{path} differs")))
        .hint("`cargo xtask split-requirements` renews them");
    Ok((split, Some(failure)))
}

/// Puts lists and locks into place; returns the names of what changed.
fn write(
    app: &App,
    work: &Work<'_>,
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
    if app.settings.dry_run {
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
