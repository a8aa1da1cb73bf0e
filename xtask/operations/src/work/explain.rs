//! What a field of the manifest, a finding, a cause or an exit code means. Needs
//! neither podman nor a manifest.
//!
//! Knows no words of its own: those of fields are in the model's table, those of
//! findings and exit codes in the documents.

mod documents;

use diagnostics::{
    Exit, Failure,
    located::shape::{Absent, Field, Section, Table},
    names::{did_you_mean, near},
};
use documents::Entry;
use model::system::fields::{self, sections, tables_with};
use serde::Serialize;

/// The end of `explain`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Explanation {
    /// With a name.
    Topics {
        /// All that the name stands for.
        topics: Vec<Topic>,
    },
    /// Without one.
    Names {
        /// All names that can be explained.
        groups: Vec<NameGroup>,
    },
}

/// Stable ids of everything that docs/troubleshooting.md explains.
pub fn finding_ids() -> Vec<String> {
    documents::findings()
        .into_iter()
        .map(|entry| entry.name)
        .collect()
}

/// Something that can be explained.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Topic {
    /// A field of the manifest.
    Field(FieldTopic),
    /// A table of the manifest, or what several tables have in common.
    Table(TableTopic),
    /// A finding, a cause, an exit code: a row of a document.
    Entry(EntryTopic),
}

/// A field of the manifest.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FieldTopic {
    /// Its key.
    pub name: &'static str,
    /// Paths of the tables that have it.
    pub tables: Vec<&'static str>,
    #[serde(skip)]
    pub titles: Vec<&'static str>,
    /// What is to be written: `integer`, `list of strings`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the value is held to; null without any.
    pub limits: Option<String>,
    /// The table must have it.
    pub required: bool,
    /// What counts where it is not given, in words; null where nothing does.
    pub default: Option<String>,
    /// A fragment without a final period.
    pub meaning: &'static str,
    /// A value, or the header of a table.
    pub example: &'static str,
    /// A table with a header of its own.
    #[serde(skip)]
    pub header: bool,
}

/// A table of the manifest, or what several tables have in common.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TableTopic {
    /// Its short name, `agents`.
    pub name: &'static str,
    /// Paths of the tables that it stands for.
    pub tables: Vec<&'static str>,
    #[serde(skip)]
    pub titles: Vec<&'static str>,
    /// A fragment without a final period.
    pub meaning: &'static str,
    /// Its own, in the order of the document.
    pub fields: Vec<FieldRow>,
    /// Keys that it has in common with other tables.
    pub shared: Vec<&'static str>,
}

/// A finding, a cause, an exit code: a row of a document.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EntryTopic {
    /// Its id, or its code.
    pub name: String,
    /// Heading of the table that it stands in.
    pub section: &'static str,
    /// Path of the document below the repository.
    pub document: &'static str,
    /// What the row says, with the names of the columns.
    pub columns: Vec<Cell>,
}

/// A field in the list of its table's.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FieldRow {
    /// Its key.
    pub name: &'static str,
    /// What is to be written.
    #[serde(rename = "type")]
    pub kind: String,
    /// What counts where it is not given, in words.
    pub default: String,
}

/// A cell of a document's table.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cell {
    /// Heading of the column.
    pub name: String,
    /// As in the document.
    pub text: String,
}

/// Names that belong together.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NameGroup {
    /// The table or the heading that they belong to.
    pub title: String,
    /// Path of the document below the repository.
    pub document: &'static str,
    /// In the order of the document.
    pub names: Vec<String>,
}

/// All that `name` stands for.
///
/// # Errors
/// There is nothing of that name.
pub fn of(name: &str) -> Result<Explanation, Failure> {
    let topics = topics(name);
    match topics.is_empty() {
        true => Err(unknown(name)),
        false => Ok(Explanation::Topics { topics }),
    }
}

/// All names that can be explained.
pub fn all() -> Explanation {
    Explanation::Names { groups: groups() }
}

