//! The rooms of `xtask/src` and the floors they are on.
//!
//! The table is the one of ARCHITECTURE.md. A room may use what is listed, all
//! of which stands below it, so there are no circles.

use super::{
    File, TOOL, is_test,
    rust::{Keep, code, paths, without_tests},
    sources,
};

/// From the top floor down: a room, and what it may use of the others. What
/// stands in crates of its own is held by their `Cargo.toml`.
const ROOMS: &[(&str, &[&str])] = &[
    // The program, and the library that is all of it.
    ("main", &[]),
    ("lib", &["cli", "cmd", "ui"]),
    ("cli", &["cmd", "ui"]),
    (
        "cmd",
        &[
            "ui/progress",
            "doctor",
            "execute",
            "gate",
            "host",
            "podman",
            "scan",
            "ui",
        ],
    ),
    ("ui/progress", &["execute", "ui"]),
    ("execute", &["gate", "host", "podman"]),
    ("doctor", &["gate", "host", "podman", "ui"]),
    ("gate", &["host", "podman"]),
    ("host", &["podman", "ui"]),
    ("podman", &["ui"]),
    ("scan", &[]),
    ("ui", &[]),
];

/// clap derives the command line from the arguments of each command, and some
/// commands look at the whole of it: two floors that know each other.
const TOGETHER: (&str, &str) = ("cmd", "cli");

/// Nobody uses what is not below them.
pub fn floors(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    let own = |file: &&File| file.path.starts_with(TOOL) && !is_test(&file.path);
    for file in sources(files).filter(own) {
        let module = module(&file.path);
        let own = room(&module);
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == own) else {
            found.push(format!("{}:1: `{own}` is no room of the table", file.path));
            continue;
        };
        let code = without_tests(&code(&file.text, Keep::Code));
        for (line, path) in paths(&code) {
            let Some(used) = resolve(&module, &path).map(|path| room(&path)) else {
                continue;
            };
            let fine = used == own || allowed.contains(&used.as_str());
            if !fine && (own.as_str(), used.as_str()) != TOGETHER {
                found.push(format!(
                    "{}:{line}: `{own}` may not use `{used}`",
                    file.path
                ));
            }
        }
    }
    found
}

/// The table itself has no circles and no unknown rooms.
pub fn table(_: &[File]) -> Vec<String> {
    let floor = |room: &str| ROOMS.iter().position(|(name, _)| *name == room);
    let pairs = ROOMS
        .iter()
        .flat_map(|(room, used)| used.iter().map(move |used| (*room, *used)));
    pairs
        .filter(|(room, used)| floor(room) >= floor(used))
        .map(|(room, used)| format!("rooms: `{used}` does not stand below `{room}`"))
        .collect()
}

/// `xtask/src/podman/argv.rs` -> `podman`, `argv`.
fn module(path: &str) -> Vec<String> {
    let path = path.replace(TOOL, "");
    let path = path.trim_end_matches(".rs");
    let path = path.trim_end_matches("/mod");
    path.split('/').map(str::to_owned).collect()
}

fn room(module: &[String]) -> String {
    let joined = module.iter().take(2).cloned().collect::<Vec<_>>().join("/");
    let whole = ROOMS.iter().any(|(name, _)| *name == joined);
    if whole {
        joined
    } else {
        module.first().cloned().unwrap_or_default()
    }
}

/// The module path behind `crate::` and `super::`; `None` for other crates and
/// for what stands in the root itself.
fn resolve(module: &[String], path: &str) -> Option<Vec<String>> {
    let mut words = path.split("::").peekable();
    let mut at = match *words.peek()? {
        "crate" => {
            words.next();
            Vec::new()
        }
        "super" if module != ["lib"] => {
            let mut at = module.to_vec();
            while words.peek() == Some(&"super") {
                words.next();
                at.pop();
            }
            at
        }
        _ => return None,
    };
    at.extend(words.map(str::to_owned));
    at.first().is_some_and(|first| first != "*").then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings;

    #[test]
    fn a_look_upstairs_is_found() {
        let files = [
            (
                "xtask/src/scan/a.rs",
                "use crate::{scan::b,\n podman::Podman};",
            ),
            (
                "xtask/src/scan/b.rs",
                "fn f() { crate::ui::bytes(1); super::c::d(); }",
            ),
            (
                "xtask/src/podman/a/b.rs",
                "use super::super::{argv, cmd::App};\nuse super::super::super::execute;",
            ),
            ("xtask/src/gate.rs", "use super::execute::Report;"),
            ("xtask/src/ui/mod.rs", "use crate::execute;"),
            (
                "xtask/src/ui/progress.rs",
                "use crate::execute;\nuse super::Ui;",
            ),
            (
                "xtask/src/cmd/a.rs",
                "use crate::{cli::Cli, ui::progress::Progress};",
            ),
            ("xtask/src/scan/tests.rs", "use crate::cmd;"),
            (
                "xtask/src/host/a.rs",
                "#[cfg(test)]\nmod t { use crate::cmd; }\n// crate::cmd",
            ),
            ("xtask/src/attic/a.rs", ""),
        ];
        assert_eq!(
            findings(floors, &files),
            [
                "xtask/src/scan/a.rs:1: `scan` may not use `podman`",
                "xtask/src/scan/b.rs:1: `scan` may not use `ui`",
                "xtask/src/podman/a/b.rs:2: `podman` may not use `execute`",
                "xtask/src/gate.rs:1: `gate` may not use `execute`",
                "xtask/src/ui/mod.rs:1: `ui` may not use `execute`",
                "xtask/src/attic/a.rs:1: `attic` is no room of the table",
            ]
        );
    }

    #[test]
    fn the_table_has_no_circles() {
        assert!(table(&[]).is_empty());
    }
}
