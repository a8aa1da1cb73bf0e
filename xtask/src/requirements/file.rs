//! Requirements files with all they include, as pip reads them.
//!
//! Whatever stands in a file, reading goes on: what cannot be used becomes a
//! finding at its place. `read` is pure; `from_disk` is the only door to the
//! file system.

use std::{
    collections::BTreeSet,
    fs, io,
    io::Read as _,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use super::{
    finding::{Finding, Place, Severity, excerpt},
    lines,
    requirement::{Requirement, Wanted},
    statement::{self, Statement},
};

/// A requirement and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub requirement: Requirement,
    pub at: Place,
}

/// Everything that was read.
#[derive(Debug, Default)]
pub struct Files {
    /// What is asked for, in the order of the files, includes in their places.
    pub entries: Vec<Entry>,
    /// What `-c` files say: limits that apply only if something is asked for.
    pub constraints: Vec<Entry>,
    pub findings: Vec<Finding>,
    /// The files as named on the command line, then those included.
    pub read: Vec<PathBuf>,
}

/// A file's content, and what tells it from all others however it is named.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub identity: PathBuf,
    pub bytes: Vec<u8>,
}

/// Larger files are logs or data that were named by mistake.
const SIZE_MAX: u64 = 64 << 20;

/// Longer chains of includes are circles that symbolic links hide.
const DEPTH_MAX: usize = 40;

/// Lines that are no requirement and are reported one by one, for each file.
const WRONG_MAX: usize = 50;

/// Reads `paths` with `load`, usually `from_disk`.
pub fn read(paths: &[PathBuf], load: &mut dyn FnMut(&Path) -> io::Result<Loaded>) -> Files {
    let mut reader = Reader {
        load,
        files: Files::default(),
        seen: BTreeSet::new(),
        open: Vec::new(),
    };
    for path in paths {
        reader.file(path, false, None);
    }
    reader.files
}

/// Reads one regular file of bearable size. The identity is its real path.
pub fn from_disk(path: &Path) -> io::Result<Loaded> {
    let identity = fs::canonicalize(path)?;
    let kind = fs::metadata(&identity)?;
    if !kind.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(&identity)?
        .take(SIZE_MAX + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SIZE_MAX {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "too large for a requirements file",
        ));
    }
    Ok(Loaded { identity, bytes })
}

struct Reader<'l> {
    load: &'l mut dyn FnMut(&Path) -> io::Result<Loaded>,
    files: Files,
    /// Identities that were read, as requirements or as constraints.
    seen: BTreeSet<(PathBuf, bool)>,
    /// The files being read, outermost first.
    open: Vec<(PathBuf, Arc<str>)>,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, constraint: bool, from: Option<&Place>) {
        let name: Arc<str> = path.to_string_lossy().into();
        let loaded = match (self.load)(path) {
            Ok(loaded) => loaded,
            Err(error) => return self.unreadable(&name, &error, from),
        };
        if let Some(from) = from {
            let again = self.open.iter().position(|(id, _)| *id == loaded.identity);
            if again.is_some() || self.open.len() >= DEPTH_MAX {
                return self.circle(again.unwrap_or(0), &name, from);
            }
        }
        if !self.seen.insert((loaded.identity.clone(), constraint)) {
            return;
        }
        self.files.read.push(path.to_owned());
        self.open.push((loaded.identity, name.clone()));
        self.content(path, &name, &loaded.bytes, constraint);
        self.open.pop();
    }

    fn content(&mut self, path: &Path, name: &Arc<str>, bytes: &[u8], constraint: bool) {
        let text = lines::read(bytes);
        if let Some(bad) = &text.undecodable {
            self.files.findings.push(undecodable(name, bad));
        }
        let mut summary = Summary::default();
        for line in &text.lines {
            let place = |offset| {
                let (line, column) = line.position(offset);
                Place {
                    file: name.clone(),
                    line,
                    column,
                }
            };
            match statement::read(&line.text) {
                Statement::Requirement {
                    requirement,
                    options,
                } => {
                    let entry = Entry {
                        requirement: *requirement,
                        at: place(0),
                    };
                    if !options.is_empty() {
                        summary.with_options.get_or_insert((entry.at.clone(), 0)).1 += 1;
                    }
                    if constraint {
                        self.files.constraints.push(entry);
                    } else {
                        self.files.entries.push(entry);
                    }
                }
                Statement::Include { target, constraint } => {
                    self.include(path, &target, constraint, &place(0));
                }
                Statement::Location { text, editable } => {
                    let finding = location(&text, editable, &place(0));
                    self.files.findings.push(finding);
                }
                Statement::Option(option) => {
                    let finding = left_out(option, &place(0));
                    self.files.findings.push(finding);
                }
                Statement::Wrong { wrong, hint } => {
                    let at = place(wrong.offset);
                    if summary.wrong == WRONG_MAX {
                        summary.more.get_or_insert((at.clone(), 0)).1 += 1;
                        continue;
                    }
                    summary.wrong += 1;
                    let message = format!(
                        "`{}` is no requirement: it {}",
                        excerpt(&line.text),
                        wrong.message
                    );
                    let finding =
                        Finding::new("not-a-requirement", Severity::Error, &at, message).hint(hint);
                    self.files.findings.push(finding);
                }
            }
        }
        self.files.findings.extend(summary.findings());
    }

    fn include(&mut self, from: &Path, target: &str, constraint: bool, at: &Place) {
        if target.contains("://") {
            let message = format!("`{}` is on the network and is not read", shown_url(target));
            let finding = Finding::new("missing-include", Severity::Error, at, message)
                .hint("download it into the monorepo and refer to that copy");
            self.files.findings.push(finding);
            return;
        }
        let folder = from.parent().unwrap_or(Path::new(""));
        let path = cleaned(&folder.join(target));
        self.file(&path, constraint, Some(at));
    }

    fn unreadable(&mut self, name: &str, error: &io::Error, from: Option<&Place>) {
        let finding = match from {
            Some(from) => {
                let message = format!("`{}` cannot be read: {error}", excerpt(name));
                Finding::new("missing-include", Severity::Error, from, message)
                    .hint("the path is relative to the file that names it")
            }
            None => {
                let message = format!("the file cannot be read: {error}");
                Finding::new(
                    "unreadable",
                    Severity::Error,
                    &Place::line(name, 1),
                    message,
                )
                .hint("name a requirements file that exists")
            }
        };
        self.files.findings.push(finding);
    }

    fn circle(&mut self, start: usize, name: &str, from: &Place) {
        let mut names: Vec<&str> = self.open[start..].iter().map(|(_, name)| &**name).collect();
        names.push(name);
        if names.len() > 6 {
            names.splice(3..names.len() - 2, ["…"]);
        }
        let message = format!("includes go in a circle: {}", names.join(" -> "));
        let finding = Finding::new("include-loop", Severity::Warning, from, message)
            .hint("remove one of them; each file is read once");
        self.files.findings.push(finding);
    }
}

