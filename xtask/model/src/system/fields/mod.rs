//! Every table of the manifest and every field of it, as data.
//!
//! The one source of the keys and ranges that `manifest` reads by, of the tables
//! in docs/manifest.md, of containers/system.schema.json and of `cargo xtask
//! explain`. The tests of this module make the two files and hold all four to
//! it. Decides nothing: whether values make sense together is for `check`.

mod agents;
mod groups;
mod kinds;
mod secrets;
mod shared;
mod system;
mod testing;
#[cfg(test)]
mod tests;

pub use agents::{AGENT, AGENT_FIELDS, CAPABILITIES, RELAX};
use diagnostics::located::shape::{Field, Section, Table};
pub use groups::{GROUP, GROUP_FIELDS};
pub use kinds::SCHEMA;
pub use secrets::{SECRET, SECRET_USE};
pub use shared::{DEVICE, MOUNT};
pub use system::{BASE, IMAGE, MANIFEST, NETWORK, SYSTEM};
pub use testing::{FILL, SUITE, TESTS};

/// All tables, in the order of docs/manifest.md.
pub static TABLES: [&Table; 15] = [
    &MANIFEST,
    &SYSTEM,
    &BASE,
    &NETWORK,
    &IMAGE,
    &SECRET,
    &GROUP,
    &MOUNT,
    &DEVICE,
    &SECRET_USE,
    &AGENT,
    &RELAX,
    &TESTS,
    &SUITE,
    &FILL,
];

/// All sections, in that order, each once.
pub fn sections() -> Vec<&'static Section> {
    let mut all: Vec<&Section> = Vec::new();
    for section in TABLES.iter().flat_map(|table| table.sections) {
        if !all.iter().any(|known| known.id == section.id) {
            all.push(section);
        }
    }
    all
}

/// The tables that have the section.
pub fn tables_with(section: &Section) -> impl Iterator<Item = &'static Table> {
    let id = section.id;
    let has = move |table: &&&Table| table.sections.iter().any(|section| section.id == id);
    TABLES.iter().filter(has).copied()
}

/// Fields and tables that a name may stand for.
#[derive(Debug, Default)]
pub struct Found {
    /// Each with its section.
    pub fields: Vec<(&'static Section, &'static Field)>,
    pub sections: Vec<&'static Section>,
}

/// What `name` stands for: a key, a table, or a key behind its table, with the
/// names of the file or without: `port`, `agents`, `agents.port`,
/// `groups.core.agents.Twin.port`.
pub fn find(name: &str) -> Found {
    let (table, key) = match name.rsplit_once('.') {
        Some((table, key)) => (Some(table), key),
        None => (None, name),
    };
    let mut found = Found::default();
    for section in sections() {
        let within = |name: &str| {
            section.id == name || tables_with(section).any(|table| is_called(table, name))
        };
        if section.id == name || tables_with(section).any(|table| is_at(table, name)) {
            // What is shared does not belong to one table.
            let own = tables_with(section).count() == 1 || section.id == name;
            found.sections.extend(own.then_some(section));
        }
        if table.is_none_or(within) {
            let fields = section.fields.iter().filter(|field| field.key == key);
            found.fields.extend(fields.map(|field| (section, field)));
        }
    }
    if !found.fields.is_empty() && table.is_some() {
        // `groups.network` is a field, and not a group of that name.
        found.sections.clear();
    }
    found
}

/// Whether the table is meant by its short name or by its whole path.
fn is_called(table: &Table, name: &str) -> bool {
    table.sections.first().is_some_and(|own| own.id == name) || is_at(table, name)
}

/// Whether `path` leads to the table; its capitals stand for any name.
fn is_at(table: &Table, path: &str) -> bool {
    let given: Vec<&str> = path.split('.').collect();
    let own: Vec<&str> = table.path.split('.').collect();
    let same = |(own, given): (&&str, &&str)| {
        own == given || own.bytes().all(|letter| letter.is_ascii_uppercase())
    };
    !table.path.is_empty() && own.len() == given.len() && own.iter().zip(&given).all(same)
}
