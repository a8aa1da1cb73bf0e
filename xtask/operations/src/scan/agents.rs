//! What each agent imports, and which image fits it.

use std::collections::{BTreeMap, BTreeSet};

use model::system::{Agent, System};
use python::{
    closure::{Closure, Use, chain, closure},
    facts::SyntaxError,
    modules::{Path, Sources},
};
use requirements::{
    distributions::{ProviderSource, Resolution, Resolver},
    known,
    list::List,
};
use serde::Serialize;

use super::images::Provided;

/// One agent's needs.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AgentScan {
    /// As in the manifest.
    pub name: String,
    /// Path below the monorepo.
    pub script: String,
    /// The manifest names a script that does not exist (optional agents only).
    pub missing: bool,
    /// How heavy its hard packages are.
    pub category: Category,
    /// The smallest image with dependencies that has all hard packages; null when
    /// there is none, or when not all of the code could be read.
    pub image: Option<String>,
    /// The image with dependencies under the agent's service image.
    pub manifest_image: String,
    /// Top-level names of packages without which it does not start.
    pub hard: Vec<String>,
    /// Those it imports only in functions, or does without.
    pub soft: Vec<String>,
    /// Names that are neither first-party, nor standard, nor known packages.
    pub unresolved: Vec<Unresolved>,
    /// Files of its closure that do not parse.
    pub unparsable: Vec<Unparsable>,
    /// Where each package is imported, and what provides it.
    pub packages: Vec<Package>,
    /// First-party files that starting it runs.
    pub files_hard: usize,
    /// First-party files that it reaches softly.
    pub files_soft: usize,
    #[serde(skip)]
    pub closure: Closure,
}

/// How heavy an agent's hard packages are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// No machine learning.
    None,
    /// Sound, vision, classic machine learning.
    Light,
    /// torch and what stands on it.
    Heavy,
}

/// A name that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Unresolved {
    /// As it is written: `sqlit`, `utils.lost`, `..helpers`.
    pub name: String,
    /// It does not start without.
    pub hard: bool,
    /// Where it is imported, below the monorepo.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// Names that may have been meant.
    pub nearest: Vec<String>,
}

/// A file that does not parse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Unparsable {
    /// Path below the monorepo.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// A fragment without a final period.
    pub message: String,
    /// Starting the agent runs it.
    pub hard: bool,
    /// The imports that lead there, `a.py:3` each; empty for the script.
    pub through: Vec<String>,
}

/// A package behind a top-level name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Package {
    /// Top-level name of the import.
    pub import: String,
    /// Normalised name of the package that provides it.
    pub distribution: String,
    /// Where the answer comes from.
    pub origin: ProviderSource,
    /// It does not start without.
    pub hard: bool,
    /// Where it is imported, below the monorepo.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// The imports that lead there, `a.py:3` each; empty for the script.
    pub through: Vec<String>,
    /// Whether the agent's image has it, as far as its locks tell: one without
    /// lists is believed to have everything.
    pub in_image: bool,
    #[serde(skip)]
    any_of: Vec<String>,
}

/// Every agent of the manifest, in its start order.
pub fn scan_agents(
    system: &System,
    sources: &Sources,
    resolver: &Resolver<'_>,
    provided: &Provided,
    wanted: &dyn Fn(&Agent) -> bool,
) -> Vec<AgentScan> {
    let scan = |agent| scan_agent(system, agent, sources, resolver, provided);
    system
        .agents
        .iter()
        .filter(|agent| wanted(agent))
        .map(scan)
        .collect()
}

fn scan_agent(
    system: &System,
    agent: &Agent,
    sources: &Sources,
    resolver: &Resolver<'_>,
    provided: &Provided,
) -> AgentScan {
    let manifest_image = provided.dependencies_of(system, &agent.image);
    let installed = |name: &str| match resolver.resolve(name) {
        Resolution::Found { distributions, .. } => distributions
            .iter()
            .any(|distribution| provided.has(manifest_image, distribution)),
        _ => false,
    };
    let path = Path::new(sources, &agent.script, &system.search_roots, &installed);
    let mut closure = if agent.script_missing {
        Closure::default()
    } else {
        closure(sources, &path, &agent.script)
    };
    let (packages, unresolved) = judged(&mut closure, resolver, provided, manifest_image);
    let unparsable = unparsable(&closure);
    let needed: BTreeSet<&str> = packages
        .iter()
        .filter(|package| package.hard)
        .map(|package| package.distribution.as_str())
        .collect();
    let readable = !agent.script_missing && !unparsable.iter().any(|file| file.hard);
    let image = provided.fits(needed.iter().copied()).filter(|_| readable);
    let imports = |hard: bool| -> Vec<String> {
        let names = packages.iter().filter(|package| package.hard == hard);
        let names: BTreeSet<&String> = names.map(|package| &package.import).collect();
        names.into_iter().cloned().collect()
    };
    let hard = imports(true);
    let soft = imports(false);
    let hard_files = closure.files.values().filter(|file| file.hard).count();
    AgentScan {
        name: agent.name.clone(),
        script: agent.script.clone(),
        missing: agent.script_missing,
        category: category(&needed),
        image: image.map(str::to_owned),
        manifest_image: manifest_image.to_owned(),
        soft: soft
            .into_iter()
            .filter(|name| !hard.contains(name))
            .collect(),
        hard,
        unresolved,
        unparsable,
        packages,
        files_hard: hard_files,
        files_soft: closure.files.len() - hard_files,
        closure,
    }
}

