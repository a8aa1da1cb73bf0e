//! What is known about Python packages without asking anybody: the tables in
//! `known/`, parsed once.
//!
//! Knows no requirement and no import of the user's. The user's rules go before
//! all of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use super::{list::List, name::normalized};

static TABLES: LazyLock<Tables> = LazyLock::new(Tables::read);

/// The parsed tables. Distributions are normalised, modules are not.
struct Tables {
    imports: BTreeMap<&'static str, Vec<&'static str>>,
    /// Distributions imported by their own name; the module's spelling is kept.
    names: BTreeMap<String, &'static str>,
    groups: BTreeMap<&'static str, Vec<Vec<&'static str>>>,
    standard_modules: BTreeSet<&'static str>,
    windows_modules: BTreeSet<&'static str>,
}

impl Tables {
    fn read() -> Self {
        let modules = sections(include_str!("known/modules.txt"));
        let set = |name: &str| modules[name].iter().flatten().copied().collect();
        let imports = rows(include_str!("known/imports.txt"))
            .map(|row| (row[0], row[1..].to_vec()))
            .collect();
        let names = rows(include_str!("known/names.txt"))
            .flatten()
            .map(|name| (normalized(name), name))
            .collect();
        Tables {
            imports,
            names,
            groups: sections(include_str!("known/distributions.txt")),
            standard_modules: set("standard"),
            windows_modules: set("windows"),
        }
    }

    fn in_group(&self, group: &str, distribution: &str) -> bool {
        let mut patterns = self.groups[group].iter().flatten();
        patterns.any(|pattern| fits(pattern, distribution))
    }
}

/// The words of each line that is no comment.
fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split_whitespace().collect())
}

fn sections(text: &'static str) -> BTreeMap<&'static str, Vec<Vec<&'static str>>> {
    let mut sections: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let mut section = "";
    for row in rows(text) {
        match row[0]
            .strip_prefix('[')
            .and_then(|row| row.strip_suffix(']'))
        {
            Some(name) => section = name,
            None => sections.entry(section).or_default().push(row),
        }
    }
    sections
}

/// `*` at the end stands for anything.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

/// The list that a distribution belongs to by its nature.
pub fn family(distribution: &str) -> Option<List> {
    let groups = [
        ("core", List::Core),
        ("gpu", List::Gpu),
        ("audio", List::Audio),
    ];
    // `torch-audiomentations` is sound, although `torch-*` is machine learning.
    let exact = |group: &str| {
        TABLES.groups[group]
            .iter()
            .flatten()
            .any(|name| *name == distribution)
    };
    let found = groups.iter().find(|(group, _)| exact(group));
    let found = found.or_else(|| {
        groups
            .iter()
            .find(|(group, _)| TABLES.in_group(group, distribution))
    });
    found.map(|(_, list)| *list)
}

/// Loaded by others at run time, so that no import shows its use.
pub fn is_plugin(distribution: &str) -> bool {
    TABLES.in_group("plugins", distribution)
}

/// For those who write the code only.
pub fn is_development(distribution: &str) -> bool {
    TABLES.in_group("development", distribution)
}

/// For other systems than the images'.
pub fn is_platform_only(distribution: &str) -> bool {
    TABLES.in_group("platform", distribution)
}

/// The module of the standard library that a distribution hides or copies.
pub fn shadowed_module(distribution: &str) -> Option<String> {
    let module = match distribution {
        "enum34" => "enum".to_owned(),
        "futures" => "concurrent.futures".to_owned(),
        _ => distribution.replace('-', "_"),
    };
    let listed = TABLES.in_group("standard", distribution);
    (listed || TABLES.standard_modules.contains(module.as_str())).then_some(module)
}

/// A distribution that nobody wants for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shim {
    /// The one that is meant.
    pub meant: &'static str,
    /// All versions there are; empty if that is not known.
    pub versions: &'static [&'static str],
}

/// What is meant by a distribution that is empty, abandoned or not there.
pub fn shim(distribution: &str) -> Option<Shim> {
    let mut rows = TABLES.groups["shims"].iter();
    let row = rows.find(|row| row[0] == distribution)?;
    Some(Shim {
        meant: row[1],
        versions: &row[2..],
    })
}

/// Groups of distributions that write the same files, the preferred one first.
pub fn same_module() -> &'static [Vec<&'static str>] {
    &TABLES.groups["same-module"]
}

/// The distributions that provide exactly this module, which is not named like
/// them; the first is the usual one.
pub fn providers(module: &str) -> Option<&'static [&'static str]> {
    TABLES.imports.get(module).map(Vec::as_slice)
}

/// Whether a distribution of this name is known to provide a module of the
/// same name.
pub fn is_known(distribution: &str) -> bool {
    TABLES.names.contains_key(distribution)
}

