//! `explain`: what a field of the manifest, a finding, a cause or an exit code
//! means. Needs neither podman nor a manifest.
//!
//! Knows no words of its own: those of fields are in the model's table, those of
//! findings and exit codes in the documents.

mod documents;
mod page;
#[cfg(test)]
mod tests;

use serde::Serialize;

use super::App;
use diagnostics::{
    Exit, Failure,
    located::shape::{Absent, Field, Section, Table},
    names::{did_you_mean, near},
};
use documents::Entry;
use model::system::fields::{self, sections, tables_with};

/// What to explain.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Field (`port`, `agents.port`) or table (`agents`) of the manifest, id of a finding or
    /// cause, or exit code [default: list them all]
    name: Option<String>,
}

/// Shows everything that the name stands for, or all names.
pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let Some(name) = &args.name else {
        let groups = groups();
        if app.ui.json_wanted() {
            app.ui
                .json("explain", &serde_json::json!({ "groups": groups }));
        } else {
            page::list(&app.ui, &groups)
                .iter()
                .for_each(|line| app.ui.out(line));
        }
        return Ok(());
    };
    let topics = topics(name);
    if topics.is_empty() {
        return Err(unknown(name));
    }
    if app.ui.json_wanted() {
        app.ui
            .json("explain", &serde_json::json!({ "topics": topics }));
    } else {
        page::topics(&app.ui, &topics)
            .iter()
            .for_each(|line| app.ui.out(line));
    }
    Ok(())
}

/// Something that can be explained.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Topic {
    Field(FieldTopic),
    Table(TableTopic),
    Entry(EntryTopic),
}

/// A field of the manifest.
#[derive(Debug, Serialize)]
struct FieldTopic {
    name: &'static str,
    /// Paths of the tables that have it.
    tables: Vec<&'static str>,
    #[serde(skip)]
    titles: Vec<&'static str>,
    #[serde(rename = "type")]
    kind: String,
    limits: Option<String>,
    required: bool,
    default: Option<String>,
    meaning: &'static str,
    example: &'static str,
    /// A table with a header of its own.
    #[serde(skip)]
    header: bool,
}

/// A table of the manifest, or what several tables have in common.
#[derive(Debug, Serialize)]
struct TableTopic {
    name: &'static str,
    tables: Vec<&'static str>,
    #[serde(skip)]
    titles: Vec<&'static str>,
    meaning: &'static str,
    fields: Vec<Row>,
    /// Those that it has in common with other tables.
    shared: Vec<&'static str>,
}

/// A finding, a cause, an exit code: a row of a document.
#[derive(Debug, Serialize)]
struct EntryTopic {
    name: String,
    section: &'static str,
    document: &'static str,
    columns: Vec<Column>,
}

/// A field in the list of its table's.
#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    #[serde(rename = "type")]
    kind: String,
    default: String,
}

/// A cell of a document's table.
#[derive(Debug, Serialize)]
struct Column {
    name: String,
    text: String,
}

/// Names that belong together.
#[derive(Debug, Serialize)]
struct Group {
    title: String,
    document: &'static str,
    names: Vec<String>,
}

/// All that `name` stands for.
fn topics(name: &str) -> Vec<Topic> {
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
    let row = |field: &Field| Row {
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
    let column = |(name, text)| Column { name, text };
    Topic::Entry(EntryTopic {
        name: entry.name,
        section: entry.section,
        document: entry.document,
        columns: entry.columns.into_iter().map(column).collect(),
    })
}

/// Every name, under the table or the heading that it belongs to.
fn groups() -> Vec<Group> {
    let mut groups: Vec<Group> = sections()
        .iter()
        .map(|section| Group {
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
            _ => groups.push(Group {
                title: entry.section.to_owned(),
                document: entry.document,
                names: vec![entry.name],
            }),
        }
    }
    groups
}

fn unknown(name: &str) -> Failure {
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
