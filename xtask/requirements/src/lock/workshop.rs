//! The folder in which locks are made, and the calls of uv in it.
//!
//! uv sees plain file names only, so that no folder of this machine gets into
//! what it writes.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use diagnostics::excerpt::printable;
use process::{Cancel, ProcessError};

use super::{
    super::{
        list::List,
        lock_file::LockFile,
        rules::Limit,
        uv::{BUILD_LOCK, Uv},
    },
    explain::plain_error,
    request::{Line, Sources},
};
use crate::lock::{
    error::LockError,
    names::{BUILD_LIST, JOINT, TEST_LIST, TEST_LOCK},
    request::LockRequest,
};

/// The user's limits for what is installed.
pub const LIMITS: &str = "limits.txt";
/// The user's limits for what builds it.
pub const LIMITS_OF_BUILD: &str = "limits-of-build.txt";
/// Both the tools and the limits of building from source.
const BUILD_CONSTRAINTS: &str = "build-constraints.txt";
/// All packages with all their files.
const FILES: &str = "pylock.toml";

/// Removed with all in it when it is dropped.
pub struct Workshop<'a> {
    folder: PathBuf,
    uv: Uv,
    cancel: &'a Cancel,
    python: &'a str,
    platform: &'a str,
}

/// One compilation.
#[derive(Debug, Clone)]
pub struct Call {
    /// Arguments behind those that all calls have.
    args: Vec<String>,
    /// The file that is written; one that is there tells what to prefer.
    pub output: &'static str,
    offline: bool,
}

/// What came of a call.
#[derive(Debug)]
pub struct Made {
    pub text: String,
    pub remarks: Vec<String>,
}

/// Why nothing came of it.
#[derive(Debug)]
pub enum Said {
    /// uv's explanation.
    No(String),
    /// Something else went wrong.
    Error(LockError),
}

impl Said {
    /// As an error that says what could not be done.
    pub fn into_error(self, what: &str) -> LockError {
        match self {
            Said::Error(error) => error,
            Said::No(text) => plain_error(what, &text),
        }
    }
}

impl Call {
    /// All lists together, versions only.
    pub fn joint(sources: &Sources) -> Self {
        Call::new(JOINT, &["--no-annotate"])
            .limited(sources)
            .lists(&List::ALL)
    }

    /// One list with hashes, under the joint lock.
    pub fn list(list: List, sources: &Sources) -> Self {
        Call::new("list.txt", &["--generate-hashes", "--constraints", JOINT])
            .into_file(list)
            .limited(sources)
            .lists(&[list])
    }

    /// All files of all packages, under the joint lock.
    pub fn files(sources: &Sources) -> Self {
        Call::new(FILES, &["--format", "pylock.toml", "--constraints", JOINT])
            .limited(sources)
            .lists(&List::ALL)
    }

    /// The build tools with hashes. They meet no package of the lists, so the
    /// joint lock does not bind them.
    pub fn build(sources: &Sources) -> Self {
        Call::new(BUILD_LOCK, &["--generate-hashes", BUILD_LIST]).constrained(
            "--constraints",
            LIMITS_OF_BUILD,
            sources.build_limits.is_empty(),
        )
    }

    /// What tests are run with; an image of its own, like the build tools.
    pub fn test() -> Self {
        Call::new(TEST_LOCK, &["--generate-hashes", TEST_LIST])
    }

    /// Answered from uv's cache, or not at all.
    pub fn offline(mut self) -> Self {
        self.offline = true;
        self
    }

    fn new(output: &'static str, words: &[&str]) -> Self {
        Call {
            args: words.iter().map(|word| (*word).to_owned()).collect(),
            output,
            offline: false,
        }
    }

    fn into_file(mut self, list: List) -> Self {
        self.output = match list {
            List::Core => "core.out",
            List::Gpu => "gpu.out",
            List::Audio => "audio.out",
        };
        self
    }

    fn limited(self, sources: &Sources) -> Self {
        let nothing_builds = sources.build.is_empty() && sources.build_limits.is_empty();
        self.constrained("--constraints", LIMITS, sources.limits.is_empty())
            .constrained("--build-constraints", BUILD_CONSTRAINTS, nothing_builds)
    }

    /// uv has a warning for files without a line.
    fn constrained(mut self, option: &str, file: &str, is_empty: bool) -> Self {
        if !is_empty {
            self.args.extend([option, file].map(str::to_owned));
        }
        self
    }

    fn lists(mut self, lists: &[List]) -> Self {
        self.args.extend(lists.iter().map(|list| list.file()));
        self
    }
}

impl<'a> Workshop<'a> {
    /// A new folder below `scratch`; removes those of runs that were killed.
    pub fn open(
        request: &'a LockRequest,
        uv: &Uv,
        scratch: &Path,
        cancel: &'a Cancel,
    ) -> Result<Self, LockError> {
        clear_leftovers(scratch);
        let own = format!("{PREFIX}{}-{}", std::process::id(), next_number());
        let cache = scratch.join("uv-cache").display().to_string();
        let settings = [
            // A file of settings somewhere above would change what is locked.
            ("UV_NO_CONFIG", "1"),
            // An interpreter of hundreds of megabytes is not fetched unasked.
            ("UV_PYTHON_DOWNLOADS", "never"),
            ("UV_CACHE_DIR", &cache),
            ("UV_NO_PROGRESS", "1"),
            ("NO_COLOR", "1"),
        ];
        let workshop = Workshop {
            folder: scratch.join(own),
            uv: uv.clone().with_env(&settings),
            cancel,
            python: &request.python,
            platform: &request.platform,
        };
        let made = fs::create_dir_all(&workshop.folder);
        made.map_err(|error| workshop.failed(&workshop.folder, error))?;
        Ok(workshop)
    }

