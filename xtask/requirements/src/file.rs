//! Requirements files with all they include, as pip reads them.
//!
//! Whatever stands in a file, reading goes on: what cannot be used becomes a
//! finding at its place. `read` is pure; `from_disk` is the only door to the
//! file system.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    io::Read as _,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use diagnostics::{
    excerpt::excerpt,
    finding::{Finding, Place, Severity},
};

use super::{
    lines,
    requirement::{Requirement, Wanted, sentence},
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

/// Requirements of all files together; more were made by a machine.
const ENTRIES_MAX: usize = 200_000;

/// Longer chains of includes are circles that symbolic links hide.
const DEPTH_MAX: usize = 40;

/// Findings of one kind that are told one by one, for each file.
const ALIKE_MAX: usize = 50;

/// Includes of one file; more were made by a machine.
const INCLUDES_MAX: usize = 500;

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
                    if !self.entry(entry, constraint) {
                        break;
                    }
                }
                Statement::Include { target, constraint } => {
                    summary.includes += 1;
                    if summary.includes <= INCLUDES_MAX {
                        self.include(path, &target, constraint, &place(0));
                    }
                }
                Statement::Location { text, editable } => {
                    summary.add(location(&text, editable, &place(0)));
                }
                Statement::Option(option) => summary.add(left_out(option, &place(0))),
                Statement::Wrong { wrong, hint } => {
                    let (text, why) = (excerpt(&line.text), wrong.message);
                    let message = format!("`{text}` is not a requirement: {}", sentence(&why));
                    let at = place(wrong.offset);
                    let finding = Finding::new("not-a-requirement", Severity::Error, &at, message);
                    summary.add(finding.hint(hint));
                }
            }
        }
        self.files.findings.extend(summary.findings(name));
    }

    /// Whether there is room for more.
    fn entry(&mut self, entry: Entry, constraint: bool) -> bool {
        let count = self.files.entries.len() + self.files.constraints.len();
        if count == ENTRIES_MAX {
            let message =
                format!("there are more than {ENTRIES_MAX} requirements; the rest is not read");
            let finding = Finding::new("unreadable", Severity::Error, &entry.at, message);
            self.files
                .findings
                .push(finding.hint("is this a requirements file at all?"));
            return false;
        }
        if constraint {
            self.files.constraints.push(entry);
        } else {
            self.files.entries.push(entry);
        }
        true
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
        let message = format!("the includes form a circle: {}", names.join(" -> "));
        let finding = Finding::new("include-loop", Severity::Warning, from, message)
            .hint("remove one of them; each file is read once");
        self.files.findings.push(finding);
    }
}

/// Findings of one file; what there is too much of is told once.
#[derive(Default)]
struct Summary {
    findings: Vec<Finding>,
    /// Findings by id, those that are not kept included.
    counts: BTreeMap<&'static str, usize>,
    includes: usize,
    /// The first requirement with options of its own, and how many there are.
    with_options: Option<(Place, usize)>,
}

impl Summary {
    fn add(&mut self, finding: Finding) {
        let count = self.counts.entry(finding.id).or_default();
        *count += 1;
        if *count <= ALIKE_MAX {
            self.findings.push(finding);
        }
    }

    fn findings(mut self, name: &str) -> Vec<Finding> {
        let is = |id: &'static str| move |f: &&Finding| f.id == id;
        for (id, count) in self.counts {
            let last = self.findings.iter().rev().find(is(id)).cloned();
            if let Some(last) = last.filter(|_| count > ALIKE_MAX) {
                self.findings.push(Finding {
                    message: format!("{} more lines of this kind follow", count - ALIKE_MAX),
                    hint: Some("is this a requirements file at all?".to_owned()),
                    ..last
                });
            }
        }
        if self.includes > INCLUDES_MAX {
            let message =
                format!("it includes more than {INCLUDES_MAX} files; the rest is not read");
            let at = Place::line(name, 1);
            let finding = Finding::new("missing-include", Severity::Error, &at, message);
            self.findings
                .push(finding.hint("is this a requirements file at all?"));
        }
        if let Some((at, count)) = self.with_options {
            let message = format!("hashes or build settings of {count} requirements are left out");
            let finding = Finding::new("option-left-out", Severity::Remark, &at, message);
            self.findings
                .push(finding.hint("the locks have hashes of their own"));
        }
        self.findings
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
