//! Finds the Python files below a folder and reads them, side by side.
//!
//! Ignore files are honoured as git does it, in a repository or not. Nothing
//! that lies around in a tree ends the walk: what cannot be read is listed.

use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, File, Metadata},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Mutex, mpsc},
    thread,
    time::SystemTime,
};

use ignore::{DirEntry, WalkBuilder};
use serde::Serialize;

use super::{
    PythonVersion,
    facts::{FileFacts, SyntaxError},
    memory::{Mark, Memory},
    parse, source,
};

/// What to scan, and for what.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The version of Python that is to run the files.
    pub version: PythonVersion,
    /// Folders or files relative to the root, with `/`; empty for all.
    pub only: BTreeSet<String>,
    /// Threads that read files; as many as there are cores if not given.
    pub threads: Option<usize>,
}

/// All Python files below a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tree {
    /// Sorted by path.
    pub files: Vec<FileFacts>,
    /// Sorted by path.
    pub skipped: Vec<Skipped>,
    /// Of the files that parse.
    pub lines: u64,
    /// Of all files.
    pub bytes: u64,
}

/// Something below the root that may hold Python, and was not read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Skipped {
    /// Relative to the root, with `/`; empty for what belongs to no path.
    pub path: String,
    /// A fragment, such as `is a symbolic link`.
    pub reason: String,
}

/// Reads all Python files below `root`, except those that `memory` knows.
///
/// Fails only if `root` is no folder that can be listed.
pub fn scan(root: &Path, options: &Options, memory: &Memory) -> io::Result<Tree> {
    let started = SystemTime::now();
    let root = fs::canonicalize(root)?;
    fs::read_dir(&root)?;
    let threads = options
        .threads
        .unwrap_or_else(|| thread::available_parallelism().map_or(1, std::num::NonZero::get));
    let (give, take) = mpsc::channel::<PathBuf>();
    let take = Mutex::new(take);
    let mut tree = Tree::default();
    let mut marks = HashMap::new();
    thread::scope(|scope| {
        let reader = || {
            let mut part = Part::default();
            // The guard is given back before the file is read.
            while let Ok(path) = { next(&take) } {
                part.read(&root, &path, options.version, memory);
            }
            part
        };
        let spawn = |_| {
            let thread = thread::Builder::new().stack_size(parse::STACK);
            thread.spawn_scoped(scope, reader)
        };
        // Where fewer threads can be had, fewer read.
        let readers: Vec<_> = (0..threads.max(1)).map_while(|n| spawn(n).ok()).collect();
        tree.skipped = walk(&root, &options.only, &give);
        drop(give);
        for reader in readers {
            if let Ok(part) = reader.join() {
                tree.add(part.tree);
                marks.extend(part.marks);
            }
        }
    });
    let marked = tree
        .files
        .iter()
        .filter_map(|facts| Some((*marks.get(&facts.path)?, facts)));
    memory.keep(started, marked);
    tree.files.sort_by(|a, b| a.path.cmp(&b.path));
    tree.skipped.sort();
    tree.skipped.dedup();
    Ok(tree)
}

/// Reads one file, whatever its name; `path` is relative to `root`, with `/`. What
/// it holds comes along, unless it is refused for its size.
///
/// Fails if it cannot be read at all; a link is followed.
pub fn read_one(
    root: &Path,
    path: &str,
    version: PythonVersion,
) -> io::Result<(FileFacts, Option<Vec<u8>>)> {
    let path_on_disk = root.join(path);
    Ok(
        match content(&path_on_disk, &fs::metadata(&path_on_disk)?)? {
            Ok(bytes) => {
                let facts = parse::one(path.to_owned(), bytes.clone(), version);
                (facts, Some(bytes))
            }
            Err(error) => (refused(path.to_owned(), error), None),
        },
    )
}

/// What one thread has read.
#[derive(Default)]
struct Part {
    tree: Tree,
    marks: HashMap<String, Mark>,
}

impl Part {
    fn read(&mut self, root: &Path, path: &Path, version: PythonVersion, memory: &Memory) {
        let name = relative(root, path);
        if let Err(error) = self.try_read(path, &name, version, memory) {
            self.tree.skipped.push(Skipped {
                path: name,
                reason: format!("cannot be read: {error}"),
            });
        }
    }

