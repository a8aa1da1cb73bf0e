//! A schema as text, for people to read: what it is about first, fields in the
//! order in which they are written, definitions last.

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};

/// Keywords in their order; those that are not listed stand between the two.
const FIRST: &[&str] = &[
    "$schema",
    "$comment",
    "title",
    "description",
    "type",
    "properties",
];
const LAST: &[&str] = &["required", "additionalProperties", "$defs"];

/// The text of a schema; ends with a newline.
pub fn of(schema: &Value) -> String {
    let text = serde_json::to_string_pretty(&Part::Schema(schema)).expect("values are JSON");
    text + "\n"
}

/// A value within a schema.
enum Part<'s> {
    Schema(&'s Value),
    Schemas(&'s [Value]),
    /// Schemas by name; those that are listed first.
    Named(&'s Map<String, Value>, Vec<&'s str>),
    /// No schema.
    Plain(&'s Value),
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Part::Schema(Value::Object(schema)) => {
                let mut map = to.serialize_map(Some(schema.len()))?;
                for (keyword, value) in sorted(schema, FIRST, LAST) {
                    map.serialize_entry(keyword, &part(schema, keyword, value))?;
                }
                map.end()
            }
            Part::Named(schemas, first) => {
                let mut map = to.serialize_map(Some(schemas.len()))?;
                for (name, schema) in sorted(schemas, first, &[]) {
                    map.serialize_entry(name, &Part::Schema(schema))?;
                }
                map.end()
            }
            Part::Schemas(schemas) => to.collect_seq(schemas.iter().map(Part::Schema)),
            Part::Schema(value) | Part::Plain(value) => value.serialize(to),
        }
    }
}

fn part<'s>(schema: &'s Map<String, Value>, keyword: &str, value: &'s Value) -> Part<'s> {
    match (keyword, value) {
        ("properties", Value::Object(properties)) => {
            let required = schema.get("required").and_then(Value::as_array);
            let required = required.into_iter().flatten().filter_map(Value::as_str);
            Part::Named(properties, required.collect())
        }
        ("$defs", Value::Object(definitions)) => Part::Named(definitions, Vec::new()),
        ("anyOf" | "oneOf" | "prefixItems", Value::Array(schemas)) => Part::Schemas(schemas),
        ("items" | "additionalProperties", schema) => Part::Schema(schema),
        (_, value) => Part::Plain(value),
    }
}

fn sorted<'m>(
    map: &'m Map<String, Value>,
    first: &[&str],
    last: &[&str],
) -> Vec<(&'m String, &'m Value)> {
    let place = |list: &[&str], key: &str| list.iter().position(|known| *known == key);
    let mut entries: Vec<(&String, &Value)> = map.iter().collect();
    // Stable: the others stay in the order of the alphabet.
    entries.sort_by_key(|(key, _)| {
        let first_at = place(first, key).unwrap_or(first.len());
        (first_at, place(last, key).map_or(0, |at| at + 1))
    });
    entries
}
