//! From the name in an import to the distribution that provides it.
//!
//! The user's map goes first, then what the built image says about itself, then
//! the curated map, then a distribution of the same name. A name that nobody
//! knows is a typing error or a lost module, and never becomes a requirement.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use diagnostics::names::nearest;
use serde::Serialize;

use super::{known, name::normalized, rules::Rules};

/// How a distribution was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProviderSource {
    /// `[imports]` of the rules.
    Rules,
    /// The metadata of the built image.
    Image,
    /// The tables of this tool.
    Curated,
    /// It has the import's name and is listed, locked or popular.
    SameName,
}

/// What is behind the name in an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// Any of these provides it, the usual one first. Never empty; normalised.
    Found {
        distributions: Vec<String>,
        by: ProviderSource,
    },
    /// The rules say that it does not matter.
    Ignored,
    /// A module of Python itself.
    Standard,
    /// It exists on Windows alone.
    WindowsOnly,
    /// Nobody knows it; `Resolver::nearest` says what may have been meant.
    Unknown,
}

/// Finds distributions.
#[derive(Debug)]
pub struct Resolver<'a> {
    rules: &'a Rules,
    /// Top-level module to distributions, as `importlib.metadata` gives it.
    installed: &'a BTreeMap<String, Vec<String>>,
    /// Normalised names that requirements files ask for.
    listed: BTreeSet<String>,
    /// Normalised names in the locks.
    locked: &'a BTreeSet<String>,
    /// What `resolve` has answered: every agent asks for the same names.
    resolved: RefCell<BTreeMap<String, Resolution>>,
    /// What `nearest` has answered.
    near: RefCell<BTreeMap<String, Vec<String>>>,
}

impl<'a> Resolver<'a> {
    /// `installed` is what `importlib.metadata.packages_distributions()` of the
    /// built images returns, or empty. `listed` and `locked` are normalised.
    pub fn new(
        rules: &'a Rules,
        installed: &'a BTreeMap<String, Vec<String>>,
        listed: BTreeSet<String>,
        locked: &'a BTreeSet<String>,
    ) -> Self {
        Resolver {
            rules,
            installed,
            listed,
            locked,
            resolved: RefCell::default(),
            near: RefCell::default(),
        }
    }

    /// What provides `module`, a dotted name as in the code (`google.protobuf`).
    pub fn resolve(&self, module: &str) -> Resolution {
        if let Some(known) = self.resolved.borrow().get(module) {
            return known.clone();
        }
        let found = self.look_up(module);
        let mut resolved = self.resolved.borrow_mut();
        resolved.insert(module.to_owned(), found.clone());
        found
    }

    fn look_up(&self, module: &str) -> Resolution {
        let top = module.split('.').next().unwrap_or(module);
        if prefixes(module).any(|prefix| self.rules.ignored.contains(prefix)) {
            return Resolution::Ignored;
        }
        let ruled = prefixes(module).find_map(|prefix| self.rules.imports.get(prefix));
        if let Some(distribution) = ruled {
            return found(vec![distribution.clone()], ProviderSource::Rules);
        }
        if known::is_windows_only(top) {
            return Resolution::WindowsOnly;
        }
        if known::is_standard(top) {
            return Resolution::Standard;
        }
        let curated = prefixes(module).find_map(|prefix| Some((prefix, known::providers(prefix)?)));
        // Metadata knows top levels only: a namespace such as `google` has many
        // distributions, of which the longer curated name picks one.
        let dotted = curated.filter(|(prefix, _)| prefix.contains('.'));
        if let Some(names) = self.installed.get(top).filter(|names| !names.is_empty()) {
            let mut names: Vec<String> = names.iter().map(|name| normalized(name)).collect();
            names.dedup();
            let picked = dotted.map(|(_, picked)| picked).unwrap_or_default();
            let mut both = names.iter().filter(|name| picked.contains(&name.as_str()));
            return match both.next() {
                Some(name) => found(vec![name.clone()], ProviderSource::Image),
                None if dotted.is_some() => found(owned(picked), ProviderSource::Curated),
                None => found(names, ProviderSource::Image),
            };
        }
        if let Some((_, names)) = curated {
            return found(owned(names), ProviderSource::Curated);
        }
        let name = normalized(top);
        if known::is_known(&name) || self.listed.contains(&name) || self.locked.contains(&name) {
            return found(vec![name], ProviderSource::SameName);
        }
        Resolution::Unknown
    }