    fn try_read(
        &mut self,
        path: &Path,
        name: &str,
        version: PythonVersion,
        memory: &Memory,
    ) -> io::Result<()> {
        // Looked at before it is read: what changes it in between is noticed
        // the next time.
        let about = fs::metadata(path)?;
        let mark = Mark::of(&about);
        let facts = match memory.recall(name, mark) {
            Some(facts) => facts.clone(),
            None => match content(path, &about)? {
                Ok(bytes) => parse::file(name.to_owned(), bytes, version),
                Err(error) => {
                    self.tree.files.push(refused(name.to_owned(), error));
                    return Ok(());
                }
            },
        };
        self.tree.bytes += about.len();
        self.tree.lines += u64::from(facts.lines);
        self.marks.insert(name.to_owned(), mark);
        self.tree.files.push(facts);
        Ok(())
    }
}

impl Tree {
    fn add(&mut self, other: Tree) {
        self.files.extend(other.files);
        self.skipped.extend(other.skipped);
        self.lines += other.lines;
        self.bytes += other.bytes;
    }
}

fn next(take: &Mutex<mpsc::Receiver<PathBuf>>) -> Result<PathBuf, mpsc::RecvError> {
    let take = take
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    take.recv()
}

/// Hands every Python file to `give`; returns what is skipped.
fn walk(root: &Path, only: &BTreeSet<String>, give: &mpsc::Sender<PathBuf>) -> Vec<Skipped> {
    let only: Vec<PathBuf> = only.iter().map(|path| root.join(path)).collect();
    let wanted = move |entry: &DirEntry| {
        let path = entry.path();
        let on_the_way = |only: &PathBuf| path.starts_with(only) || only.starts_with(path);
        let git = entry.depth() > 0 && entry.file_name() == ".git";
        !git && (only.is_empty() || only.iter().any(on_the_way))
    };
    let walk = WalkBuilder::new(root)
        .standard_filters(false)
        .ignore(true)
        .git_ignore(true)
        .require_git(false)
        .filter_entry(wanted)
        .build();
    let mut skipped = Vec::new();
    for entry in walk {
        match entry {
            Ok(entry) => {
                if let Some(reason) = judge(&entry, give) {
                    let path = relative(root, entry.path());
                    skipped.push(Skipped { path, reason });
                }
                if let Some(error) = entry.error() {
                    skipped.push(unreadable(root, error));
                }
            }
            Err(error) => skipped.push(unreadable(root, &error)),
        }
    }
    skipped
}

/// Gives a Python file away, or says why it is skipped; other files are of no
/// interest.
fn judge(entry: &DirEntry, give: &mpsc::Sender<PathBuf>) -> Option<String> {
    let path = entry.path();
    let python = path.extension().is_some_and(|extension| extension == "py");
    let kind = entry.file_type()?;
    if kind.is_symlink() {
        // A link that leads nowhere may have been meant to lead to anything.
        let folder = fs::metadata(path).map_or(true, |target| target.is_dir());
        return (python || folder).then(|| "is a symbolic link".to_owned());
    }
    if !python || kind.is_dir() {
        return None;
    }
    if !kind.is_file() {
        return Some("is not a regular file".to_owned());
    }
    // Without a reader there is nobody to take it.
    give.send(path.to_owned())
        .err()
        .map(|_| "no thread to read it with".to_owned())
}

fn unreadable(root: &Path, error: &ignore::Error) -> Skipped {
    let (path, reason) = parts(error);
    Skipped {
        path: path.map(|path| relative(root, path)).unwrap_or_default(),
        reason,
    }
}

/// The path of a walk's error, and the rest of it.
fn parts(error: &ignore::Error) -> (Option<&Path>, String) {
    match error {
        ignore::Error::WithPath { path, err } => (Some(path), parts(err).1),
        ignore::Error::WithDepth { err, .. } => parts(err),
        ignore::Error::WithLineNumber { line, err } => {
            let (path, reason) = parts(err);
            (path, format!("line {line}: {reason}"))
        }
        ignore::Error::Io(error) => (None, format!("cannot be read: {error}")),
        other => (None, other.to_string()),
    }
}

fn relative(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    path.to_string_lossy().into_owned()
}

/// The bytes of a file, unless there are too many; a pipe or a device is never
/// opened.
fn content(path: &Path, about: &Metadata) -> io::Result<Result<Vec<u8>, String>> {
    if !about.is_file() {
        return Err(io::Error::other("is not a regular file"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(about.len().min(1 << 20)).unwrap_or(0));
    // The file may have grown since.
    let mut limited = File::open(path)?.take(source::BYTES_MAX + 1);
    limited.read_to_end(&mut bytes)?;
    match bytes.len() as u64 > source::BYTES_MAX {
        true => Ok(Err(source::too_large())),
        false => Ok(Ok(bytes)),
    }
}

fn refused(path: String, message: String) -> FileFacts {
    let error = SyntaxError {
        line: 1,
        column: 1,
        message,
    };
    FileFacts {
        path,
        error: Some(error),
        ..FileFacts::default()
    }
}

#[cfg(test)]
mod tests;
