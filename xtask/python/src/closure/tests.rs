//! Closures over small trees: what is found first, what is hard, what is lost.

use std::{fs, path::Path as Folder};

use super::{Closure, chain, closure};
use crate::{
    PythonVersion,
    modules::{Path, Sources},
};

/// A tree of files, and the closure of `main_pc_code/agents/a.py` in it.
fn walk(files: &[(&str, &str)]) -> Closure {
    walk_with(files, &|_| false)
}

fn walk_with(files: &[(&str, &str)], installed: &dyn Fn(&str) -> bool) -> Closure {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, text) in files {
        write(folder.path(), path, text);
    }
    let sources = Sources::new(folder.path().to_owned(), PythonVersion::DEFAULT, Vec::new());
    let roots = [".", "main_pc_code", "main_pc_code/src"].map(str::to_owned);
    let script = "main_pc_code/agents/a.py";
    let path = Path::new(&sources, script, &roots, installed);
    closure(&sources, &path, script)
}

fn write(root: &Folder, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("below the root")).expect("folders");
    fs::write(path, text).expect("a file");
}

fn packages(found: &Closure) -> Vec<(&str, bool)> {
    found
        .packages
        .iter()
        .map(|(name, at)| (name.as_str(), at.hard))
        .collect()
}

fn files(found: &Closure) -> Vec<(&str, bool)> {
    found
        .files
        .iter()
        .map(|(name, file)| (name.as_str(), file.hard))
        .collect()
}

#[test]
fn hard_through_hard_is_hard_and_through_soft_is_soft() {
    let found = walk(&[
        (
            "main_pc_code/agents/a.py",
            "import zmq\nfrom utils import net\ndef f():\n    import lazy\n",
        ),
        ("main_pc_code/utils/net.py", "import netifaces\n"),
        ("main_pc_code/lazy.py", "import torch\nimport zmq\n"),
    ]);
    assert_eq!(
        packages(&found),
        [("netifaces", true), ("torch", false), ("zmq", true)]
    );
    assert_eq!(
        files(&found),
        [
            ("main_pc_code/agents/a.py", true),
            ("main_pc_code/lazy.py", false),
            ("main_pc_code/utils/net.py", true),
        ]
    );
    assert_eq!(
        chain(&found, "main_pc_code/utils/net.py"),
        ["main_pc_code/agents/a.py:2"]
    );
}

#[test]
fn a_file_that_is_soft_here_and_hard_there_is_hard() {
    let found = walk(&[
        (
            "main_pc_code/agents/a.py",
            "def f():\n    import shared\nimport other\n",
        ),
        ("main_pc_code/other.py", "import shared\n"),
        ("main_pc_code/shared.py", "import torch\n"),
    ]);
    assert_eq!(packages(&found), [("torch", true)]);
}

#[test]
fn importing_a_module_runs_the_packages_around_it() {
    let found = walk(&[
        ("main_pc_code/agents/a.py", "import pack.inner.module\n"),
        ("pack/__init__.py", "import numpy\n"),
        ("pack/inner/__init__.py", "from . import helper\n"),
        ("pack/inner/helper.py", "import yaml\n"),
        ("pack/inner/module.py", ""),
    ]);
    assert_eq!(packages(&found), [("numpy", true), ("yaml", true)]);
    assert_eq!(found.files.len(), 5);
}

#[test]
fn the_scripts_folder_goes_first_and_doubles_are_told() {
    let found = walk(&[
        ("main_pc_code/agents/a.py", "import helper\n"),
        ("main_pc_code/agents/helper.py", "import first\n"),
        ("main_pc_code/helper.py", "import second\n"),
        ("helper.py", "import third\n"),
    ]);
    assert_eq!(packages(&found), [("first", true)]);
    assert_eq!(
        found.ambiguous["helper"],
        [
            "main_pc_code/agents/helper.py",
            "helper.py",
            "main_pc_code/helper.py"
        ]
    );
}

