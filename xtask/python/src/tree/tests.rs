//! What a walk finds, skips and survives.

use std::{
    fs,
    os::unix::{self, ffi::OsStrExt, fs::PermissionsExt},
};

use super::*;

/// A folder with files; a name that ends in `/` is a folder.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        let path = folder.path().join(name);
        let parent = if name.ends_with('/') {
            Some(&*path)
        } else {
            path.parent()
        };
        fs::create_dir_all(parent.expect("a parent")).expect("folders");
        if !name.ends_with('/') {
            fs::write(path, content).expect("a file");
        }
    }
    folder
}

fn scanned(folder: &tempfile::TempDir, only: &[&str]) -> Tree {
    let options = Options {
        only: only.iter().map(|path| (*path).to_owned()).collect(),
        ..Options::default()
    };
    scan(folder.path(), &options, &Memory::default()).expect("a tree")
}

fn paths(tree: &Tree) -> Vec<&str> {
    tree.files.iter().map(|file| file.path.as_str()).collect()
}

fn skipped(tree: &Tree) -> Vec<String> {
    let shown = tree
        .skipped
        .iter()
        .map(|skipped| format!("{}: {}", skipped.path, skipped.reason));
    shown.collect()
}

#[test]
fn python_files_are_found_in_order() {
    let folder = folder(&[
        ("b.py", "import os\nimport sys\n"),
        ("a/z.py", "x"),
        ("a/b/c.py", ""),
        (".hidden/d.py", ""),
        ("a.txt", "import no"),
        ("e.pyc", ""),
        ("f.PY", ""),
        ("g.py/h.py", ""),
        (".git/i.py", ""),
        ("none/", ""),
    ]);
    let tree = scanned(&folder, &[]);
    assert_eq!(
        paths(&tree),
        [".hidden/d.py", "a/b/c.py", "a/z.py", "b.py", "g.py/h.py"]
    );
    assert_eq!((tree.lines, tree.bytes), (3, 22));
    assert_eq!(skipped(&tree), [""; 0]);
    assert_eq!(tree.files[3].imports.len(), 2);
    let again = Options {
        threads: Some(1),
        ..Options::default()
    };
    assert_eq!(
        scan(folder.path(), &again, &Memory::default()).expect("a tree"),
        tree
    );
}

#[test]
fn ignore_files_are_honoured_without_a_repository() {
    let folder = folder(&[
        (".gitignore", "build/\n*_old.py\n!keep_old.py\n/top.py\n"),
        ("build/a.py", ""),
        ("x_old.py", ""),
        ("keep_old.py", ""),
        ("top.py", ""),
        ("a/top.py", ""),
        ("a/.gitignore", "b.py"),
        ("a/b.py", ""),
        (".ignore", "c.py"),
        ("a/c.py", ""),
        // The root's file counts for a part of the tree, too.
        ("sub/d.py", ""),
        ("sub/build/e.py", ""),
    ]);
    assert_eq!(
        paths(&scanned(&folder, &[])),
        ["a/top.py", "keep_old.py", "sub/d.py"]
    );
    // Those above the root do not count.
    let below = scan(
        &folder.path().join("build"),
        &Options::default(),
        &Memory::default(),
    );
    assert_eq!(paths(&below.expect("a tree")), ["a.py"]);
}

#[test]
fn a_part_of_a_tree_can_be_scanned() {
    let files = ["a/b/c.py", "a/bc/d.py", "a/e.py", "f.py", ".gitignore"];
    let folder = folder(&files.map(|file| (file, "")));
    assert_eq!(
        paths(&scanned(&folder, &["a/b", "f.py"])),
        ["a/b/c.py", "f.py"]
    );
    assert_eq!(paths(&scanned(&folder, &["a"])).len(), 3);
    assert_eq!(paths(&scanned(&folder, &["nowhere"])), [""; 0]);
}