/// What a file has so many of that it is told once.
#[derive(Default)]
struct Summary {
    wrong: usize,
    more: Option<(Place, usize)>,
    with_options: Option<(Place, usize)>,
}

impl Summary {
    fn findings(self) -> impl Iterator<Item = Finding> {
        let more = self.more.map(|(at, count)| {
            let message = format!("{count} more lines are no requirements");
            Finding::new("not-a-requirement", Severity::Error, &at, message)
                .hint("is this a requirements file at all?")
        });
        let options = self.with_options.map(|(at, count)| {
            let message = format!("hashes or build settings of {count} requirements are left out");
            Finding::new("option-left-out", Severity::Remark, &at, message)
                .hint("the locks have hashes of their own")
        });
        more.into_iter().chain(options)
    }
}

fn undecodable(name: &Arc<str>, bad: &lines::Undecodable) -> Finding {
    let at = Place {
        file: name.clone(),
        line: bad.line,
        column: bad.column,
    };
    let mut message = match bad.byte {
        Some(byte) => format!("the byte 0x{byte:02X} is not UTF-8"),
        None => "half a UTF-16 character".to_owned(),
    };
    if bad.count > 1 {
        message.push_str(&format!(", and {} more places", bad.count - 1));
    }
    Finding::new("unreadable", Severity::Warning, &at, message).hint("save the file as UTF-8")
}

fn location(text: &str, editable: bool, at: &Place) -> Finding {
    let kind = if editable {
        "editable"
    } else {
        "a place without a name"
    };
    let message = format!("`{}` is {kind} and is left out", shown_url(text));
    let url = text.contains("://") && !editable;
    Finding::new("not-portable", Severity::Warning, at, message).hint(if url {
        "write `NAME @ URL`"
    } else {
        "code of the monorepo reaches the images without being installed; publish anything else"
    })
}

fn left_out(option: &str, at: &Place) -> Finding {
    let message = format!("`{option}` is left out");
    let indexes = [
        "--index-url",
        "--pypi-url",
        "--extra-index-url",
        "--trusted-host",
    ];
    Finding::new("option-left-out", Severity::Remark, at, message).hint(
        if indexes.contains(&option) {
            "package indexes are those of this machine's pip configuration"
        } else {
            "the locks decide which files are installed"
        },
    )
}

/// A requirement that only works on the machine of its author, or that no hash
/// can hold.
pub fn is_portable(requirement: &Requirement) -> bool {
    match &requirement.wanted {
        Wanted::Versions(_) => true,
        Wanted::Url(url) => url.starts_with("https://") || url.starts_with("http://"),
    }
}

/// As `excerpt`, without what may be a password.
pub fn shown_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return excerpt(url);
    };
    let host = rest.find('/').unwrap_or(rest.len());
    match rest[..host].rfind('@') {
        Some(at) => excerpt(&format!("{scheme}://…@{}", &rest[at + 1..])),
        None => excerpt(url),
    }
}

/// Without `.` and, where the text alone can tell, `..`.
fn cleaned(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(out.components().next_back(), Some(Component::Normal(_))) =>
            {
                out.pop();
            }
            _ => out.push(part),
        }
    }
    out
}

#[cfg(test)]
#[path = "tests/file.rs"]
mod tests;
