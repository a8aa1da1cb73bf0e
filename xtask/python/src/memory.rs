//! What was found in files before, so that those that have not changed are not
//! read again.
//!
//! A file counts as unchanged while its size, its inode and the times of its
//! last change are what they were, to the nanosecond; the time of the inode's
//! change cannot be set back by programs that copy or unpack. A file that
//! changed only just before it was read is not remembered, since it may change
//! again within the same tick of the clock (as git does it, "racy git").
//!
//! The memory is a cache: what cannot be read or written is done without.

use std::{
    collections::HashMap,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::facts::FileFacts;

/// Clocks of file systems tick at least this often.
const TICK: Duration = Duration::from_secs(2);

/// What tells a file from what it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    size: u64,
    inode: u64,
    modified_ns: i128,
    changed_ns: i128,
}

impl Mark {
    pub fn of(about: &Metadata) -> Self {
        let ns = |seconds: i64, ns: i64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
        Mark {
            size: about.size(),
            inode: about.ino(),
            modified_ns: ns(about.mtime(), about.mtime_nsec()),
            changed_ns: ns(about.ctime(), about.ctime_nsec()),
        }
    }

    fn before(&self, moment_ns: i128) -> bool {
        self.modified_ns.max(self.changed_ns) < moment_ns
    }
}

/// The facts of a tree's files as they were found last.
#[derive(Debug, Default)]
pub struct Memory {
    file: Option<PathBuf>,
    stamp: String,
    /// Read when it is first asked for, while others list the tree.
    known: OnceLock<Known>,
}

type Known = HashMap<String, (Mark, FileFacts)>;

#[derive(Serialize, Deserialize)]
struct Kept<F> {
    stamp: String,
    files: Vec<(Mark, F)>,
}

impl Memory {
    /// What is kept in `file`. `stamp` stands for everything besides the files
    /// that facts depend on: the reader's own version, that of Python.
    pub fn open(file: PathBuf, stamp: String) -> Self {
        Memory {
            file: Some(file),
            stamp,
            known: OnceLock::new(),
        }
    }

    fn known(&self) -> &Known {
        self.known.get_or_init(|| {
            let text = self.file.as_ref().and_then(|file| fs::read(file).ok());
            let kept: Option<Kept<FileFacts>> =
                text.and_then(|text| serde_json::from_slice(&text).ok());
            let files = kept
                .filter(|kept| kept.stamp == self.stamp)
                .map(|kept| kept.files);
            let known = files.into_iter().flatten();
            known
                .map(|(mark, facts)| (facts.path.clone(), (mark, facts)))
                .collect()
        })
    }

    /// What the file was found to say, if it is still the same.
    pub fn recall(&self, path: &str, mark: Mark) -> Option<&FileFacts> {
        let (known, facts) = self.known().get(path)?;
        (*known == mark).then_some(facts)
    }

    /// Keeps what has been found since `started`, unless it is known already.
    pub fn keep<'f>(
        &self,
        started: SystemTime,
        found: impl Iterator<Item = (Mark, &'f FileFacts)>,
    ) {
        let Some(file) = &self.file else {
            return;
        };
        let moment = started - TICK;
        let moment_ns = moment
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos() as i128);
        let files: Vec<(Mark, &FileFacts)> =
            found.filter(|(mark, _)| mark.before(moment_ns)).collect();
        let all_known = files.len() == self.known().len()
            && files
                .iter()
                .all(|(mark, facts)| self.recall(&facts.path, *mark).is_some());
        if !all_known {
            let kept = Kept {
                stamp: self.stamp.clone(),
                files,
            };
            // Losing it costs reading the files again.
            let _ = write(file, &kept);
        }
    }
}

fn write(file: &Path, kept: &Kept<&FileFacts>) -> std::io::Result<()> {
    fs::create_dir_all(file.parent().unwrap_or(file))?;
    let partial = file.with_extension(std::process::id().to_string());
    fs::write(&partial, serde_json::to_vec(kept)?)?;
    fs::rename(&partial, file)
}

#[cfg(test)]
mod tests;
