//! podman is started in one place, and other programs in two.

use super::{
    File, is_test, lines_where,
    rust::{Keep, code, paths, without_tests},
    sources,
};

/// The only door to podman.
const DOOR: &str = "xtask/operations/src/podman/run.rs";
/// Runs any other program: deadline, bounded output, clean end.
const RUNNER: &str = "xtask/process/src/lib.rs";
/// Repository chores (cargo fmt, clippy, tests) in sequence.
const CHORES: &str = "xtask/operations/src/work/self_test.rs";

/// No other file has podman run.
pub fn podman(files: &[File]) -> Vec<String> {
    let elsewhere = |file: &&File| file.path != DOOR && !is_test(&file.path);
    sources(files)
        .filter(elsewhere)
        .flat_map(|file| {
            let code = code(&file.text, Keep::Strings);
            let wrong = |line: &str| {
                let dense: String = line.split_whitespace().collect();
                let named = [
                    "Command::new(\"podman",
                    "cmd(\"podman",
                    "cmd!(\"podman",
                    ",\"podman",
                ];
                let shell = dense.contains("cmd!(") && dense.contains("\"podman");
                let found = dense.contains("Command::new(") && dense.contains(".program");
                shell || found || named[..3].iter().any(|way| dense.contains(way))
            };
            lines_where(
                &file.path,
                &code,
                "starts podman; only `podman/run.rs` does",
                wrong,
            )
        })
        .collect()
}

/// No other file starts programs in a way of its own.
pub fn programs(files: &[File]) -> Vec<String> {
    let ways: [(&str, &[&str]); 4] = [
        ("std::process::Command", &[]),
        ("std::process::self", &[]),
        ("duct", &[RUNNER]),
        ("xshell", &[CHORES]),
    ];
    let mut found = Vec::new();
    for file in sources(files).filter(|file| !is_test(&file.path)) {
        let code = without_tests(&code(&file.text, Keep::Code));
        for (way, allowed) in ways {
            let uses = |path: &str| path == way || path.starts_with(&format!("{way}::"));
            if allowed.contains(&file.path.as_str()) {
                continue;
            }
            let used = paths(&code).into_iter().filter(|(_, path)| uses(path));
            let what = format!("uses {way}; programs are run by the crate `process`");
            found.extend(used.map(|(line, _)| format!("{}:{line}: {what}", file.path)));
            if !way.contains("::") {
                let wrong =
                    |line: &str| line.contains(&format!("{way}::")) && !line.contains("use ");
                found.extend(lines_where(&file.path, &code, &what, wrong));
            }
        }
        // The fields are public for the door alone.
        if ![DOOR, RUNNER].contains(&file.path.as_str()) {
            let made = |line: &str| {
                let kinds = ["enum Command {", "struct Command {", "impl Command {"];
                line.contains("Command {") && !kinds.iter().any(|kind| line.contains(kind))
            };
            let what = "makes a Command by hand; use `Command::new`";
            found.extend(lines_where(&file.path, &code, what, made));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings;

    #[test]
    fn a_second_door_to_podman_is_found() {
        let text = "//! Command::new(\"podman\")\n\
                    let a = Command::new(\"podman\", &[]);\n\
                    let b = duct::cmd( \"podman\", x);\n\
                    let c = cmd!(shell, \"podman ps\");\n\
                    let d = Command::new(&podman.program, &[]);\n\
                    let fine = which(\"podman\"); words(&[\"podman\"]);\n";
        let files = [
            ("xtask/src/host/a.rs", text),
            (DOOR, text),
            ("xtask/tests/engine/main.rs", text),
        ];
        let lines = [2, 3, 4, 5];
        let expected = lines.map(|line| {
            format!("xtask/src/host/a.rs:{line}: starts podman; only `podman/run.rs` does")
        });
        assert_eq!(findings(podman, &files), expected);
    }

    #[test]
    fn other_ways_to_start_programs_are_found() {
        let text = "use std::{fs, process::Command};\n\
                    use duct::cmd;\n\
                    let a = duct::cmd(\"ls\", x);\n\
                    use xshell::Shell;\n\
                    let b = Command { program };\n\
                    use crate::process::Command;\n\
                    use std::{os::unix::process::CommandExt, process::ExitCode};\n\
                    std::process::Command::new(\"ls\");\n\
                    std::process::id();\n";
        let at = |path: &str| {
            let mut lines: Vec<usize> = findings(programs, &[(path, text)])
                .iter()
                .filter_map(|found| found.split(':').nth(1)?.parse().ok())
                .collect();
            lines.sort_unstable();
            lines
        };
        assert_eq!(at("xtask/src/host/a.rs"), [1, 2, 3, 4, 5, 8]);
        assert_eq!(at(RUNNER), [1, 4, 8]);
        assert_eq!(at(CHORES), [1, 2, 3, 5, 8]);
        assert!(at("xtask/src/host/a/tests.rs").is_empty());
    }
}
