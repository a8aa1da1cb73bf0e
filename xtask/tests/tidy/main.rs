//! What a compiler does not check: every rule of the house that can be told
//! from the text of the repository. All findings are reported at once; each
//! rule is tried on a snippet that breaks it.

mod documents;
mod modules;
mod rooms;
mod rust;
mod spawning;
mod words;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A file of the repository, and its path below the root.
#[derive(Debug)]
pub struct File {
    pub path: String,
    pub text: String,
}

/// `path:line: what is wrong`, for everything that is.
type Rule = fn(&[File]) -> Vec<String>;

const RULES: &[Rule] = &[
    words::headers,
    words::leftovers,
    words::printing,
    words::unwrapping,
    words::length,
    words::functions,
    spawning::podman,
    spawning::programs,
    modules::circles,
    rooms::floors,
    rooms::table,
    rooms::views,
    documents::causes,
    documents::commands,
    documents::exit_codes,
    documents::findings,
    documents::map,
    documents::present,
    documents::promises,
];

#[test]
fn the_repository_is_tidy() {
    let files = repository();
    assert!(files.len() > 50, "only {} files found", files.len());
    let findings: Vec<String> = RULES.iter().flat_map(|rule| rule(&files)).collect();
    let count = findings.len();
    assert!(
        findings.is_empty(),
        "{count} findings\n{}\n",
        findings.join("\n")
    );
}

/// Every text file that is, or would be, tracked.
fn repository() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let paths = tracked(&root).unwrap_or_else(|| walk(&root, Path::new("")));
    let read = |path: String| {
        // A deleted file is listed until that is committed; a binary file has
        // no words to judge.
        let text = fs::read_to_string(root.join(&path)).ok()?;
        Some(File { path, text })
    };
    paths.into_iter().filter_map(read).collect()
}

/// `None` without git, or outside a checkout.
fn tracked(root: &Path) -> Option<Vec<String>> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let paths: Vec<String> = text.split_terminator('\0').map(str::to_owned).collect();
    (output.status.success() && !paths.is_empty()).then_some(paths)
}

fn walk(root: &Path, below: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root.join(below)) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .map(|e| below.join(e.file_name()))
        .collect();
    paths.sort();
    let skipped = |path: &Path| path.ends_with("target") || path.ends_with(".git");
    paths.retain(|path| !skipped(path));
    paths
        .into_iter()
        .flat_map(|path| {
            if root.join(&path).is_dir() {
                walk(root, &path)
            } else {
                vec![path.display().to_string()]
            }
        })
        .collect()
}

/// Sources of the tool itself, and of its rooms that are crates of their own.
fn sources(files: &[File]) -> impl Iterator<Item = &File> {
    let ours = |path: &str| {
        let behind = path.strip_prefix("xtask/").unwrap_or_default();
        behind.starts_with("src/") || behind.split('/').nth(1) == Some("src")
    };
    files
        .iter()
        .filter(move |file| ours(&file.path) && file.path.ends_with(".rs"))
}

/// Compiled for tests alone.
fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// Findings for the lines of `text` that `wrong` is true of.
fn lines_where(path: &str, text: &str, what: &str, wrong: impl Fn(&str) -> bool) -> Vec<String> {
    let numbered = text.lines().enumerate().filter(|(_, line)| wrong(line));
    numbered
        .map(|(index, _)| format!("{path}:{}: {what}", index + 1))
        .collect()
}

/// What a rule finds in files made up for its own test.
fn findings(rule: Rule, files: &[(&str, &str)]) -> Vec<String> {
    let files: Vec<File> = files
        .iter()
        .map(|(path, text)| File {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        })
        .collect();
    rule(&files)
}

#[test]
fn without_git_the_folders_are_walked() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let paths = walk(&root, Path::new(""));
    assert!(paths.iter().any(|path| path == "xtask/tests/tidy/main.rs"));
    assert!(!paths.iter().any(|path| path.starts_with("target/")));
}
