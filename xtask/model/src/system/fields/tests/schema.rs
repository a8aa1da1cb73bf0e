//! The JSON Schema of the manifest, made from the table of fields.
//!
//! Draft 7, which editors know. Conditions are written with `if`, `not` and
//! `dependencies`: beside `oneOf` and `allOf` editors lose the descriptions.
//! Tables are written out wherever they are used, since what stands beside a
//! `$ref` does not count.

use diagnostics::located::shape::{Absent, Names, Rule, ValueKind};
use serde_json::{Map, Value, json};

use super::{Field, MANIFEST, Table, convert::value_of};

/// The whole schema.
pub fn of_manifest() -> Value {
    let mut schema = of_table(&MANIFEST);
    schema.insert(
        "$schema".into(),
        "http://json-schema.org/draft-07/schema#".into(),
    );
    schema.insert(
        "title".into(),
        "the manifest, containers/system.toml".into(),
    );
    let comment = "made from xtask/model/src/system/fields; \
                   UPDATE_GOLDEN=1 cargo test -p xtask-model generated";
    schema.insert("$comment".into(), comment.into());
    Value::Object(schema)
}

/// The keys that a rule is about.
pub fn keys(rule: &Rule) -> Vec<&'static str> {
    match rule {
        Rule::NotTogether(one, other) | Rule::ExactlyOne(one, other) => vec![one, other],
        Rule::Needs(key, others) => [&[*key], *others].concat(),
        Rule::WordNeeds { list, field, .. } => vec![list, field],
        Rule::Instead { flag, lists } => [&[*flag], *lists].concat(),
        Rule::OneField => Vec::new(),
    }
}

fn of_table(table: &Table) -> Map<String, Value> {
    let fields = || table.fields();
    let properties: Map<String, Value> = fields()
        .map(|field| (field.key.to_owned(), of_field(field)))
        .collect();
    let required: Vec<&str> = fields()
        .filter(|field| field.absent == Absent::Required)
        .map(|field| field.key)
        .collect();
    let mut schema = object(json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    }));
    if !required.is_empty() {
        schema.insert("required".into(), json!(required));
    }
    if let Some(section) = table.sections.first() {
        schema.insert("description".into(), section.about.into());
    }
    let mut dependencies: Map<String, Value> = Map::new();
    for rule in table.rules {
        add_rule(&mut schema, &mut dependencies, rule);
    }
    if !dependencies.is_empty() {
        schema.insert("dependencies".into(), Value::Object(dependencies));
    }
    schema
}

fn add_rule(schema: &mut Map<String, Value>, dependencies: &mut Map<String, Value>, rule: &Rule) {
    match rule {
        Rule::NotTogether(one, other) => {
            schema.insert("not".into(), json!({ "required": [one, other] }));
        }
        Rule::ExactlyOne(one, other) => {
            schema.insert("if".into(), json!({ "required": [one] }));
            let without = json!({ "not": { "required": [other] } });
            schema.insert("then".into(), without);
            schema.insert("else".into(), json!({ "required": [other] }));
        }
        Rule::OneField => {
            schema.insert("minProperties".into(), json!(1));
            schema.insert("maxProperties".into(), json!(1));
        }
        Rule::Needs(key, others) => {
            let any: Vec<Value> = others
                .iter()
                .map(|key| json!({ "required": [key] }))
                .collect();
            dependencies.insert((*key).to_owned(), json!({ "anyOf": any }));
        }
        Rule::WordNeeds { list, word, field } => {
            let holds = json!({ "contains": { "const": word } });
            let condition = json!({
                "if": { "properties": { *list: holds } },
                "then": { "required": [field] },
            });
            let all = dependencies
                .entry(*list)
                .or_insert_with(|| json!({ "allOf": [] }));
            all["allOf"].as_array_mut().expect("a list").push(condition);
        }
        Rule::Instead { flag, lists } => {
            let empty: Map<String, Value> = lists
                .iter()
                .map(|list| ((*list).to_owned(), json!({ "maxItems": 0 })))
                .collect();
            let condition = json!({
                "if": { "properties": { *flag: { "const": true } } },
                "then": { "properties": empty },
            });
            dependencies.insert((*flag).to_owned(), condition);
        }
    }
}

fn of_field(field: &Field) -> Value {
    let mut schema = of_kind(&field.kind);
    let description = match field.absent {
        Absent::Otherwise(words) => format!("{}. Default: {words}", field.meaning),
        Absent::Sometimes(words) => format!("{}; {words}", field.meaning),
        _ => field.meaning.to_owned(),
    };
    schema.insert("description".into(), description.into());
    if let Absent::Value(value) = field.absent {
        schema.insert("default".into(), value_of(value));
    }
    // The header of a table is no value.
    if !field.is_header() {
        schema.insert("examples".into(), json!([value_of(field.example)]));
    }
    Value::Object(schema)
}

fn of_kind(kind: &ValueKind) -> Map<String, Value> {
    match kind {
        ValueKind::Boolean => object(json!({ "type": "boolean" })),
        ValueKind::Integer(range) => object(json!({
            "type": "integer", "minimum": range.start(), "maximum": range.end(),
        })),
        ValueKind::Number { above, to } => object(json!({
            "type": "number", "exclusiveMinimum": above, "maximum": to,
        })),
        ValueKind::String => object(json!({ "type": "string" })),
        ValueKind::Text(_) => object(json!({ "type": "string", "pattern": r"\S" })),
        ValueKind::Pattern { regex, .. } => object(json!({ "type": "string", "pattern": regex })),
        ValueKind::Words(words) => object(json!({ "type": "string", "enum": words })),
        ValueKind::List { of, least: 0 } => {
            object(json!({ "type": "array", "items": of_kind(of) }))
        }
        ValueKind::List { of, least } => object(json!({
            "type": "array", "items": of_kind(of), "minItems": least,
        })),
        ValueKind::Table(table) => of_table(table),
        ValueKind::Tables { names, of } => of_names(names, of_table(of)),
        ValueKind::Entries { names, of } => of_names(names, of_kind(of)),
        ValueKind::Either(kinds) => either(kinds),
    }
}

fn of_names(names: &Names, each: Map<String, Value>) -> Map<String, Value> {
    object(match names {
        Names::Any => json!({ "type": "object", "additionalProperties": each }),
        Names::Pattern(regex) => json!({
            "type": "object",
            "patternProperties": { *regex: each },
            "additionalProperties": false,
        }),
        Names::Words(words) => {
            let properties: Map<String, Value> = words
                .iter()
                .map(|word| ((*word).to_owned(), Value::Object(each.clone())))
                .collect();
            json!({
                "type": "object",
                "properties": properties,
                "additionalProperties": false,
            })
        }
    })
}

/// Kinds of different types: what is asked of one does not touch the others.
fn either(kinds: &[ValueKind]) -> Map<String, Value> {
    let mut schema = Map::new();
    let mut types = Vec::new();
    for mut kind in kinds.iter().map(of_kind) {
        let own = kind.remove("type");
        // What is not asked of a text is true of it, and its opposite is not.
        if let (Some(Value::Object(not)), Some(own)) = (kind.get_mut("not"), own.clone()) {
            not.insert("type".into(), own);
        }
        types.extend(own);
        schema.append(&mut kind);
    }
    schema.insert("type".into(), Value::Array(types));
    schema
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
