//! Manifests made of examples: one in which every field of every table stands,
//! and small ones that have what is required and one field more.

use diagnostics::located::shape::{Absent, Rule, ValueKind};

use super::{Field, MANIFEST, Table, decoded, validator};

/// One field of one table is left out, or has another value.
pub struct Edit<'e> {
    pub path: &'e str,
    pub key: &'e str,
    pub value: Option<&'e str>,
}

/// The text of the manifest.
pub fn manifest(edit: Option<&Edit<'_>>) -> String {
    let mut text = String::new();
    write(&mut text, &MANIFEST, edit);
    text
}

fn write(text: &mut String, table: &Table, edit: Option<&Edit<'_>>) {
    let own = edit.filter(|edit| edit.path == table.path);
    let mut headers = Vec::new();
    let needed = |field: &&'static Field| {
        edit.is_none_or(|edit| {
            let edited = edit.path == table.path && edit.key == field.key;
            let leads = field
                .kind
                .table()
                .is_some_and(|table| leads_to(table, edit.path));
            let wanted = matches!(field.absent, Absent::Required | Absent::Sometimes(_));
            edited || leads || wanted
        })
    };
    for field in fields(table, edit).into_iter().filter(needed) {
        match own.filter(|edit| edit.key == field.key) {
            Some(Edit { value: None, .. }) => {}
            Some(Edit {
                value: Some(value), ..
            }) => line(text, field.key, value),
            None if field.is_header() => headers.push(field),
            None => line(text, field.key, &value(field, edit)),
        }
    }
    // A key that the table does not have.
    if let Some(Edit {
        key,
        value: Some(value),
        ..
    }) = own
        && table.field(key).is_none()
    {
        line(text, key, value);
    }
    for field in headers {
        text.push_str(&format!("\n{}\n", field.example));
        if let Some(table) = field.kind.table() {
            write(text, table, edit);
        }
    }
}

fn line(text: &mut String, key: &str, value: &str) {
    text.push_str(&format!("{key} = {value}\n"));
}

/// Whether the table of that path is this one, or inside it.
fn leads_to(table: &Table, path: &str) -> bool {
    let inner = || table.fields().filter_map(|field| field.kind.table());
    table.path == path || inner().any(|table| leads_to(table, path))
}

/// The fields that go together: the first of two that do not, unless it is the
/// other that is edited.
fn fields(table: &Table, edit: Option<&Edit<'_>>) -> Vec<&'static Field> {
    let edited = edit
        .filter(|edit| edit.path == table.path)
        .map(|edit| edit.key);
    let excluded = |field: &Field| {
        table.rules.iter().any(|rule| match rule {
            Rule::NotTogether(_, other) | Rule::ExactlyOne(_, other) => *other == field.key,
            Rule::Instead { flag, .. } => *flag == field.key,
            Rule::OneField => table
                .fields()
                .next()
                .is_some_and(|first| first.key != field.key),
            _ => false,
        })
    };
    let all = table.fields();
    all.filter(|field| Some(field.key) == edited || !excluded(field))
        .collect()
}

/// The example; for a table written in one line, all of its fields.
fn value(field: &Field, edit: Option<&Edit<'_>>) -> String {
    let Some(table) = field.kind.table() else {
        return field.example.to_owned();
    };
    let mut text = String::new();
    write(&mut text, table, edit);
    let inline = format!("{{ {} }}", text.trim_end().replace('\n', ", "));
    match field.kind {
        ValueKind::List { .. } => format!("[{inline}]"),
        _ => inline,
    }
}

/// The reader reads every field of the table and no other, and takes all the
/// examples; so does the schema.
#[test]
fn every_example_is_read_and_nothing_else() {
    let text = manifest(None);
    let problems = decoded(&text);
    let told: Vec<&str> = problems
        .iter()
        .map(|problem| problem.message.as_str())
        .collect();
    assert_eq!(told, [""; 0], "{text}");
    assert_eq!(problems.strays(), [""; 0]);
    let document = super::Document::read(&text).expect("TOML");
    assert_eq!(validator().refusals(&document.value), [], "{text}");
}
