//! The user's decisions, `requirements/rules.toml`: they go before everything
//! the tool knows or finds out by itself.
//!
//! All problems of the file are reported at once, each at its place. A missing
//! file means that nothing was decided.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    io::Read as _,
    path::{Path, PathBuf},
};

use pep440_rs::VersionSpecifiers;
use toml::de::DeTable;

use crate::system::{
    problem::{Invalid, Problems, Span, line_and_column},
    reader::{At, Fields, record},
    syntax,
    value::{choice, integer, list, parsed, text},
};

use super::{
    finding::Place,
    list::List,
    name::normalized,
    requirement::{self, Requirement},
};

/// The version of the file's shape that this tool reads.
const SCHEMA: u64 = 1;

/// No rules are larger.
const SIZE_MAX: u64 = 4 << 20;

/// Folders whose files nobody runs any more, unless the rules say otherwise.
const ARCHIVED: [&str; 12] = [
    "*_archive",
    "archive*",
    "attic",
    "backup*",
    "deprecated",
    "legacy",
    "needtoverify",
    "obsolete",
    "old",
    "outdated",
    "trash*",
    "unused",
];

const LISTS: &[(&str, List)] = &[
    ("core", List::Core),
    ("gpu", List::Gpu),
    ("audio", List::Audio),
];

/// What the user decided. Names of distributions are normalised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Import name to distribution.
    pub imports: BTreeMap<String, String>,
    /// Where a requirement goes, whatever imports it.
    pub places: BTreeMap<String, Decision>,
    /// Requirements that no file asks for, in the order of the rules.
    pub additions: Vec<Addition>,
    /// Limits for all locks; they ask for nothing by themselves.
    pub limits: Vec<Limit>,
    /// Limits for what is used while packages are built from source.
    pub build: Vec<Limit>,
    /// Names of folders with code that is not live; `*` stands for anything.
    pub archived: Vec<String>,
    /// Import names that are nobody's business.
    pub ignored: BTreeSet<String>,
}

/// A placement by the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// None: in no image.
    pub lists: Vec<List>,
    pub reason: String,
    pub at: Place,
}

/// A requirement that the rules bring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    pub requirement: Requirement,
    pub lists: Vec<List>,
    pub reason: String,
    pub at: Place,
}

/// A constraint on the versions of one distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    pub name: String,
    pub versions: VersionSpecifiers,
    pub reason: String,
    pub at: Place,
}

/// Why there are no rules.
#[derive(Debug)]
pub enum RulesError {
    /// The file could not be read.
    Read { path: PathBuf, error: io::Error },
    /// Everything that is wrong with it.
    Invalid(Invalid),
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            imports: BTreeMap::new(),
            places: BTreeMap::new(),
            additions: Vec::new(),
            limits: Vec::new(),
            build: Vec::new(),
            archived: ARCHIVED.map(str::to_owned).to_vec(),
            ignored: BTreeSet::new(),
        }
    }
}

impl Rules {
    /// Whether a folder of this name holds code that is not live.
    pub fn is_archived(&self, folder: &str) -> bool {
        let folder = folder.to_lowercase();
        let fits = |pattern: &String| matches(&pattern.to_lowercase(), &folder);
        self.archived.iter().any(fits)
    }
}

/// Reads the rules at `path`; the defaults if there is no such file.
pub fn read(path: &Path) -> Result<Rules, RulesError> {
    let failed = |error| RulesError::Read {
        path: path.to_owned(),
        error,
    };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Rules::default()),
        Err(error) => return Err(failed(error)),
    };
    let mut source = String::new();
    file.take(SIZE_MAX + 1)
        .read_to_string(&mut source)
        .map_err(failed)?;
    if source.len() as u64 > SIZE_MAX {
        return Err(failed(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "too large for rules",
        )));
    }
    parse(&source, path)
}

/// Reads the text of the rules; `path` is for messages.
pub fn parse(source: &str, path: &Path) -> Result<Rules, RulesError> {
    let (document, errors) = DeTable::parse_recoverable(source);
    let mut problems = Problems::default();
    let file = path.to_string_lossy();
    let places = Places {
        file: &file,
        source,
    };
    let rules = decode(&mut problems, document.get_ref(), &places);
    syntax::report(&mut problems, source, &errors);
    if problems.is_empty() {
        return Ok(rules);
    }
    Err(RulesError::Invalid(
        problems.into_invalid(path, source.to_owned()),
    ))
}

/// Turns places of the text into places of the file.
struct Places<'s> {
    file: &'s str,
    source: &'s str,
}

impl Places<'_> {
    fn of(&self, span: &Span) -> Place {
        let (line, column) = line_and_column(self.source, span.start);
        Place {
            column,
            ..Place::line(self.file, line)
        }
    }
}