    /// Another folder in this one, for a trial.
    pub fn room(&self, name: &str) -> Result<Self, LockError> {
        let room = Workshop {
            folder: self.folder.join(name),
            uv: self.uv.clone(),
            cancel: self.cancel,
            python: self.python,
            platform: self.platform,
        };
        let made = fs::create_dir_all(&room.folder);
        made.map_err(|error| self.failed(&room.folder, error))?;
        Ok(room)
    }

    /// Writes a file of the folder.
    pub fn write(&self, name: &str, text: &str) -> Result<(), LockError> {
        let path = self.folder.join(name);
        fs::write(&path, text).map_err(|error| self.failed(&path, error))
    }

    /// A file of the folder; nothing if it is not there.
    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }

    /// Writes lists and limits.
    pub fn write_sources(&self, sources: &Sources) -> Result<(), LockError> {
        for list in List::ALL {
            let lines = sources.lists.get(&list).map(Vec::as_slice);
            self.write(&list.file(), &text_of(lines.unwrap_or_default()))?;
        }
        let limits = |limits: &[Limit]| -> String {
            limits
                .iter()
                .map(|limit| format!("{}\n", limit.text()))
                .collect()
        };
        let build = text_of(&sources.build);
        let build_limits = limits(&sources.build_limits);
        self.write(LIMITS, &limits(&sources.limits))?;
        self.write(BUILD_LIST, &build)?;
        self.write(TEST_LIST, &text_of(&sources.test))?;
        self.write(LIMITS_OF_BUILD, &build_limits)?;
        self.write(BUILD_CONSTRAINTS, &format!("{build}{build_limits}"))
    }

    /// Runs uv and reads what it has written.
    pub fn run(&self, call: &Call, deadline: Duration) -> Result<Made, Said> {
        let folder = self.folder.display().to_string();
        let mut args = vec![
            "pip",
            "compile",
            "--directory",
            &folder,
            "--no-header",
            "--color",
            "never",
            "--python-version",
            self.python,
            "--python-platform",
            self.platform,
            "--output-file",
            call.output,
        ];
        if call.offline {
            args.push("--offline");
        }
        args.extend(call.args.iter().map(String::as_str));
        let output = match self.uv.run(&args, deadline, self.cancel) {
            Ok(output) => output,
            Err(ProcessError::Interrupted) => return Err(Said::Error(LockError::Interrupted)),
            Err(ProcessError::TimedOut { .. }) => {
                let seconds = deadline.as_secs();
                return Err(Said::Error(LockError::TimedOut { seconds }));
            }
            Err(error @ ProcessError::NotStarted(_)) => {
                let what = format!("run {}", self.uv.program.display());
                let said = vec![error.to_string()];
                return Err(Said::Error(LockError::Uv { what, said }));
            }
        };
        if output.code != 0 {
            // A signal for the whole terminal reaches uv, too.
            return Err(match self.cancel.requested() {
                true => Said::Error(LockError::Interrupted),
                false => Said::No(output.stderr),
            });
        }
        let path = self.folder.join(call.output);
        let text =
            fs::read_to_string(&path).map_err(|error| Said::Error(self.failed(&path, error)))?;
        let remarks = output
            .stderr
            .lines()
            .filter_map(|line| line.strip_prefix("warning: "));
        Ok(Made {
            text,
            remarks: remarks.map(printable).collect(),
        })
    }

    /// Answers from uv's cache, where a joint resolution has just put all that
    /// is needed; asks the index only if something is missing there.
    pub fn run_from_cache(&self, call: &Call, deadline: Duration) -> Result<Made, Said> {
        match self.run(&call.clone().offline(), deadline) {
            Err(Said::No(_)) => self.run(call, deadline),
            other => other,
        }
    }

    /// Reads a lock that uv wrote.
    pub fn parse(&self, text: &str, name: &str) -> Result<LockFile, LockError> {
        LockFile::parse(text).map_err(|wrong| LockError::Malformed {
            file: format!("uv's {name}"),
            wrong,
        })
    }

    fn failed(&self, path: &Path, error: io::Error) -> LockError {
        LockError::Io {
            path: path.to_owned(),
            error,
        }
    }
}

impl Drop for Workshop<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Folders of this kind carry the process in their name.
const PREFIX: &str = "lock-";

fn clear_leftovers(scratch: &Path) {
    for entry in fs::read_dir(scratch).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| {
            name.strip_prefix(PREFIX)?
                .split('-')
                .next()?
                .parse::<u32>()
                .ok()
        });
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Two workshops of one process do not share a folder.
fn next_number() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

fn text_of(lines: &[Line]) -> String {
    lines
        .iter()
        .map(|line| format!("{}\n", line.text))
        .collect()
}
