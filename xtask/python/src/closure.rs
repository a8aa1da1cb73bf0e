//! What an agent imports, through all of the monorepo's own modules.
//!
//! Decides nothing about packages: names that are neither first-party nor of
//! the standard library are handed on as they were written.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    facts::{FileFacts, Need, SyntaxError},
    modules::{Found, Path, Sources},
    stdlib,
};

/// All that one script needs to start, and what it may use later.
#[derive(Debug, Default)]
pub struct Closure {
    /// First-party files, the script among them.
    pub files: BTreeMap<String, Reached>,
    /// Top-level names of packages.
    pub packages: BTreeMap<String, Use>,
    /// Modules that a first-party package does not have, and relative imports
    /// that lead nowhere.
    pub lost: BTreeMap<String, Use>,
    /// For each lost name, those that may have been meant.
    pub near: BTreeMap<String, Vec<String>>,
    /// Files that do not parse: what they import is unknown.
    pub unparsable: BTreeMap<String, SyntaxError>,
    /// First-party names that hide a module of the standard library.
    pub shadows: BTreeMap<String, Use>,
    /// Modules of the standard library that Linux has not.
    pub not_on_linux: BTreeMap<String, Use>,
    /// First-party names that stand in several places, the one used first.
    pub ambiguous: BTreeMap<String, Vec<String>>,
}

/// How a file is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// Needed for the script to start.
    pub hard: bool,
    /// The file and line that import it; `None` for the script.
    pub from: Option<(String, u32)>,
}

/// Where a name is imported, the hard place that is nearest to the script
/// first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    pub hard: bool,
    pub file: String,
    pub line: u32,
    /// Full dotted names under it.
    pub modules: BTreeSet<String>,
    /// Those of them without which the script does not start.
    pub hard_modules: BTreeSet<String>,
}

/// Follows every import of `script`, hard ones first.
pub fn closure(sources: &Sources, path: &Path<'_>, script: &str) -> Closure {
    let mut walk = Walk {
        sources,
        path,
        script,
        found: Closure::default(),
    };
    // Whatever is reached hard is settled before anything soft, so that each
    // file is read under its final need, once.
    walk.run(true);
    walk.run(false);
    walk.found
}

/// The chain of imports from the script to `file`, `a.py:3` each.
pub fn chain(closure: &Closure, file: &str) -> Vec<String> {
    let mut steps = Vec::new();
    let mut at = file;
    while let Some((from, line)) = closure.files.get(at).and_then(|file| file.from.as_ref()) {
        steps.push(format!("{from}:{line}"));
        at = from;
    }
    steps.reverse();
    steps
}

struct Walk<'w> {
    sources: &'w Sources,
    path: &'w Path<'w>,
    script: &'w str,
    found: Closure,
}

