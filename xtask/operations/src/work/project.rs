//! The project: its manifest and its code, each read once and handed down to
//! whatever a command does with them.

use std::{
    cell::{OnceCell, RefCell},
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    rc::Rc,
};

use diagnostics::{Exit, Failure};
use model::system::{self, Image, Pointer, SERVING, Source, System, lock_file};
use python::{PythonVersion, modules::Sources};
use requirements::{
    distributions::Resolver,
    lock_file,
    rules::{self, Rules},
};

use super::{
    app::{App, scratch},
    failures::unreadable,
    secrets::{self, Values},
};
use crate::{
    images::recipes::{self, CodeFiles, LeftOut},
    podman::inside,
    scan::{self, AgentScan, Provided},
    ui,
};

/// What is installed where: top-level modules of the built images, and the
/// distributions that they come from.
pub type Installed = BTreeMap<String, Vec<String>>;

/// A manifest and the code that it is about.
///
/// What is read is kept, and belongs to one thread: the caches are cells.
#[derive(Debug)]
pub struct Project {
    pub system: System,
    verbose: bool,
    requirements: Requirements,
    sources: Sources,
    installed: RefCell<Option<Rc<Installed>>>,
    scans: RefCell<Option<Rc<Vec<AgentScan>>>>,
    left_out: OnceCell<LeftOut>,
    code_files: OnceCell<CodeFiles>,
    secrets: secrets::Cache,
}

/// What `requirements/` of the repository says: the user's rules, and the locks.
#[derive(Debug)]
pub struct Requirements {
    pub folder: PathBuf,
    pub rules: Rules,
    /// What the lists' locks provide; one that is not there provides nothing.
    pub provided: Provided,
}

impl Project {
    /// Reads manifest, rules and locks; the code is read when it is asked for.
    ///
    /// # Errors
    /// With all problems of the manifest or of the rules, which have been shown.
    pub fn open(app: &App) -> Result<Self, Failure> {
        Project::of(app, app.load(&|source| system::load(source))?)
    }

    /// As `open`, for the command that makes the locks: they may be missing.
    pub fn open_without_locks(app: &App) -> Result<Self, Failure> {
        let read = |source: &Source| system::load_without_locks(source);
        Project::of(app, app.load(&read)?)
    }

    /// As `open`, for tests: what they build is not what is deployed next.
    pub fn open_for_tests(app: &App) -> Result<Self, Failure> {
        let mut system = app.load(&|source| system::load(source))?;
        system.image_pointer = Pointer::Test;
        Project::of(app, system)
    }

    /// The project of a system that has been read, a copy for instance.
    pub fn of(app: &App, system: System) -> Result<Self, Failure> {
        Ok(Project {
            requirements: Requirements::read(app, &system)?,
            sources: Sources::new(system.monorepo.clone(), version(&system), Vec::new()),
            system,
            verbose: app.settings.verbose,
            installed: RefCell::default(),
            scans: RefCell::default(),
            left_out: OnceCell::new(),
            code_files: OnceCell::new(),
            secrets: secrets::Cache::default(),
        })
    }

    /// Files of the code, as far as they were asked for.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The values of the secrets that these agents are given, each read once.
    pub fn secrets(&self, app: &App, agents: &BTreeSet<String>) -> Result<Values, Failure> {
        secrets::read(&self.system, agents, &self.secrets, &app.cancel)
    }

    /// Takes files that have been read in another way, for those that are not
    /// asked for yet.
    pub fn with_sources(self, sources: Sources) -> Self {
        Project { sources, ..self }
    }

    pub fn requirements(&self) -> &Requirements {
        &self.requirements
    }

    /// What the images with packages said about themselves when they were built.
    pub fn installed(&self) -> Result<Rc<Installed>, Failure> {
        if let Some(known) = &*self.installed.borrow() {
            return Ok(Rc::clone(known));
        }
        let read = Rc::new(installed(&self.system)?);
        *self.installed.borrow_mut() = Some(Rc::clone(&read));
        Ok(read)
    }

    /// What every agent needs, optional ones too.
    pub fn scans(&self) -> Result<Rc<Vec<AgentScan>>, Failure> {
        if let Some(known) = &*self.scans.borrow() {
            return Ok(Rc::clone(known));
        }
        let installed = self.installed()?;
        let provided = &self.requirements.provided;
        let rules = &self.requirements.rules;
        let resolver = Resolver::new(rules, &installed, BTreeSet::new(), provided.all());
        let every = |_: &_| true;
        let first = self.sources.is_empty();
        let scans = scan::scan_agents(&self.system, &self.sources, &resolver, provided, &every);
        if first {
            self.say(|| format!("# read the code of {} agents", scans.len()));
        }
        let scans = Rc::new(scans);
        *self.scans.borrow_mut() = Some(Rc::clone(&scans));
        Ok(scans)
    }

