//! The names of the standard library's top-level modules, by version.

use std::{collections::BTreeMap, sync::LazyLock};

use super::PythonVersion;

const NAMES: &str = include_str!("stdlib.txt");

/// The only operating system that has a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum System {
    Windows,
    Macos,
}

struct Module {
    /// Minor versions of Python 3.
    first: u8,
    last: u8,
    system: Option<System>,
}

static MODULES: LazyLock<BTreeMap<&str, Module>> = LazyLock::new(|| {
    let lines = NAMES.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(module).collect()
});

/// Whether `name`, a top-level name, is part of the standard library, on
/// whatever system. Versions that are not known count as the nearest known one.
pub fn is_standard(name: &str, version: PythonVersion) -> bool {
    let minor = version.minor.clamp(10, 14);
    let module = MODULES.get(name);
    module.is_some_and(|module| (module.first..=module.last).contains(&minor))
}

/// Whether some version of Python 3 has or had `name`: a module that is gone
/// is told from a package that is missing, and a package that bears the name
/// of a module is a trap.
pub fn was_standard(name: &str) -> bool {
    MODULES.contains_key(name)
}

/// The one system that has the standard module `name`; `None` if Linux has it,
/// or if there is none.
pub fn only_on(name: &str) -> Option<System> {
    MODULES.get(name)?.system
}

/// `asyncore -3.11`, `winreg windows`.
fn module(line: &'static str) -> Option<(&'static str, Module)> {
    let mut words = line.split_whitespace();
    let name = words.next()?;
    let mut module = Module {
        first: 0,
        last: u8::MAX,
        system: None,
    };
    for word in words {
        match word {
            "windows" => module.system = Some(System::Windows),
            "macos" => module.system = Some(System::Macos),
            range => {
                let minor = |version: &str| version.strip_prefix("3.")?.parse().ok();
                let (first, last) = range.split_once('-')?;
                module.first = minor(first).unwrap_or(0);
                module.last = minor(last).unwrap_or(u8::MAX);
            }
        }
    }
    Some((name, module))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(minor: u8) -> impl Fn(&str) -> bool {
        let version = PythonVersion { major: 3, minor };
        move |name| is_standard(name, version)
    }

    #[test]
    fn modules_come_and_go() {
        for (name, minors) in [
            ("os", 10..=15),
            ("binhex", 10..=10),
            ("tomllib", 11..=15),
            ("asyncore", 10..=11),
            ("distutils", 10..=11),
            ("imp", 10..=11),
            ("telnetlib", 10..=12),
            ("cgi", 10..=12),
            ("annotationlib", 14..=15),
            ("compression", 14..=15),
        ] {
            let found: Vec<u8> = (10..=15).filter(|minor| of(*minor)(name)).collect();
            assert_eq!(found, minors.collect::<Vec<_>>(), "{name}");
        }
    }

    #[test]
    fn names_are_exact() {
        let standard = of(11);
        for name in [
            "asyncio",
            "sqlite3",
            "__future__",
            "__main__",
            "_thread",
            "test",
        ] {
            assert!(standard(name), "{name}");
        }
        for name in ["", "#", "Os", "os.path", "zmq", "sqlit", "threa", "yaml"] {
            assert!(!standard(name) && !was_standard(name), "{name}");
        }
        assert!(was_standard("distutils") && !of(12)("distutils"));
    }

    #[test]
    fn other_systems_have_modules_of_their_own() {
        for name in [
            "winreg",
            "msvcrt",
            "winsound",
            "_winapi",
            "nt",
            "_overlapped",
        ] {
            assert_eq!(only_on(name), Some(System::Windows), "{name}");
        }
        assert_eq!(only_on("_scproxy"), Some(System::Macos));
        assert_eq!((only_on("posix"), only_on("zmq")), (None, None));
    }

    #[test]
    fn the_list_is_sorted_and_whole() {
        let names: Vec<&str> = NAMES
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect();
        let words = |line: &'static str| module(line).map(|(name, _)| name);
        let names: Option<Vec<&str>> = names.into_iter().map(words).collect();
        let names = names.expect("each line is a module");
        assert!(names.is_sorted() && names.len() == MODULES.len());
        let count = names.iter().filter(|name| of(11)(name)).count();
        assert!(count > 305, "{count}");
    }
}
