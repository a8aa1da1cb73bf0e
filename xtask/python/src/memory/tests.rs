//! What is remembered of a tree, and when it is not believed.

use std::time::Duration;

use super::*;
use crate::tree::{self, Options, Tree};

/// A tree with one file that was written long ago, and a place for the memory.
struct Case(tempfile::TempDir);

impl Case {
    fn new(text: &str) -> Self {
        let case = Case(tempfile::tempdir().expect("a folder"));
        fs::create_dir(case.0.path().join("tree")).expect("a folder");
        case.write(text);
        case
    }

    fn write(&self, text: &str) {
        fs::write(self.0.path().join("tree/a.py"), text).expect("a file");
    }

    /// The time of the inode's change cannot be set, so the scan is put off.
    fn kept(&self, stamp: &str) -> (Memory, Tree) {
        let memory = Memory::open(self.0.path().join("kept.json"), stamp.to_owned());
        let root = self.0.path().join("tree");
        let tree = tree::scan(&root, &Options::default(), &Memory::default()).expect("a tree");
        let path = root.join("a.py");
        let mark = Mark::of(&fs::metadata(path).expect("a file"));
        let later = SystemTime::now() + TICK + Duration::from_secs(1);
        memory.keep(later, tree.files.iter().map(|facts| (mark, facts)));
        (
            Memory::open(self.0.path().join("kept.json"), stamp.to_owned()),
            tree,
        )
    }

    fn scan(&self, memory: &Memory) -> Tree {
        let root = self.0.path().join("tree");
        tree::scan(&root, &Options::default(), memory).expect("a tree")
    }
}

#[test]
fn what_has_not_changed_is_as_it_was_found() {
    let text = "import a\nfrom .b import c\ntry:\n    import d\nexcept ImportError:\n    pass\n\
                def f():\n    s.bind('tcp://*:5555')\nif __name__ == '__main__':\n    import e\n";
    for text in [text, "import ("] {
        let case = Case::new(text);
        let (memory, tree) = case.kept("1");
        assert_eq!(memory.known().len(), 1);
        assert_eq!(memory.known()["a.py"].1, tree.files[0]);
        assert_eq!(case.scan(&memory), tree);
    }
}

#[test]
fn a_file_that_changed_is_read_again() {
    let case = Case::new("import a\n");
    let (memory, _) = case.kept("1");
    // Of the same length, at the same place.
    case.write("import b\n");
    assert_eq!(case.scan(&memory).files[0].imports[0].name, "b");
    fs::remove_file(case.0.path().join("tree/a.py")).expect("it was there");
    assert_eq!(case.scan(&memory), Tree::default());
}

#[test]
fn what_was_written_just_now_is_not_remembered() {
    let case = Case::new("import a\n");
    let file = case.0.path().join("kept.json");
    let open = || Memory::open(file.clone(), "1".into());
    case.scan(&open());
    assert_eq!(open().known().len(), 0);
}

#[test]
fn another_reader_and_a_damaged_memory_start_anew() {
    let case = Case::new("import a\n");
    let (memory, tree) = case.kept("1");
    assert_eq!(memory.known().len(), 1);
    let file = case.0.path().join("kept.json");
    assert_eq!(Memory::open(file.clone(), "2".into()).known().len(), 0);
    let whole = fs::read(&file).expect("kept");
    for damaged in [&whole[..whole.len() / 2], b"[]", b"\xff", b""] {
        fs::write(&file, damaged).expect("a file");
        let memory = Memory::open(file.clone(), "1".into());
        assert_eq!(memory.known().len(), 0);
        assert_eq!(case.scan(&memory), tree);
    }
}
