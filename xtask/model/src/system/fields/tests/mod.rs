//! What is made from the table of fields, and what must agree with it:
//! docs/manifest.md, containers/system.schema.json and the reader.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use convert::Document;
use diagnostics::located::{problem::Problems, shape::ValueKind};
use serde_json::Value;
use toml::de::DeTable;
use validator::Validator;

use super::*;
use crate::system::manifest::Manifest;

mod agreement;
mod convert;
mod defaults;
mod document;
mod examples;
mod manifests;
mod schema;

/// A file of the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The schema as it is in the repository.
fn validator() -> Validator {
    let text = read(&repository("containers/system.schema.json"));
    Validator::new(serde_json::from_str(&text).expect("the schema is JSON"))
}

/// What the reader alone says to a text: shape, not sense.
fn decoded(text: &str) -> Problems {
    let document = DeTable::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut problems = Problems::default();
    Manifest::decode(&mut problems, document.get_ref());
    problems
}

/// Compares a file that is made here, or makes it anew.
#[track_caller]
fn up_to_date(path: &str, made: &str) {
    let file = repository(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, made).expect("the repository can be written to");
    }
    assert!(
        fs::read_to_string(&file).unwrap_or_default() == made,
        "{path} is not what the table of fields makes of it; run\n\
         UPDATE_GOLDEN=1 cargo test -p xtask-model generated"
    );
}

#[test]
fn generated_tables_of_the_document_are_up_to_date() {
    let path = "docs/manifest.md";
    let text = read(&repository(path));
    let made = document::with_tables(&text).unwrap_or_else(|wrong| panic!("{path}: {wrong}"));
    up_to_date(path, &made);
}

#[test]
fn generated_schema_is_up_to_date() {
    let schema = serde_json::to_string_pretty(&schema::of_manifest()).expect("JSON");
    up_to_date("containers/system.schema.json", &(schema + "\n"));
}

#[test]
fn every_table_is_listed_and_every_key_is_one() {
    let mut reached: BTreeSet<&str> = BTreeSet::from([MANIFEST.path]);
    for table in TABLES {
        let keys: BTreeSet<&str> = table.fields().map(|field| field.key).collect();
        assert_eq!(keys.len(), table.fields().count(), "[{}]", table.path);
        for field in table.fields() {
            reached.extend(field.kind.table().map(|table| table.path));
            let texts = [field.key, field.meaning, field.example];
            assert!(texts.iter().all(|text| !text.is_empty()), "{}", field.key);
        }
        for rule in table.rules {
            for key in schema::keys(rule) {
                assert!(table.field(key).is_some(), "[{}] {key}", table.path);
            }
        }
    }
    let listed: BTreeSet<&str> = TABLES.iter().map(|table| table.path).collect();
    assert_eq!(listed, reached);
    let ids: BTreeSet<&str> = sections().iter().map(|section| section.id).collect();
    assert_eq!(ids.len(), sections().len());
}

/// Schema and table have the same keys, at every level.
#[test]
fn the_schema_has_the_keys_of_the_table() {
    let schema = validator().schema;
    let mut tables = Vec::new();
    visit(&schema, &MANIFEST, &mut tables);
    assert_eq!(
        tables.len(),
        TABLES.len() + 3,
        "mounts, devices and secrets twice"
    );
}

fn visit(schema: &Value, table: &'static Table, visited: &mut Vec<&'static str>) {
    visited.push(table.path);
    let path = table.path;
    let of = |schema: &Value| -> BTreeSet<String> {
        let properties = schema["properties"].as_object();
        properties.expect("a table").keys().cloned().collect()
    };
    let own: BTreeSet<String> = table.fields().map(|field| field.key.to_owned()).collect();
    assert_eq!(of(schema), own, "[{path}]");
    assert_eq!(
        schema["additionalProperties"],
        Value::Bool(false),
        "[{path}]"
    );
    for field in table.fields() {
        let below = &schema["properties"][field.key];
        let (Some(inner), below) = (
            field.kind.table(),
            match &field.kind {
                ValueKind::Table(_) => below,
                ValueKind::List { .. } => &below["items"],
                ValueKind::Tables {
                    names: diagnostics::located::shape::Names::Any,
                    ..
                } => &below["additionalProperties"],
                _ => {
                    let patterns = below["patternProperties"].as_object();
                    patterns
                        .and_then(|patterns| patterns.values().next())
                        .unwrap_or(below)
                }
            },
        ) else {
            continue;
        };
        visit(below, inner, visited);
    }
}

#[test]
fn names_find_fields_and_tables() {
    let told = |name: &str| {
        let found = find(name);
        let fields = found
            .fields
            .iter()
            .map(|(section, field)| format!("{}.{}", section.id, field.key));
        let sections = found.sections.iter().map(|section| section.id.to_owned());
        fields.chain(sections).collect::<Vec<_>>().join(" ")
    };
    for (name, expected) in [
        ("memory_mb", "shared.memory_mb"),
        ("agents.memory_mb", "shared.memory_mb"),
        ("groups.memory_mb", "shared.memory_mb"),
        ("shared.memory_mb", "shared.memory_mb"),
        ("system.memory_mb", ""),
        ("name", "system.name base.name"),
        ("system.name", "system.name"),
        ("networks.left.subnet", "networks.subnet"),
        ("groups.core.agents.Twin.port", "agents.port"),
        ("groups.core.agents.Twin.pids", "shared.pids"),
        ("groups.core.port", ""),
        ("system", "manifest.system system"),
        ("mounts", "shared.mounts mounts"),
        ("mounts.target", "mounts.target"),
        ("groups.core", "groups"),
        ("groups.NAME.agents", "groups.agents"),
        ("groups.core.agents.Twin", "agents"),
        ("shared", "shared"),
        ("tests.integration.NAME", "integration"),
        ("", ""),
        (".", ""),
        ("nothing", ""),
    ] {
        assert_eq!(told(name), expected, "{name}");
    }
}