impl Walk<'_> {
    fn run(&mut self, hard: bool) {
        let mut queue: VecDeque<String> = VecDeque::new();
        if hard {
            let reached = Reached { hard, from: None };
            self.found.files.insert(self.script.to_owned(), reached);
            queue.push_back(self.script.to_owned());
        } else {
            // What hard files import softly starts the second round.
            queue.extend(self.found.files.keys().cloned());
        }
        while let Some(file) = queue.pop_front() {
            let Some(facts) = self.sources.facts(&file) else {
                continue;
            };
            if let Some(error) = &facts.error {
                self.found
                    .unparsable
                    .entry(file)
                    .or_insert_with(|| error.clone());
                continue;
            }
            for (line, targets) in self.targets(&facts, hard) {
                self.visit(&file, line, hard, targets, &mut queue);
            }
        }
    }

    fn visit(
        &mut self,
        file: &str,
        line: u32,
        hard: bool,
        targets: Vec<Target>,
        queue: &mut VecDeque<String>,
    ) {
        for target in targets {
            match target {
                Target::File(path) => {
                    if !self.found.files.contains_key(&path) {
                        let from = Some((file.to_owned(), line));
                        self.found
                            .files
                            .insert(path.clone(), Reached { hard, from });
                        queue.push_back(path);
                    }
                }
                Target::Package(name, module) => {
                    note(&mut self.found.packages, name, hard, file, line, module);
                }
                Target::Lost(name) => {
                    if !name.starts_with('.') && !self.found.near.contains_key(&name) {
                        self.found.near.insert(name.clone(), self.path.near(&name));
                    }
                    note(&mut self.found.lost, name.clone(), hard, file, line, name);
                }
                Target::Shadow(name) => {
                    note(
                        &mut self.found.shadows,
                        name.clone(),
                        hard,
                        file,
                        line,
                        name,
                    );
                }
                Target::Elsewhere(name) => {
                    note(
                        &mut self.found.not_on_linux,
                        name.clone(),
                        hard,
                        file,
                        line,
                        name,
                    );
                }
                Target::Ambiguous(name, places) => {
                    self.found.ambiguous.entry(name).or_insert(places);
                }
            }
        }
    }

    /// What those import statements of a file lead to whose turn it is: those
    /// without which the script does not start if `hard`, or else the others.
    fn targets(&self, facts: &FileFacts, hard: bool) -> Vec<(u32, Vec<Target>)> {
        let file_is_hard = self.found.files[&facts.path].hard;
        let due = |need: &Need| {
            let statement_is_hard = match need {
                Need::Hard => true,
                Need::Main if facts.path == self.script => true,
                // Runs only when the file is the script, and it is not.
                Need::Main => return false,
                Need::Soft(_) => false,
            };
            (file_is_hard && statement_is_hard) == hard
        };
        let mut all = Vec::new();
        for import in facts.imports.iter().filter(|import| due(&import.need)) {
            all.push((import.line, self.absolute(&import.module, &import.names)));
        }
        for import in facts.dynamic.iter().filter(|import| due(&import.need)) {
            all.push((import.line, self.absolute(&import.module, &[])));
        }
        for import in facts.relative.iter().filter(|import| due(&import.need)) {
            let written = format!("{}{}", ".".repeat(import.level as usize), import.module);
            // A script is no part of a package, whatever folder it is in.
            let targets = if facts.path == self.script {
                vec![Target::Lost(written)]
            } else {
                let found = self
                    .path
                    .relative(&facts.path, import.level, &import.module);
                let inside = |name: &str| {
                    let dot = if import.module.is_empty() { "" } else { "." };
                    let module = format!("{}{dot}{name}", import.module);
                    self.path.relative(&facts.path, import.level, &module)
                };
                first_party(found, &written, &import.names, &inside)
            };
            all.push((import.line, targets));
        }
        all
    }

    fn absolute(&self, module: &str, names: &[String]) -> Vec<Target> {
        let top = module.split('.').next().unwrap_or_default();
        match self.path.find(module) {
            Found::Standard if stdlib::only_on(top).is_some() => {
                vec![Target::Elsewhere(top.to_owned())]
            }
            Found::Standard => Vec::new(),
            Found::External => vec![Target::Package(top.to_owned(), module.to_owned())],
            found => {
                let inside = |name: &str| self.path.find(&format!("{module}.{name}"));
                let mut targets = first_party(found, module, names, &inside);
                if stdlib::is_standard(top, self.sources.python()) {
                    targets.push(Target::Shadow(top.to_owned()));
                }
                let places = self.path.places(top);
                if places.len() > 1 {
                    targets.push(Target::Ambiguous(top.to_owned(), places));
                }
                targets
            }
        }
    }
}

enum Target {
    File(String),
    Package(String, String),
    Lost(String),
    Shadow(String),
    Elsewhere(String),
    Ambiguous(String, Vec<String>),
}

/// Files of a first-party import and of the submodules among its names.
fn first_party(
    found: Found,
    written: &str,
    names: &[String],
    inside: &dyn Fn(&str) -> Found,
) -> Vec<Target> {
    let Found::Module { files, code } = found else {
        return vec![Target::Lost(written.to_owned())];
    };
    let mut targets: Vec<Target> = files.into_iter().map(Target::File).collect();
    for name in names.iter().filter(|name| *name != "*") {
        match inside(name) {
            Found::Module { files, .. } => targets.extend(files.into_iter().map(Target::File)),
            // With code the name may be anything that the code defines.
            _ if code => {}
            _ => targets.push(Target::Lost(format!("{written}.{name}"))),
        }
    }
    targets
}

/// Keeps the first place; hard places come before soft ones.
fn note(
    uses: &mut BTreeMap<String, Use>,
    name: String,
    hard: bool,
    file: &str,
    line: u32,
    module: String,
) {
    let entry = uses.entry(name).or_insert_with(|| Use {
        hard,
        file: file.to_owned(),
        line,
        modules: BTreeSet::new(),
        hard_modules: BTreeSet::new(),
    });
    if hard {
        entry.hard_modules.insert(module.clone());
    }
    entry.modules.insert(module);
}

#[cfg(test)]
mod tests;
