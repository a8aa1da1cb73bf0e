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

use diagnostics::{
    finding::Place,
    located::{
        problem::{Invalid, ProblemRow, Problems, Span, line_and_column},
        reader::{At, Fields, record},
        syntax,
        value::{Node, choice, integer, list, parsed, text},
    },
};
use pep440_rs::VersionSpecifiers;
use toml::de::DeTable;

use super::{
    list::List,
    name::{is_name, normalized},
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
    let mut fields = Fields::new(problems, "the file", 0..0, document);
    fields.required("schema", integer::<u64>(SCHEMA..=SCHEMA));
    let imports = fields.strings("imports");
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
    let additions = fields.list(
        "add",
        record("`[[add]]`", |fields| addition(fields, places)),
    );
    let mut limits = |key: &'static str, kind| {
        fields.tables(key, kind, |name, fields| limit(name, fields, places))
    };
    let (limits, build) = (limits("limit", "`limit`"), limits("build", "`build`"));
    let archived = fields.optional("folders", words("`[folders]`", "archived"));
    let ignored = fields.optional("ignore", words("`[ignore]`", "imports"));
    fields.finish();

    let distributions = imports.iter().map(|(_, distribution)| distribution);
    let decided = decisions.iter().map(|(name, _)| name);
    check_names(problems, distributions.chain(decided.clone()));
    check_names(problems, limits.iter().chain(&build).map(|(name, _)| name));
    check_once(problems, decided);
    check_once(problems, limits.iter().map(|(name, _)| name));
    check_once(problems, build.iter().map(|(name, _)| name));
    let named = |(name, decision): (At<String>, Decision)| (normalized(&name), decision);
    Rules {
        imports: imports
            .into_iter()
            .map(|(import, distribution)| (import.value, normalized(&distribution)))
            .collect(),
        places: decisions.into_iter().map(named).collect(),
        additions: additions.into_iter().map(|added| added.value).collect(),
        limits: limits.into_iter().map(|(_, limit)| limit).collect(),
        build: build.into_iter().map(|(_, limit)| limit).collect(),
        archived: archived.map_or(Rules::default().archived, |words| words.value),
        ignored: ignored
            .map(|words| words.value.into_iter().collect())
            .unwrap_or_default(),
    }
}

fn check_names<'n>(problems: &mut Problems, names: impl Iterator<Item = &'n At<String>>) {
    for name in names.filter(|name| !is_name(name)) {
        let message = format!("`{}` is not the name of a package", name.value);
        problems.report(&name.at, message, "letters, digits, `-`, `_` and `.`");
    }
}

fn check_once<'n>(problems: &mut Problems, names: impl Iterator<Item = &'n At<String>>) {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(normalized(name)) {
            let message = format!("`{}` is decided twice", name.value);
            let help = "spellings of one name count as the same; keep one";
            problems.report(&name.at, message, help);
        }
    }
}

/// A table with one list of words.
fn words<'v>(
    kind: &'static str,
    key: &'static str,
) -> impl Fn(&mut Problems, Node<'v>) -> Option<Vec<String>> {
    record(kind, move |mut fields| {
        let words = fields.required(key, list(text));
        if key == "imports" {
            reason(&mut fields);
        }
        fields.finish();
        let words = words?.value.into_iter();
        Some(words.map(|word| word.value).collect())
    })
}

fn addition(mut fields: Fields<'_, '_>, places: &Places<'_>) -> Option<Addition> {
    let requirement = fields.required(
        "requirement",
        parsed(|text| {
            requirement::parse(text).map_err(|wrong| {
                let message = format!(
                    "is not a requirement: {}",
                    requirement::sentence(&wrong.message)
                );
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

fn limit(name: At<String>, mut fields: Fields<'_, '_>, places: &Places<'_>) -> (At<String>, Limit) {
    let versions = fields.required(
        "specifier",
        parsed(|text| {
            let help = "write versions such as `<2` or `>=1.0,<2`".to_owned();
            match requirement::parse_versions(text) {
                Ok(versions) if !versions.is_empty() => Ok(versions),
                Ok(_) => Err(("is empty".to_owned(), help)),
                Err(wrong) => Err((format!("is not a specifier: {}", wrong.message), help)),
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
    (name, limit)
}

/// Nobody remembers in a year why something was decided.
fn reason(fields: &mut Fields<'_, '_>) -> String {
    let help = "add `reason = \"...\"`, one sentence for those who come later".to_owned();
    let reason = fields.required_or("reason", help, text);
    // It becomes a comment of one line.
    let reason = reason.map(|reason| reason.value).unwrap_or_default();
    reason.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn lists<'v>()
-> impl FnOnce(&mut Problems, diagnostics::located::value::Node<'v>) -> Option<Vec<At<List>>> {
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

    /// For machines.
    pub fn problems(&self) -> Vec<ProblemRow> {
        match self {
            RulesError::Read { path, error } => vec![ProblemRow {
                file: path.to_string_lossy().into_owned(),
                line: None,
                column: None,
                message: format!("{self}: {error}"),
                help: "make the file readable, or remove it".to_owned(),
            }],
            RulesError::Invalid(invalid) => invalid.rows(),
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