fn decode<'v>(problems: &mut Problems, document: &'v DeTable<'v>, places: &Places<'_>) -> Rules {
    let mut doubled: Vec<(Span, String)> = Vec::new();
    let mut fields = Fields::new(problems, "the rules", 0..0, document);
    fields.required("schema", integer::<u64>(SCHEMA..=SCHEMA));
    let mut rules = Rules::default();
    for (import, distribution) in fields.strings("imports") {
        rules
            .imports
            .insert(import.value, normalized(&distribution.value));
    }
    let decisions = fields.tables("place", "`place`", |name, mut fields| {
        let lists = fields.required("lists", lists());
        let reason = reason(&mut fields);
        fields.finish();
        let decision = Decision {
            lists: sorted(lists),
            reason,
            at: places.of(&name.at),
        };
        (name, decision)
    });
    for (name, decision) in decisions {
        if rules.places.insert(normalized(&name), decision).is_some() {
            doubled.push((name.at, name.value));
        }
    }
    let added = fields.list(
        "add",
        record("`[[add]]`", |fields| addition(fields, places)),
    );
    rules.additions = added.into_iter().map(|added| added.value).collect();
    for (key, kind) in [("limit", "`limit`"), ("build", "`build`")] {
        let limits = fields.tables(key, kind, |name, fields| limit(name, fields, places));
        let mut names = BTreeSet::new();
        for (at, limit) in limits {
            if !names.insert(limit.name.clone()) {
                doubled.push((at, limit.name.clone()));
            }
            match key {
                "limit" => rules.limits.push(limit),
                _ => rules.build.push(limit),
            }
        }
    }
    let folders = fields.optional(
        "folders",
        record("`[folders]`", |mut fields| {
            let archived = fields.required("archived", list(text));
            fields.finish();
            archived
        }),
    );
    if let Some(archived) = folders {
        rules.archived = archived.value.value.into_iter().map(|f| f.value).collect();
    }
    let ignored = fields.optional(
        "ignore",
        record("`[ignore]`", |mut fields| {
            let imports = fields.required("imports", list(text));
            reason(&mut fields);
            fields.finish();
            imports
        }),
    );
    if let Some(ignored) = ignored {
        rules.ignored = ignored.value.value.into_iter().map(|i| i.value).collect();
    }
    fields.finish();
    for (at, name) in doubled {
        let message = format!("`{name}` is decided twice");
        problems.report(
            &at,
            message,
            "spellings of one name count as the same; keep one",
        );
    }
    rules
}

fn addition(mut fields: Fields<'_, '_>, places: &Places<'_>) -> Option<Addition> {
    let requirement = fields.required(
        "requirement",
        parsed(|text| {
            requirement::parse(text).map_err(|wrong| {
                let message = format!("is no requirement: it {}", wrong.message);
                (message, "write `NAME` or `NAME>=VERSION`".to_owned())
            })
        }),
    );
    let lists = fields.required("lists", lists());
    let reason = reason(&mut fields);
    fields.finish();
    let requirement = requirement?;
    Some(Addition {
        at: places.of(&requirement.at),
        requirement: requirement.value,
        lists: sorted(lists),
        reason,
    })
}

fn limit(name: At<String>, mut fields: Fields<'_, '_>, places: &Places<'_>) -> (Span, Limit) {
    let versions = fields.required(
        "specifier",
        parsed(|text| {
            let help = "write versions such as `<2` or `>=1.0,<2`".to_owned();
            match requirement::parse_versions(text) {
                Ok(versions) if !versions.is_empty() => Ok(versions),
                Ok(_) => Err(("is empty".to_owned(), help)),
                Err(wrong) => Err((format!("is no specifier: {}", wrong.message), help)),
            }
        }),
    );
    let reason = reason(&mut fields);
    fields.finish();
    let at = versions.as_ref().map_or(&name.at, |versions| &versions.at);
    let limit = Limit {
        name: normalized(&name),
        at: places.of(at),
        versions: versions.map_or(VersionSpecifiers::empty(), |versions| versions.value),
        reason,
    };
    (name.at, limit)
}

/// Nobody remembers in a year why something was decided.
fn reason(fields: &mut Fields<'_, '_>) -> String {
    let help = "add `reason = \"...\"`, one sentence for those who come later".to_owned();
    let reason = fields.required_or("reason", help, text);
    // It becomes a comment of one line.
    let reason = reason.map(|reason| reason.value).unwrap_or_default();
    reason.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn lists<'v>() -> impl FnOnce(&mut Problems, crate::system::value::Node<'v>) -> Option<Vec<At<List>>>
{
    |problems, node| list(choice(LISTS))(problems, node)
}

/// The two others stand on core, so that core alone says it all.
fn sorted(lists: Option<At<Vec<At<List>>>>) -> Vec<List> {
    let lists = lists.map(|lists| lists.value).unwrap_or_default();
    let lists: BTreeSet<List> = lists.into_iter().map(|list| list.value).collect();
    if lists.contains(&List::Core) {
        return vec![List::Core];
    }
    lists.into_iter().collect()
}

/// Whether `text` fits `pattern`, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

impl RulesError {
    /// For people; ends with a newline.
    pub fn render(&self, color: bool) -> String {
        match self {
            RulesError::Read { error, .. } => format!("error: {self}: {error}\n"),
            RulesError::Invalid(invalid) => invalid.render(color),
        }
    }

    /// For machines: one object per problem with `file`, `line`, `column`,
    /// `message` and `help`.
    pub fn problems(&self) -> Vec<serde_json::Value> {
        match self {
            RulesError::Read { path, error } => vec![serde_json::json!({
                "file": path.to_string_lossy(),
                "line": null,
                "column": null,
                "message": format!("{self}: {error}"),
                "help": "make the file readable, or remove it",
            })],
            RulesError::Invalid(invalid) => invalid.values(),
        }
    }
}

impl fmt::Display for RulesError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RulesError::Read { path, .. } => {
                write!(out, "cannot read the rules `{}`", path.display())
            }
            RulesError::Invalid(invalid) => {
                let (path, count) = (invalid.path().display(), invalid.count());
                write!(out, "rules `{path}` have {count}")
            }
        }
    }
}

impl std::error::Error for RulesError {}

#[cfg(test)]
#[path = "tests/rules.rs"]
mod tests;