#[test]
fn links_and_pipes_are_listed_and_not_followed() {
    let folder = folder(&[("a.py", ""), ("data.txt", ""), ("b/", "")]);
    let link = |to: &str, name: &str| {
        unix::fs::symlink(folder.path().join(to), folder.path().join(name)).expect("a link");
    };
    link("a.py", "l.py");
    link("", "loop");
    link("b/self", "b/self");
    link("data.txt", "text");
    let pipe = folder.path().join("p.py");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo").success());
    let tree = scanned(&folder, &[]);
    assert_eq!(paths(&tree), ["a.py"]);
    let link = "is a symbolic link";
    let expected = [
        format!("b/self: {link}"),
        format!("l.py: {link}"),
        format!("loop: {link}"),
        "p.py: is not a regular file".to_owned(),
    ];
    assert_eq!(skipped(&tree), expected);
    assert!(read_one(folder.path(), "p.py", PythonVersion::DEFAULT).is_err());
}

#[test]
fn what_cannot_be_read_is_listed() {
    let folder = folder(&[("a.py", ""), ("b.py", ""), ("c/d.py", "")]);
    for name in ["b.py", "c"] {
        let none = fs::Permissions::from_mode(0o000);
        fs::set_permissions(folder.path().join(name), none).expect("permissions");
    }
    let allowed = fs::read(folder.path().join("b.py")).is_ok();
    let tree = scanned(&folder, &[]);
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder.path().join("c"), open).expect("permissions");
    // Root may read anything.
    if allowed {
        assert_eq!(paths(&tree).len(), 3);
        return;
    }
    assert_eq!(paths(&tree), ["a.py"]);
    let denied = "cannot be read: Permission denied (os error 13)";
    assert_eq!(
        skipped(&tree),
        [format!("b.py: {denied}"), format!("c: {denied}")]
    );
}

#[test]
fn broken_and_large_files_are_files_with_an_error() {
    let folder = folder(&[("a.py", "x = (\n"), ("b.py", "import os")]);
    let large = File::create(folder.path().join("c.py")).expect("a file");
    large.set_len(source::BYTES_MAX + 1).expect("a length");
    let odd = folder.path().join(std::ffi::OsStr::from_bytes(b"\xff.py"));
    fs::write(odd, "import sys").expect("a file");
    let tree = scanned(&folder, &[]);
    assert_eq!(paths(&tree), ["a.py", "b.py", "c.py", "\u{fffd}.py"]);
    let errors: Vec<bool> = tree.files.iter().map(|file| file.parses()).collect();
    assert_eq!(errors, [false, true, false, true]);
    let said = tree.files[2].error.as_ref().map(ToString::to_string);
    let expected = "1:1: larger than 64 MiB, too large for a source file";
    assert_eq!(said.as_deref(), Some(expected));
}

#[test]
fn a_generated_file_of_10_mb_is_read() {
    let text = format!(
        "import os\nDATA = [\n{}]\n",
        "    'abcdefgh', 1.5, {1: 2},\n".repeat(360_000)
    );
    assert!(text.len() > 10_000_000);
    let folder = folder(&[("a.py", &text)]);
    let tree = scanned(&folder, &[]);
    assert_eq!(tree.files[0].error, None);
    assert_eq!((tree.files[0].imports.len(), tree.lines), (1, 360_003));
}

#[test]
fn one_file_can_be_read_whatever_its_name() {
    let folder = folder(&[("bin/agent", "import zmq\n"), ("b.py", "import (")]);
    let read = |path: &str| {
        let read = read_one(folder.path(), path, PythonVersion::DEFAULT);
        read.map(|(facts, _)| facts)
    };
    let agent = read("bin/agent").expect("it is there");
    assert_eq!(
        (agent.path.as_str(), agent.imports[0].name.as_str()),
        ("bin/agent", "zmq")
    );
    assert!(!read("b.py").expect("it is there").parses());
    assert!(read("bin").is_err() && read("nowhere").is_err());
}

#[test]
fn a_root_that_is_no_folder_is_an_error() {
    let folder = folder(&[("a.py", "")]);
    for root in ["a.py", "nowhere"] {
        assert!(
            scan(
                &folder.path().join(root),
                &Options::default(),
                &Memory::default()
            )
            .is_err(),
            "{root}"
        );
    }
}
