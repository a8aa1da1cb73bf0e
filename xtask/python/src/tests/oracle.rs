//! The scanner against Python's own parser: for every file of the reference
//! monorepo and of the whole standard library, its tests included, both must
//! agree on whether it parses, on what it imports, and in which lines.
//!
//! The files are read as the interpreter's own version, `python3.11` before
//! `python3`. It must have its test folder, or the test fails.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use super::release;
use crate::{
    PythonVersion,
    facts::Need,
    memory::Memory,
    tree::{self, Options},
};

/// What one side says of a file: whether it parses, and the name, line and need
/// of each absolute import. Python says of the need what is plain to see.
type Said = (bool, Vec<(String, u64, Option<Plain>)>);

/// Folders that are no part of the standard library.
const LEFT_OUT: [&str; 2] = ["site-packages", "dist-packages"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Plain {
    /// At module level, under nothing.
    Hard,
    /// In a function.
    Soft,
}

#[test]
#[ignore = "needs Python's test suite; `cargo xtask test` runs it"]
fn the_reference_monorepo_is_read_as_python_does() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../containers/reference");
    let count = compare(&python(), &root);
    assert!(count >= 13, "only {count} files in {}", root.display());
}

#[test]
#[ignore = "needs Python's test suite; `cargo xtask test` runs it"]
fn the_standard_library_is_read_as_python_does() {
    let python = python();
    let script = "import sysconfig; print(sysconfig.get_path('stdlib'))";
    let root = PathBuf::from(answer(python.program, script));
    let tests = root.join("test/test_grammar.py");
    assert!(
        tests.is_file(),
        "no {}; install Python's test suite (Debian: libpython{}-testsuite)",
        tests.display(),
        python.version
    );
    let count = compare(&python, &root);
    assert!(count > 1000, "only {count} files in {}", root.display());
}

/// Returns the number of files.
fn compare(python: &Python, root: &Path) -> usize {
    let (ours, theirs) = (scanned(python, root), asked(python, root));
    let paths: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let differing = paths
        .iter()
        .filter(|path| !agree(ours.get(**path), theirs.get(**path)));
    let shown: Vec<String> = differing
        .map(|path| {
            let (ours, theirs) = (ours.get(*path), theirs.get(*path));
            format!("{path}\n  scanner {ours:?}\n  python  {theirs:?}")
        })
        .collect();
    assert!(
        shown.is_empty(),
        "{} files differ\n{}",
        shown.len(),
        shown.join("\n")
    );
    paths.len()
}

fn agree(ours: Option<&Said>, theirs: Option<&Said>) -> bool {
    let (Some((parses, ours)), Some((also, theirs))) = (ours, theirs) else {
        return false;
    };
    let same =
        |((name, line, need), (other, place, plain)): (&(_, _, _), &(_, _, Option<Plain>))| {
            name == other && line == place && (plain.is_none() || need == plain)
        };
    parses == also && ours.len() == theirs.len() && ours.iter().zip(theirs).all(same)
}

fn scanned(python: &Python, root: &Path) -> BTreeMap<String, Said> {
    let options = Options {
        version: python.version,
        ..Options::default()
    };
    let tree = tree::scan(root, &options, &Memory::default()).expect("a folder");
    let left_out = |path: &str| path.split('/').any(|part| LEFT_OUT.contains(&part));
    let files = tree.files.into_iter().filter(|file| !left_out(&file.path));
    let said = files.map(|file| {
        let imports = file.imports.iter().map(|import| {
            let plain = match import.need {
                Need::Hard => Some(Plain::Hard),
                Need::Main => None,
                Need::Soft(_) => Some(Plain::Soft),
            };
            (import.name.clone(), u64::from(import.line), plain)
        });
        let mut imports: Vec<_> = imports.collect();
        imports.sort();
        (file.path.clone(), (file.parses(), imports))
    });
    said.collect()
}

fn asked(python: &Python, root: &Path) -> BTreeMap<String, Said> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/oracle.py");
    let output = Command::new(python.program)
        .arg(script)
        .arg(root)
        .args(LEFT_OUT)
        .output()
        .expect("Python runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let file = |line: &str| {
        let file: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let path = file["path"].as_str().expect("a path").to_owned();
        let imports = file["imports"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|import| {
                let name = import[0].as_str().expect("a name").to_owned();
                let plain = match import[2].as_str() {
                    Some("hard") => Some(Plain::Hard),
                    Some("soft") => Some(Plain::Soft),
                    _ => None,
                };
                (name, import[1].as_u64().expect("a line"), plain)
            });
        let mut imports: Vec<_> = imports.collect();
        imports.sort();
        (path, (file["parses"] == true, imports))
    };
    text.lines().map(file).collect()
}

struct Python {
    program: &'static str,
    version: PythonVersion,
}

fn python() -> Python {
    let script = "import sys; print('%d.%d' % sys.version_info[:2])";
    let known = release("3.10")..=release("3.14");
    let mut found = ["python3.11", "python3"].into_iter().filter_map(|program| {
        let answer = answer(program, script);
        let version = (!answer.is_empty()).then(|| release(&answer))?;
        Some(Python { program, version }).filter(|python| known.contains(&python.version))
    });
    found
        .next()
        .expect("no Python from 3.10 to 3.14; install python3")
}

/// What a script prints, or nothing.
fn answer(program: &str, script: &str) -> String {
    let output = Command::new(program).args(["-c", script]).output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text).trim().to_owned()
}
