//! What several commands need to know about the agents' code: the rules, the
//! locks, and which image provides what.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use super::{App, scratch, unreadable};
use python::{PythonVersion, modules::Sources};

use crate::{
    host::recipes::{self, LeftOut},
    podman::inside,
    scan::{self, AgentScan, Provided},
};
use diagnostics::{Exit, Failure, finding::Finding};
use model::system::{Agent, Image, SERVING, System, lock_file};
use requirements::{
    distributions::Resolver,
    lock_file,
    rules::{self, Rules},
};

/// Rules, locks and what follows from them.
pub struct Code {
    /// `requirements/` of the repository.
    pub folder: PathBuf,
    pub rules: Rules,
    pub provided: Provided,
    /// Top-level modules of the built images, and what they come from.
    pub installed: BTreeMap<String, Vec<String>>,
}

impl Code {
    /// Reads `requirements/`; a lock that is not there provides nothing. Asks
    /// podman nothing.
    pub fn load(app: &App, system: &System) -> Result<Self, Failure> {
        let folder = system.root.join("requirements");
        let rules = read_rules(app, &folder.join("rules.toml"))?;
        let images = system.images.values();
        let lists: BTreeSet<&String> = images.flat_map(|image| &image.requirements).collect();
        let mut locks = BTreeMap::new();
        for list in lists {
            if let Some(lock) = read_lock(&lock_file(&system.root, list))? {
                locks.insert(list.clone(), lock);
            }
        }
        Ok(Code {
            provided: Provided::new(system, &locks),
            installed: installed(system)?,
            folder,
            rules,
        })
    }

    pub fn resolver(&self) -> Resolver<'_> {
        let locked = self.provided.all();
        Resolver::new(&self.rules, &self.installed, BTreeSet::new(), locked)
    }

    /// The agents' needs, read from `sources`.
    pub fn agents(
        &self,
        system: &System,
        sources: &Sources,
        wanted: &dyn Fn(&Agent) -> bool,
    ) -> Vec<AgentScan> {
        scan::scan_agents(system, sources, &self.resolver(), &self.provided, wanted)
    }
}

/// The monorepo's files, read as they are asked for.
pub fn sources(system: &System) -> Sources {
    Sources::new(system.monorepo.clone(), version(system), Vec::new())
}

/// The interpreter that the code is read for.
pub fn version(system: &System) -> PythonVersion {
    PythonVersion {
        major: system.base.python.major,
        minor: system.base.python.minor,
    }
}

/// Scripts that images do without; see `scan::apart`.
pub fn left_out(app: &App, system: &System) -> Result<LeftOut, Failure> {
    let code = Code::load(app, system)?;
    let sources = sources(system);
    let agents = code.agents(system, &sources, &|_| true);
    let text = |path: &str| fs::read(system.monorepo.join(path)).ok();
    Ok(scan::left_out(system, &agents, &text))
}

/// Agents that their image, or their code, would keep from starting are not
/// deployed: a container that ends at its first import helps nobody.
pub fn preflight(app: &App, system: &System, names: &BTreeSet<String>) -> Result<(), Failure> {
    let code = Code::load(app, system)?;
    let sources = sources(system);
    let agents = code.agents(system, &sources, &|agent| names.contains(&agent.name));
    let findings = scan::check::check(system, &agents, &sources, &code.provided);
    let errors: Vec<&Finding> = scan::check::stopping(&findings).collect();
    let Some(first) = errors.first() else {
        return Ok(());
    };
    let line = |finding: &&Finding| {
        format!(
            "{}:{}: {} [{}]",
            finding.file, finding.line, finding.message, finding.id
        )
    };
    let hint = first.hint.clone().unwrap_or_default();
    Err(Failure::new(
        Exit::Findings,
        "agents would end at an import, so nothing was changed",
    )
    .detail(errors.iter().map(line))
    .hint(format!(
        "{hint}; `cargo xtask scan` shows all, `--no-import-check` deploys all the same"
    )))
}

/// What the images with packages said about themselves when they were built.
/// Where several provide a name, all of their answers count.
fn installed(system: &System) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    // Without its locks nobody can tell which image this is.
    let locked = |image: &&Image| {
        let below = system.lists_below(&image.name).into_iter();
        let own = image.requirements.iter().map(String::as_str);
        let mut lists = below.chain(own).chain(SERVING.iter().copied());
        lists.all(|list| lock_file(&system.root, list).is_file())
    };
    let images = system.images.values();
    let names: Vec<&str> = images
        .filter(|image| image.adds_packages())
        .filter(locked)
        .map(|image| image.name.as_str())
        .collect();
    let hashes =
        recipes::inputs_of(system, &LeftOut::new(), &names).map_err(|error| unreadable(&error))?;
    let cache = scratch();
    let mut installed: BTreeMap<String, Vec<String>> = BTreeMap::new();
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
        if app.ui.json_wanted() {
            let problems = serde_json::json!({ "problems": error.problems() });
            app.ui.json("error", &problems);
        }
        app.ui.rendered(&error.render(app.ui.color));
        Failure::new(Exit::Manifest, error.to_string())
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