    /// The names that may have been meant by an unknown one. Costs more than
    /// all of `resolve`, so ask only for what is shown.
    pub fn nearest(&self, module: &str) -> Vec<String> {
        let top = module.split('.').next().unwrap_or(module);
        if let Some(names) = self.near.borrow().get(top) {
            return names.clone();
        }
        let listed = self.listed.iter().map(String::as_str);
        let mut candidates: Vec<&str> = known::modules().collect();
        candidates.extend(listed);
        let mut names = Vec::new();
        // Near names come in families; two of them are help enough.
        while names.len() < 2 {
            let Some(name) = nearest(top, candidates.iter().copied()) else {
                break;
            };
            names.push(name.to_owned());
            candidates.retain(|candidate| *candidate != name);
        }
        self.near.borrow_mut().insert(top.to_owned(), names.clone());
        names
    }
}

/// `a.b.c`, `a.b`, `a`
fn prefixes(module: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(module), |longer| Some(longer.rsplit_once('.')?.0))
}

fn found(distributions: Vec<String>, by: ProviderSource) -> Resolution {
    Resolution::Found { distributions, by }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(module: &str) -> Resolution {
        with_resolver(|resolver| resolver.resolve(module))
    }

    fn with_resolver<T>(ask: impl FnOnce(&Resolver<'_>) -> T) -> T {
        let rules = Rules {
            imports: [("cv2", "opencv-python"), ("ours.deep", "our-deep")]
                .map(|(module, name)| (module.to_owned(), name.to_owned()))
                .into(),
            ignored: ["bpy".to_owned()].into(),
            ..Rules::default()
        };
        let installed = [
            ("yaml", vec!["PyYAML"]),
            ("google", vec!["protobuf", "google-auth"]),
            ("odd", vec!["Odd_Name"]),
        ]
        .map(|(module, names)| (module.to_owned(), owned(&names)))
        .into();
        let locked = ["annotated-types".to_owned()].into();
        let listed = ["my-tool".to_owned()].into();
        ask(&Resolver::new(&rules, &installed, listed, &locked))
    }

    #[test]
    fn the_first_source_that_knows_a_name_decides() {
        use ProviderSource::{Curated, Image, Rules, SameName};
        for (module, name, by) in [
            ("cv2", "opencv-python", Rules),
            ("cv2.aruco", "opencv-python", Rules),
            ("ours.deep.down", "our-deep", Rules),
            ("yaml", "pyyaml", Image),
            ("odd", "odd-name", Image),
            ("google.protobuf.message", "protobuf", Image),
            ("google.cloud.storage", "google-cloud-storage", Curated),
            ("zmq.asyncio", "pyzmq", Curated),
            ("PIL.Image", "pillow", Curated),
            ("netifaces", "netifaces", SameName),
            ("sounddevice", "sounddevice", SameName),
            ("my_tool", "my-tool", SameName),
            ("annotated_types", "annotated-types", SameName),
        ] {
            let Resolution::Found {
                distributions,
                by: found,
            } = resolve(module)
            else {
                panic!("{module}: {:?}", resolve(module));
            };
            assert_eq!((distributions[0].as_str(), found), (name, by), "{module}");
        }
    }

    #[test]
    fn what_is_no_distribution() {
        assert_eq!(resolve("bpy.ops"), Resolution::Ignored);
        assert_eq!(resolve("os.path"), Resolution::Standard);
        assert_eq!(resolve("win32com.client"), Resolution::WindowsOnly);
        assert_eq!(resolve("winreg"), Resolution::WindowsOnly);
    }

    #[test]
    fn typing_errors_are_no_distributions() {
        for (module, meant) in [("sqlit", "sqlite3"), ("threa", "threading")] {
            assert_eq!(resolve(module), Resolution::Unknown);
            let nearest = with_resolver(|resolver| resolver.nearest(module));
            assert_eq!(nearest[0], meant, "{module}: {nearest:?}");
        }
        assert_eq!(resolve("zzqxy"), Resolution::Unknown);
        assert!(with_resolver(|resolver| resolver.nearest("zzqxy")).is_empty());
    }
}
