//! The rooms of the two crates that have several, and the floors they are on.
//!
//! Rooms that are crates of their own are held apart by their `Cargo.toml`, and
//! views from podman by the private rooms of `operations`. What is left to be
//! judged here is the order of rooms within a crate.

use super::{
    File, is_test,
    modules::{self, Module},
    rust::{Keep, code, without_tests},
    sources,
};

/// From the top floor down: a room, and what it may use of the others.
const ROOMS: &[(&str, &[&str])] = &[
    // The program, and the library that is all of it.
    ("xtask/main", &[]),
    ("xtask/lib", &["xtask/cli"]),
    ("xtask/cli", &["xtask/cmd"]),
    ("xtask/cmd", &["xtask/show"]),
    ("xtask/show", &[]),
    ("operations/lib", &[]),
    (
        "operations/results",
        &[
            "operations/work",
            "operations/doctor",
            "operations/carry_out",
            "operations/scan",
            "operations/host",
            "operations/podman",
        ],
    ),
    (
        "operations/work",
        &[
            "operations/doctor",
            "operations/ui/progress",
            "operations/carry_out",
            "operations/scan",
            "operations/images",
            "operations/host",
            "operations/podman",
            "operations/ui",
            "operations/folders",
        ],
    ),
    (
        "operations/doctor",
        &[
            "operations/carry_out",
            "operations/host",
            "operations/podman",
            "operations/ui",
        ],
    ),
    (
        "operations/ui/progress",
        &["operations/carry_out", "operations/ui"],
    ),
    (
        "operations/carry_out",
        &["operations/images", "operations/host", "operations/podman"],
    ),
    ("operations/scan", &["operations/images"]),
    ("operations/images", &[]),
    ("operations/host", &["operations/podman", "operations/ui"]),
    (
        "operations/podman",
        &["operations/ui", "operations/folders"],
    ),
    ("operations/ui", &[]),
    ("operations/folders", &[]),
];

/// Nobody uses what is not below them.
pub fn floors(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in sources(files).filter(|file| !is_test(&file.path)) {
        let module = Module::of(&file.path);
        if !["xtask", "operations"].contains(&module.krate()) {
            continue;
        }
        let own = room(module.words());
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == own) else {
            found.push(format!(
                "{}:1: `{own}` is not a room of the table",
                file.path
            ));
            continue;
        };
        let code = without_tests(&code(&file.text, Keep::Code));
        for (line, used) in modules::uses(&module, &code) {
            let used = room(&used);
            if used != own && !allowed.contains(&used.as_str()) {
                found.push(format!(
                    "{}:{line}: `{own}` may not use `{used}`",
                    file.path
                ));
            }
        }
    }
    found
}

/// Views know results and the terminal; nobody else of `operations`.
pub fn views(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    let views = sources(files).filter(|file| file.path.starts_with("xtask/src/show"));
    for file in views.filter(|file| !is_test(&file.path)) {
        let code = without_tests(&code(&file.text, Keep::Code));
        for (line, path) in super::rust::paths(&code) {
            let words: Vec<&str> = path.split("::").collect();
            let known = ["results", "ui"];
            if words[0] == "operations" && !words.get(1).is_some_and(|word| known.contains(word)) {
                let what = "a view knows `results` and `ui` alone";
                found.push(format!("{}:{line}: {what}", file.path));
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

/// `operations`, `podman`, `argv` are in the room `operations/podman`.
fn room(words: &[String]) -> String {
    let whole = words.iter().take(3).cloned().collect::<Vec<_>>().join("/");
    if ROOMS.iter().any(|(name, _)| *name == whole) {
        return whole;
    }
    match words {
        [krate] => format!("{krate}/lib"),
        [krate, room, ..] => format!("{krate}/{room}"),
        [] => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings;

    #[test]
    fn a_look_upstairs_is_found() {
        let files = [
            (
                "xtask/operations/src/scan/a.rs",
                "use crate::{scan::b,\n podman::Podman};",
            ),
            (
                "xtask/operations/src/scan/b.rs",
                "fn f() { crate::ui::echo(1); super::c::d(); }",
            ),
            (
                "xtask/operations/src/podman/a/b.rs",
                "use super::super::{argv, work::App};\nuse super::super::super::carry_out;",
            ),
            ("xtask/operations/src/ui/mod.rs", "use crate::carry_out;"),
            (
                "xtask/operations/src/ui/progress.rs",
                "use crate::carry_out;\nuse super::Ui;",
            ),
            ("xtask/src/cmd/a.rs", "use crate::cli::Cli;"),
            ("xtask/operations/src/scan/tests.rs", "use crate::work;"),
            (
                "xtask/operations/src/host/a.rs",
                "#[cfg(test)]\nmod t { use crate::work; }\n// crate::work",
            ),
            ("xtask/src/attic/a.rs", ""),
            ("xtask/model/src/attic/a.rs", ""),
        ];
        assert_eq!(
            findings(floors, &files),
            [
                "xtask/operations/src/scan/a.rs:1: `operations/scan` may not use `operations/podman`",
                "xtask/operations/src/scan/b.rs:1: `operations/scan` may not use `operations/ui`",
                "xtask/operations/src/podman/a/b.rs:2: `operations/podman` may not use `operations/carry_out`",
                "xtask/operations/src/ui/mod.rs:1: `operations/ui` may not use `operations/carry_out`",
                "xtask/src/cmd/a.rs:1: `xtask/cmd` may not use `xtask/cli`",
                "xtask/src/attic/a.rs:1: `xtask/attic` is not a room of the table",
            ]
        );
    }

    #[test]
    fn a_view_that_works_is_found() {
        let files = [
            (
                "xtask/src/show/a.rs",
                "use operations::{results::Round, ui::Ui, work::App};",
            ),
            ("xtask/src/show/a/tests.rs", "use operations::work::App;"),
            ("xtask/src/cmd/a.rs", "use operations::work::App;"),
        ];
        assert_eq!(
            findings(views, &files),
            ["xtask/src/show/a.rs:1: a view knows `results` and `ui` alone"]
        );
    }

    #[test]
    fn the_table_has_no_circles() {
        assert!(table(&[]).is_empty());
    }
}