#[test]
fn folders_without_init_join_and_give_way_to_packages() {
    let tree = [
        (
            "main_pc_code/agents/a.py",
            "import redis\nfrom models import one, two\n",
        ),
        ("redis/notes.py", ""),
        ("models/one.py", "import numpy\n"),
        ("main_pc_code/models/two.py", "import yaml\n"),
    ];
    let found = walk_with(&tree, &|name| name == "redis");
    assert_eq!(
        packages(&found),
        [("numpy", true), ("redis", true), ("yaml", true)]
    );
    let found = walk(&tree);
    assert_eq!(packages(&found), [("numpy", true), ("yaml", true)]);
}

#[test]
fn lost_modules_are_told_and_attributes_are_not() {
    let found = walk(&[
        (
            "main_pc_code/agents/a.py",
            "from utils.gone import x\nfrom pack import attribute\nfrom space import gone\nfrom . import b\n",
        ),
        ("main_pc_code/utils/__init__.py", ""),
        ("pack/__init__.py", "attribute = 1\n"),
        ("space/other.py", ""),
    ]);
    let lost: Vec<&str> = found.lost.keys().map(String::as_str).collect();
    assert_eq!(lost, [".", "space.gone", "utils.gone"]);
    assert!(found.near["utils.gone"].is_empty());
    assert!(found.lost.values().all(|at| at.hard));
}

#[test]
fn relative_imports_work_in_packages_and_end_at_the_root() {
    let found = walk(&[
        ("main_pc_code/agents/a.py", "import pack.sub.module\n"),
        ("pack/__init__.py", ""),
        ("pack/top.py", "import numpy\n"),
        ("pack/sub/__init__.py", ""),
        (
            "pack/sub/module.py",
            "from ..top import x\nfrom .... import y\nfrom .gone import z\n",
        ),
    ]);
    assert_eq!(packages(&found), [("numpy", true)]);
    let lost: Vec<&str> = found.lost.keys().map(String::as_str).collect();
    assert_eq!(lost, ["....", ".gone"]);
}

#[test]
fn what_does_not_parse_is_named_with_the_way_to_it() {
    let found = walk(&[
        ("main_pc_code/agents/a.py", "import broken\n"),
        ("main_pc_code/broken.py", "def f(:\n"),
    ]);
    assert_eq!(
        found.unparsable.keys().collect::<Vec<_>>(),
        ["main_pc_code/broken.py"]
    );
    assert_eq!(
        chain(&found, "main_pc_code/broken.py"),
        ["main_pc_code/agents/a.py:1"]
    );
}

#[test]
fn the_main_block_counts_in_the_script_alone() {
    let main = "if __name__ == \"__main__\":\n    import ";
    let found = walk(&[
        (
            "main_pc_code/agents/a.py",
            &format!("import other\n{main}yaml\n"),
        ),
        ("main_pc_code/other.py", &format!("{main}torch\n")),
    ]);
    assert_eq!(packages(&found), [("yaml", true)]);
}

#[test]
fn hiding_the_standard_library_is_told() {
    let found = walk(&[
        (
            "main_pc_code/agents/a.py",
            "import queue\nimport winreg\nimport json\n",
        ),
        ("main_pc_code/queue.py", ""),
    ]);
    assert!(found.shadows.contains_key("queue"));
    assert!(found.not_on_linux.contains_key("winreg"));
    assert!(packages(&found).is_empty());
}

#[test]
fn circles_end() {
    let found = walk(&[
        ("main_pc_code/agents/a.py", "import b\n"),
        ("main_pc_code/b.py", "import c\n"),
        ("main_pc_code/c.py", "import b\nimport a\nimport yaml\n"),
    ]);
    assert_eq!(packages(&found), [("yaml", true)]);
}

#[test]
fn typing_errors_find_their_neighbours() {
    let found = walk(&[
        (
            "main_pc_code/agents/a.py",
            "import utils.confg_loader\nfrom space import helpr\n",
        ),
        ("main_pc_code/utils/__init__.py", ""),
        ("main_pc_code/utils/config_loader.py", ""),
        ("space/helper.py", ""),
    ]);
    assert_eq!(found.near["utils.confg_loader"], ["utils.config_loader"]);
    assert_eq!(found.near["space.helpr"], ["space.helper"]);
}
