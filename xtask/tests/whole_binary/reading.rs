//! What is read of the manifest and the code, and how often: the kernel counts.

use std::{
    collections::BTreeMap,
    fs,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::fs::inotify;

use crate::{
    fixture::{AGENTS, Fixture},
    tool::Outcome,
};

/// Counts how often files are opened.
struct Opens {
    watch: OwnedFd,
    files: BTreeMap<i32, PathBuf>,
}

impl Opens {
    fn of(files: Vec<PathBuf>) -> Self {
        let flags = inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC;
        let watch = inotify::init(flags).expect("inotify");
        let add = |file: PathBuf| {
            let added = inotify::add_watch(&watch, &file, inotify::WatchFlags::OPEN);
            (added.expect("a watch"), file)
        };
        Opens {
            files: files.into_iter().map(add).collect(),
            watch,
        }
    }

    fn count(&self) -> BTreeMap<&Path, usize> {
        let mut counts: BTreeMap<&Path, usize> = BTreeMap::new();
        let mut buffer = [MaybeUninit::uninit(); 65_536];
        let mut events = inotify::Reader::new(&self.watch, &mut buffer);
        while let Ok(event) = events.next() {
            if let Some(file) = self.files.get(&event.wd()) {
                *counts.entry(file).or_default() += 1;
            }
        }
        counts
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "py") {
            found.push(path);
        }
    }
    found
}

fn lines_with(outcome: &Outcome, start: &str) -> usize {
    let lines = outcome.stderr.lines();
    lines.filter(|line| line.starts_with(start)).count()
}

#[test]
fn up_reads_manifest_and_code_once() {
    let fixture = Fixture::new();
    let manifest = fixture.path("repo/containers/system.toml");
    let mut files = sources(&fixture.path("repo"));
    assert_eq!(files.len(), AGENTS.len(), "{files:?}");
    files.push(manifest.clone());
    let opens = Opens::of(files);
    let outcome = fixture.run(&["up", "--settle", "0s", "-v"]).expect(0);
    let counts = opens.count();
    let more: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(more.is_empty(), "{counts:?} {}", outcome.stderr);
    assert_eq!(counts.get(manifest.as_path()), Some(&1));
    assert_eq!(lines_with(&outcome, "# read the code of "), 1);
    assert_eq!(lines_with(&outcome, "# hashed "), 1);
}