    /// Scripts that images do without; see `scan::apart`.
    pub fn left_out(&self) -> Result<&LeftOut, Failure> {
        if let Some(known) = self.left_out.get() {
            return Ok(known);
        }
        let scans = self.scans()?;
        let text = |path: &str| self.sources.content(path);
        let left_out = scan::left_out(&self.system, &scans, &text);
        Ok(self.left_out.get_or_init(|| left_out))
    }

    /// All code that goes into images, for their hashes.
    pub fn code_files(&self) -> Result<&CodeFiles, Failure> {
        if let Some(known) = self.code_files.get() {
            return Ok(known);
        }
        // Most of it has been read for the scans.
        self.scans()?;
        let read = CodeFiles::read(&self.system, &|path| self.sources.kept(path));
        let read = read.map_err(|error| unreadable(&error))?;
        self.say(|| format!("# hashed {} files of code", read.len()));
        Ok(self.code_files.get_or_init(|| read))
    }

    /// Hashes of what goes into these images, to tell whether it has changed.
    pub fn inputs_of(&self, names: &[&str]) -> Result<BTreeMap<String, String>, Failure> {
        let code = self.code_files()?;
        recipes::inputs_of(&self.system, code, self.left_out()?, names)
            .map_err(|error| unreadable(&error))
    }

    /// Images have been built: they may say other things about their packages.
    /// The code is not read again.
    pub fn images_changed(&self) {
        self.installed.take();
        self.scans.take();
    }

    fn say(&self, line: impl FnOnce() -> String) {
        if self.verbose {
            ui::echo(&line());
        }
    }
}

impl Requirements {
    fn read(app: &App, system: &System) -> Result<Self, Failure> {
        let folder = system.root.join("requirements");
        let rules = read_rules(app, &folder.join("rules.toml"))?;
        let images = system.images.values();
        let lists: BTreeSet<&String> = images.flat_map(Image::lists).collect();
        let mut locks = BTreeMap::new();
        for list in lists {
            if let Some(lock) = read_lock(&lock_file(&system.root, list))? {
                locks.insert(list.clone(), lock);
            }
        }
        Ok(Requirements {
            provided: Provided::new(system, &locks),
            folder,
            rules,
        })
    }
}

/// The interpreter that the code is read for.
pub fn version(system: &System) -> PythonVersion {
    PythonVersion {
        major: system.base.python.major,
        minor: system.base.python.minor,
    }
}

/// What the images with packages said about themselves when they were built.
/// Where several provide a name, all of their answers count.
fn installed(system: &System) -> Result<Installed, Failure> {
    // Without its locks nobody can tell which image this is.
    let locked = |image: &&Image| {
        let lists = system.lists_in(&image.name).into_iter();
        let mut lists = lists.chain(SERVING.iter().copied());
        lists.all(|list| lock_file(&system.root, list).is_file())
    };
    let images = system.images.values();
    let names: Vec<&str> = images
        .filter(|image| image.packages().is_some())
        .filter(locked)
        .map(|image| image.name.as_str())
        .collect();
    // Images with packages hold no code.
    let none = CodeFiles::default();
    let hashes = recipes::inputs_of(system, &none, &LeftOut::new(), &names)
        .map_err(|error| unreadable(&error))?;
    let cache = scratch()?;
    let mut installed: Installed = BTreeMap::new();
    let known = names
        .iter()
        .filter_map(|name| inside::known_packages(&hashes[*name], &cache));
    for (module, distributions) in known.flatten() {
        let all = installed.entry(module).or_default();
        for distribution in distributions {
            if !all.contains(&distribution) {
                all.push(distribution);
            }
        }
    }
    Ok(installed)
}

fn read_rules(app: &App, path: &Path) -> Result<Rules, Failure> {
    rules::read(path).map_err(|error| {
        let text = error.render(app.ui.color);
        app.reject(error.problems(), &text, error.to_string())
    })
}

/// Names of the packages in a lock; `None` if there is no such file.
fn read_lock(path: &Path) -> Result<Option<BTreeSet<String>>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(lock_file::names(&text).collect())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let message = format!("`{}` cannot be read: {error}", path.display());
            Err(Failure::new(Exit::Findings, message))
        }
    }
}
