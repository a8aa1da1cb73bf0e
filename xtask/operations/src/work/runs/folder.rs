//! The folders of runs: numbered, readable by their owner alone, and no more of
//! them than are worth keeping.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Runs that are kept.
const RUNS_MAX: usize = 50;
/// Bytes that all of them may take.
const BYTES_MAX: u64 = 500 * 1_000_000;
/// Locked while its run is being written.
const WRITING: &str = ".writing";

/// The folder of a run that is being written.
#[derive(Debug)]
pub struct RunFolder {
    pub number: u32,
    pub path: PathBuf,
    /// Locked; the kernel drops the lock if the process dies.
    _writing: File,
}

impl RunFolder {
    /// A new one below `runs`, with the next number; old ones are removed.
    pub fn create(runs: &Path) -> io::Result<Self> {
        let mut folder = DirBuilder::new();
        folder.mode(0o700);
        DirBuilder::new().mode(0o700).recursive(true).create(runs)?;
        let mut number = numbers(runs)?.last().map_or(1, |(last, _)| last + 1);
        let path = loop {
            let path = runs.join(format!("{number:04}"));
            match folder.create(&path) {
                Ok(()) => break path,
                // Another run has just taken it.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(error),
            }
        };
        let writing = private().open(path.join(WRITING))?;
        writing.lock()?;
        prune(runs, RUNS_MAX, BYTES_MAX)?;
        Ok(RunFolder {
            number,
            path,
            _writing: writing,
        })
    }

    /// Writes a file as a whole, so that nobody reads half of it.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let new = self.path.join(format!(".{name}.new"));
        private().open(&new)?.write_all(bytes)?;
        fs::rename(new, self.path.join(name))
    }

    /// An empty file to be filled.
    pub fn file(&self, name: &str) -> io::Result<File> {
        private().open(self.path.join(name))
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.path.join(WRITING));
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true).mode(0o600);
    options
}

/// Runs below `runs` with their folders, the oldest first.
pub fn numbers(runs: &Path) -> io::Result<Vec<(u32, PathBuf)>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(runs)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(number) = name.and_then(|name| name.parse().ok()) {
            numbers.push((number, path));
        }
    }
    numbers.sort();
    Ok(numbers)
}

/// Removes the oldest runs that are too many or too much; never the last one,
/// and none that is being written.
fn prune(runs: &Path, runs_max: usize, bytes_max: u64) -> io::Result<()> {
    let mut kept: Vec<(PathBuf, u64)> = numbers(runs)?
        .into_iter()
        .map(|(_, path)| (bytes(&path), path))
        .map(|(bytes, path)| (path, bytes))
        .collect();
    let _ = kept.pop();
    let mut count = kept.len() + 1;
    let mut total: u64 = kept.iter().map(|(_, bytes)| bytes).sum();
    for (path, bytes) in kept {
        if count <= runs_max && total <= bytes_max {
            break;
        }
        if is_written(&path) {
            continue;
        }
        fs::remove_dir_all(&path)?;
        count -= 1;
        total -= bytes;
    }
    Ok(())
}

fn bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| entry.metadata().map_or(0, |metadata| metadata.len()));
    sizes.sum()
}

fn is_written(folder: &Path) -> bool {
    File::open(folder.join(WRITING)).is_ok_and(|file| file.try_lock().is_err())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn left(runs: &Path) -> Vec<u32> {
        let numbers = numbers(runs).unwrap().into_iter();
        numbers.map(|(number, _)| number).collect()
    }

    #[test]
    fn numbers_go_on_and_nobody_else_reads() {
        let state = tempfile::tempdir().unwrap();
        let runs = state.path().join("system/runs");
        for number in 1..=3 {
            let run = RunFolder::create(&runs).unwrap();
            run.write("run.json", b"{}").unwrap();
            assert_eq!(run.number, number);
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&run.path), 0o700);
            assert_eq!(mode(&runs), 0o700);
            assert_eq!(mode(&run.path.join("run.json")), 0o600);
        }
        fs::remove_dir_all(runs.join("0001")).unwrap();
        assert_eq!(RunFolder::create(&runs).unwrap().number, 4);
        assert!(!runs.join("0004").join(WRITING).exists());
    }

    #[test]
    fn two_runs_at_once_have_two_numbers() {
        let state = tempfile::tempdir().unwrap();
        let runs = state.path().join("runs");
        let mut numbers: Vec<u32> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16)
                .map(|_| scope.spawn(|| RunFolder::create(&runs).unwrap().number))
                .collect();
            threads.into_iter().map(|one| one.join().unwrap()).collect()
        });
        numbers.sort();
        assert_eq!(numbers, (1..=16).collect::<Vec<u32>>());
    }

    #[test]
    fn the_oldest_go_but_none_that_is_being_written() {
        let state = tempfile::tempdir().unwrap();
        let runs = state.path();
        let first = RunFolder::create(runs).unwrap();
        for _ in 2..=6 {
            let run = RunFolder::create(runs).unwrap();
            run.write("a.log", &[b'x'; 1000]).unwrap();
        }
        prune(runs, 4, u64::MAX).unwrap();
        assert_eq!(left(runs), [1, 4, 5, 6]);
        prune(runs, 4, 1500).unwrap();
        assert_eq!(left(runs), [1, 5, 6]);
        drop(first);
        prune(runs, 1, u64::MAX).unwrap();
        assert_eq!(left(runs), [6]);
        prune(runs, 0, 0).unwrap();
        assert_eq!(left(runs), [6]);
    }
}