/// All that `name` stands for.
pub fn topics(name: &str) -> Vec<Topic> {
    // As it stands in a file or in a message.
    let name = name.trim_matches(|c| matches!(c, '[' | ']' | '`'));
    let found = fields::find(name);
    let fields = found
        .fields
        .iter()
        .map(|(section, field)| of_field(section, field));
    let tables = found.sections.iter().map(|section| of_section(section));
    let entries = entries().into_iter().filter(|entry| entry.name == name);
    fields.chain(tables).chain(entries.map(of_entry)).collect()
}

fn entries() -> Vec<Entry> {
    let mut entries = documents::findings();
    entries.extend(documents::exit_codes());
    entries
}

fn of_field(section: &Section, field: &'static Field) -> Topic {
    let required = field.absent == Absent::Required;
    let given = !required && field.absent != Absent::Nothing;
    Topic::Field(FieldTopic {
        name: field.key,
        tables: tables_with(section).map(|table| table.path).collect(),
        titles: tables_with(section).map(|table| table.title).collect(),
        kind: field.kind.name(),
        limits: field.kind.limits(),
        required,
        default: given.then(|| field.absent.words()),
        meaning: field.meaning,
        example: field.example,
        header: field.is_header(),
    })
}

fn of_section(section: &'static Section) -> Topic {
    let row = |field: &Field| FieldRow {
        name: field.key,
        kind: field.kind.words(),
        default: field.absent.words(),
    };
    let mut tables: Vec<&Table> = tables_with(section).collect();
    // A section that several tables have is nobody's own.
    if tables.len() > 1 {
        tables.clear();
    }
    let all = tables.iter().flat_map(|table| table.fields());
    Topic::Table(TableTopic {
        name: section.id,
        tables: tables_with(section).map(|table| table.path).collect(),
        titles: tables_with(section).map(|table| table.title).collect(),
        meaning: section.about,
        fields: section.fields.iter().map(row).collect(),
        shared: all
            .map(|field| field.key)
            .filter(|key| !section.has(key))
            .collect(),
    })
}

fn of_entry(entry: Entry) -> Topic {
    let column = |(name, text)| Cell { name, text };
    Topic::Entry(EntryTopic {
        name: entry.name,
        section: entry.section,
        document: entry.document,
        columns: entry.columns.into_iter().map(column).collect(),
    })
}

/// Every name, under the table or the heading that it belongs to.
pub fn groups() -> Vec<NameGroup> {
    let mut groups: Vec<NameGroup> = sections()
        .iter()
        .map(|section| NameGroup {
            title: section.id.to_owned(),
            document: "docs/manifest.md",
            names: section
                .fields
                .iter()
                .map(|field| field.key.to_owned())
                .collect(),
        })
        .collect();
    for entry in entries() {
        match groups.last_mut() {
            Some(group) if group.title == entry.section => group.names.push(entry.name),
            _ => groups.push(NameGroup {
                title: entry.section.to_owned(),
                document: entry.document,
                names: vec![entry.name],
            }),
        }
    }
    groups
}

/// There is nothing of that name.
pub fn unknown(name: &str) -> Failure {
    let mut known: Vec<String> = Vec::new();
    for section in sections() {
        let keys = || section.fields.iter().map(|field| field.key);
        // Whoever writes a point means a table.
        if name.contains('.') {
            let owners = tables_with(section).filter_map(|table| table.sections.first());
            known.extend(owners.flat_map(|own| keys().map(|key| format!("{}.{key}", own.id))));
        } else {
            known.extend(keys().map(str::to_owned));
        }
        known.push(section.id.to_owned());
    }
    known.extend(entries().into_iter().map(|entry| entry.name));
    known.sort_unstable();
    known.dedup();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let near = near(name, &known);
    let hint = match near.is_empty() {
        true => "`cargo xtask explain` lists all names".to_owned(),
        false => did_you_mean(&near),
    };
    let message = format!("nothing is known under the name `{name}`");
    Failure::new(Exit::Usage, message).hint(hint)
}