/// Whether a top-level module is of the standard library (3.11).
pub fn is_standard(module: &str) -> bool {
    TABLES.standard_modules.contains(module)
}

/// Whether a top-level module exists on Windows alone.
pub fn is_windows_only(module: &str) -> bool {
    TABLES.windows_modules.contains(module)
}

/// All top-level modules that somebody may have meant.
pub fn modules() -> impl Iterator<Item = &'static str> {
    let imports = TABLES
        .imports
        .keys()
        .copied()
        .filter(|name| !name.contains('.'));
    let standard = TABLES.standard_modules.iter().copied();
    standard
        .chain(imports)
        .chain(TABLES.names.values().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::is_name;

    #[test]
    fn the_tables_are_in_order() {
        assert!(TABLES.imports.len() > 190, "{}", TABLES.imports.len());
        assert!(TABLES.names.len() > 700, "{}", TABLES.names.len());
        for (module, distributions) in &TABLES.imports {
            assert!(!distributions.is_empty(), "{module}");
            let own = !module.contains('.') && normalized(module) == distributions[0];
            assert!(!own || distributions.len() > 1, "{module} needs no entry");
            assert!(
                !TABLES.names.contains_key(*module),
                "{module} is in two tables"
            );
            for name in distributions {
                assert!(
                    is_name(name) && normalized(name) == *name,
                    "{module}: {name}"
                );
            }
        }
        for (group, rows) in &TABLES.groups {
            let names = |row: &Vec<&'static str>| match *group {
                "shims" => row[..2].to_vec(),
                _ => row.clone(),
            };
            for name in rows.iter().flat_map(names) {
                let name = name.trim_matches(['*', '-']);
                assert!(
                    is_name(name) && normalized(name) == name,
                    "[{group}]: {name}"
                );
            }
        }
        assert!(TABLES.groups["shims"].iter().all(|row| row.len() > 1));
        assert!(TABLES.groups["same-module"].iter().all(|row| row.len() > 1));
    }

    #[test]
    fn no_distribution_has_two_families() {
        let named = |group: &str| -> BTreeSet<&str> {
            TABLES.groups[group].iter().flatten().copied().collect()
        };
        for (one, other) in [
            ("core", "gpu"),
            ("core", "audio"),
            ("gpu", "audio"),
            ("core", "development"),
            ("gpu", "development"),
            ("audio", "development"),
            ("platform", "gpu"),
        ] {
            let both: Vec<_> = named(one).intersection(&named(other)).copied().collect();
            assert!(both.is_empty(), "{one} and {other}: {both:?}");
        }
    }

    #[test]
    fn names_that_a_real_monorepo_needs() {
        for (module, distribution) in [
            ("zmq", "pyzmq"),
            ("yaml", "pyyaml"),
            ("dotenv", "python-dotenv"),
            ("sklearn", "scikit-learn"),
            ("skimage", "scikit-image"),
            ("PIL", "pillow"),
            ("cv2", "opencv-python-headless"),
            ("whisper", "openai-whisper"),
            ("psycopg2", "psycopg2-binary"),
            ("nacl", "pynacl"),
            ("pythonjsonlogger", "python-json-logger"),
            ("ffmpeg", "ffmpeg-python"),
            ("pynvml", "nvidia-ml-py"),
            ("magic", "python-magic"),
            ("bs4", "beautifulsoup4"),
        ] {
            assert_eq!(providers(module).map(|names| names[0]), Some(distribution));
        }
        for name in [
            "netifaces",
            "sounddevice",
            "gputil",
            "requests",
            "torch",
            "trio",
            "llama-cpp",
        ] {
            assert!(
                is_known(name) || providers(&name.replace('-', "_")).is_some(),
                "{name}"
            );
        }
        for typo in ["sqlit", "threa"] {
            assert!(!is_known(typo) && providers(typo).is_none(), "{typo}");
        }
    }

    #[test]
    fn families_and_traps() {
        assert_eq!(family("torch"), Some(List::Gpu));
        assert_eq!(family("torchaudio"), Some(List::Audio));
        assert_eq!(family("torch-audiomentations"), Some(List::Audio));
        assert_eq!(family("nvidia-ml-py3"), None);
        assert_eq!(family("nvidia-cublas-cu12"), Some(List::Gpu));
        assert_eq!(family("pyzmq"), Some(List::Core));
        assert_eq!(shadowed_module("asyncio").as_deref(), Some("asyncio"));
        assert_eq!(shadowed_module("enum34").as_deref(), Some("enum"));
        assert_eq!(shadowed_module("pathlib2"), None);
        assert_eq!(shim("zmq").map(|shim| shim.meant), Some("pyzmq"));
        assert!(is_development("pytest-asyncio") && is_platform_only("pyobjc-core"));
        assert!(is_windows_only("win32api") && is_standard("asyncio"));
    }
}