/// Packages that the closure needs, and names that lead nowhere. What does not
/// exist on Linux is marked in the closure.
fn judged(
    closure: &mut Closure,
    resolver: &Resolver<'_>,
    provided: &Provided,
    manifest_image: &str,
) -> (Vec<Package>, Vec<Unresolved>) {
    let mut packages = Vec::new();
    let mut unresolved = Vec::new();
    let mut elsewhere = BTreeMap::new();
    for (import, at) in &closure.packages {
        let found = packages_of(import, at, resolver, closure);
        if let Some(nearest) = found.unknown {
            unresolved.push(lost(import, at, nearest));
        }
        if found.not_on_linux {
            elsewhere.insert(import.clone(), at.clone());
        }
        packages.extend(found.packages);
    }
    closure.not_on_linux.extend(elsewhere);
    for package in &mut packages {
        package.choose(provided, manifest_image);
    }
    for (name, at) in &closure.lost {
        let nearest = closure.near.get(name).cloned().unwrap_or_default();
        unresolved.push(lost(name, at, nearest));
    }
    (packages, unresolved)
}

/// What is behind one top-level name.
#[derive(Default)]
struct Behind {
    packages: Vec<Package>,
    /// Nobody knows the name; what may have been meant.
    unknown: Option<Vec<String>>,
    not_on_linux: bool,
}

fn packages_of(import: &str, at: &Use, resolver: &Resolver<'_>, closure: &Closure) -> Behind {
    let mut behind = Behind::default();
    // Some names are shared by many packages: `google.protobuf` tells which.
    let mut seen: BTreeSet<Vec<String>> = BTreeSet::new();
    for module in &at.modules {
        match resolver.resolve(module) {
            Resolution::Found { distributions, by } if seen.insert(distributions.clone()) => {
                behind.packages.push(Package {
                    import: import.to_owned(),
                    distribution: distributions[0].clone(),
                    origin: by,
                    hard: at.hard,
                    file: at.file.clone(),
                    line: at.line,
                    through: chain(closure, &at.file),
                    in_image: false,
                    any_of: distributions,
                });
            }
            Resolution::Unknown => behind.unknown = Some(resolver.nearest(module)),
            // This version's names were told apart before: another's is gone.
            Resolution::Standard => behind.unknown = Some(Vec::new()),
            Resolution::WindowsOnly => behind.not_on_linux = true,
            Resolution::Found { .. } | Resolution::Ignored => {}
        }
    }
    behind
}

impl Package {
    /// Several packages may provide one module (opencv-python and its headless
    /// twin): one that the image has is the one that counts.
    fn choose(&mut self, provided: &Provided, image: &str) {
        let here = self.any_of.iter().find(|name| provided.has(image, name));
        self.in_image = here.is_some() || !provided.knows(image);
        let anywhere = || self.any_of.iter().find(|name| provided.anywhere(name));
        if let Some(name) = here.or_else(anywhere) {
            self.distribution = name.clone();
        }
    }
}

fn lost(name: &str, at: &Use, nearest: Vec<String>) -> Unresolved {
    Unresolved {
        name: name.to_owned(),
        hard: at.hard,
        file: at.file.clone(),
        line: at.line,
        nearest,
    }
}

fn unparsable(closure: &Closure) -> Vec<Unparsable> {
    let file = |(path, error): (&String, &SyntaxError)| Unparsable {
        file: path.clone(),
        line: error.line,
        column: error.column,
        message: error.message.clone(),
        hard: closure.files[path].hard,
        through: chain(closure, path),
    };
    closure.unparsable.iter().map(file).collect()
}

fn category(needed: &BTreeSet<&str>) -> Category {
    let weight = |package: &&str| match known::family(package) {
        Some(List::Gpu) => Category::Heavy,
        Some(List::Audio) => Category::Light,
        Some(List::Core) | None => Category::None,
    };
    needed.iter().map(weight).max().unwrap_or(Category::None)
}
