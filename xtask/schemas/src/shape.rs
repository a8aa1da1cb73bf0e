//! From what types say of themselves to schemas that say all that is known of the
//! values: that nothing else is in them, and what `Ui::json` puts in front.

use std::collections::BTreeSet;

use operations::ui::SCHEMA;
use schemars::{
    JsonSchema, Schema,
    generate::SchemaSettings,
    transform::{RecursiveTransform, RestrictFormats, Transform},
};
use serde_json::{Map, Value, json};

/// The schema of what is written of a type.
pub fn of<T: JsonSchema>(title: &str) -> Schema {
    // Formats outside the standard (`uint64`) say less than the limits beside
    // them, and strict validators refuse them.
    let settings = SchemaSettings::draft2020_12()
        .for_serialize()
        .with_transform(RestrictFormats::default());
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    let definitions = match schema.get("$defs") {
        Some(Value::Object(definitions)) => definitions.clone(),
        _ => Map::new(),
    };
    let mut all = RecursiveTransform(|schema: &mut Schema| {
        on_one_line(schema);
        unfold(schema, &definitions);
        never_null_if_left_out(schema);
        words(schema);
        spread(schema);
        close(schema);
    });
    all.transform(&mut schema);
    drop_unused(&mut schema);
    schema.insert("title".into(), title.into());
    let comment = "made from the types; UPDATE_GOLDEN=1 cargo test -p xtask-schemas";
    schema.insert("$comment".into(), comment.into());
    schema
}

/// Adds what stands in front of every result.
pub fn wrap(schema: &mut Schema, command: &str) {
    match schema.get_mut("anyOf") {
        Some(Value::Array(choices)) => {
            let choices = choices.iter_mut().filter_map(Value::as_object_mut);
            choices.for_each(|choice| wrap_object(choice, command));
        }
        _ => wrap_object(schema.ensure_object(), command),
    }
}

fn wrap_object(schema: &mut Map<String, Value>, command: &str) {
    let front = json!({
        "schema": {
            "description": "Version of this shape; a change that breaks readers raises it.",
            "const": SCHEMA,
        },
        "command": { "description": "Whose result this is.", "const": command },
    });
    if let (Some(Value::Object(properties)), Value::Object(mut front)) =
        (schema.get_mut("properties"), front)
    {
        properties.append(&mut front);
    }
    let own = list(schema.remove("required"));
    let front = ["schema", "command"].map(Value::from);
    schema.insert("required".into(), front.into_iter().chain(own).collect());
}

/// Comments are wrapped, descriptions are not.
fn on_one_line(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = one_line(text);
    }
}

fn one_line(text: &str) -> String {
    let paragraphs = text.split("\n\n");
    let lines: Vec<String> = paragraphs.map(|lines| lines.replace('\n', " ")).collect();
    lines.join("\n\n")
}

/// A tagged variant refers to the type that it holds, and has the tag beside that.
/// No closed type would let the tag pass, so the two become one.
fn unfold(schema: &mut Schema, definitions: &Map<String, Value>) {
    if schema.get("properties").is_none() {
        return;
    }
    let Some(reference) = schema.remove("$ref") else {
        return;
    };
    let held = target(&reference).and_then(|name| definitions.get(name));
    let held = held.and_then(Value::as_object).cloned();
    let schema = schema.ensure_object();
    for (keyword, value) in held.expect("references lead to definitions") {
        match (keyword.as_str(), schema.get_mut(&keyword), value) {
            ("properties", Some(Value::Object(own)), Value::Object(mut more)) => {
                own.append(&mut more);
            }
            ("required", Some(Value::Array(own)), Value::Array(mut more)) => own.append(&mut more),
            (_, Some(_), _) => {}
            (_, None, value) => drop(schema.insert(keyword, value)),
        }
    }
}

/// Fields are left out where they would be null, or are null.
fn never_null_if_left_out(schema: &mut Schema) {
    let required = list(schema.get("required").cloned());
    let Some(Value::Object(properties)) = schema.get_mut("properties") else {
        return;
    };
    let optional = properties
        .iter_mut()
        .filter(|(key, _)| !required.contains(&Value::from(key.as_str())))
        .filter_map(|(_, property)| property.as_object_mut());
    for property in optional {
        if let Some(Value::Array(types)) = property.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                property["type"] = only.clone();
            }
        }
        if let Some(Value::Array(choices)) = property.get_mut("anyOf") {
            choices.retain(|choice| choice["type"] != "null");
            if let [Value::Object(only)] = choices.as_slice() {
                let only = only.clone();
                property.remove("anyOf");
                property.extend(only);
            }
        }
    }
}

/// Words that are described one by one are still the words of one `enum`.
fn words(schema: &mut Schema) {
    let choices = list(schema.get("oneOf").cloned());
    let mut words = Vec::new();
    let mut meanings = Vec::new();
    for choice in &choices {
        let own = match (&choice["const"], &choice["enum"]) {
            (Value::String(word), _) => vec![Value::from(word.as_str())],
            (_, Value::Array(words)) => words.clone(),
            _ => return,
        };
        let word = own.first().and_then(Value::as_str);
        if let (Some(word), Some(text)) = (word, choice["description"].as_str()) {
            meanings.push(format!("- `{word}`: {}", one_line(text)));
        }
        words.extend(own);
    }
    if words.is_empty() {
        return;
    }
    let about = schema.get("description").and_then(Value::as_str);
    let about = about.map(str::to_owned).into_iter();
    let text: Vec<String> = about.chain([meanings.join("\n")]).collect();
    schema.remove("oneOf");
    schema.insert("description".into(), text.join("\n\n").into());
    schema.insert("type".into(), "string".into());
    schema.insert("enum".into(), Value::Array(words));
}

/// An object with kinds flattened into it becomes whole objects, one for each kind.
fn spread(schema: &mut Schema) {
    let (Some(Value::Object(shared)), Some(Value::Array(mut kinds))) = (
        schema.get("properties").cloned(),
        schema.get("anyOf").cloned(),
    ) else {
        return;
    };
    let required = list(schema.remove("required"));
    schema.remove("properties");
    schema.remove("anyOf");
    for kind in &mut kinds {
        if let Some(Value::Object(own)) = kind.get_mut("properties") {
            let mut all = shared.clone();
            all.append(own);
            *own = all;
        }
        let own = list(Some(kind["required"].take()));
        kind["required"] = required.iter().cloned().chain(own).collect();
    }
    match kinds.as_mut_slice() {
        // What the object is stands above what its only kind is.
        [only] => {
            let only = only.as_object().cloned().unwrap_or_default();
            let map = schema.ensure_object();
            only.into_iter().for_each(|(key, value)| {
                map.entry(key).or_insert(value);
            });
        }
        _ => {
            schema.remove("type");
            schema.insert("anyOf".into(), Value::Array(kinds));
        }
    }
}

/// Nothing is written but what is described, so that whatever is forgotten shows.
fn close(schema: &mut Schema) {
    if schema.get("properties").is_none() {
        return;
    }
    // Beside these the word would count for a part of the properties only.
    let others = ["$ref", "allOf", "anyOf", "oneOf"];
    let other = others.iter().find(|other| schema.get(**other).is_some());
    assert_eq!(other, None, "{schema:?}");
    let schema = schema.ensure_object();
    schema
        .entry("additionalProperties")
        .or_insert(Value::Bool(false));
}

/// What was unfolded everywhere is no longer referred to.
fn drop_unused(schema: &mut Schema) {
    let Some(Value::Object(mut definitions)) = schema.remove("$defs") else {
        return;
    };
    let mut used = BTreeSet::new();
    add_targets(schema.as_value(), &mut used);
    loop {
        let before = used.len();
        for name in used.clone() {
            add_targets(&definitions[&name], &mut used);
        }
        if used.len() == before {
            break;
        }
    }
    definitions.retain(|name, _| used.contains(name));
    if !definitions.is_empty() {
        schema.insert("$defs".into(), Value::Object(definitions));
    }
}

fn add_targets(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            let reference = map.get("$ref").and_then(target);
            found.extend(reference.map(str::to_owned));
            map.values().for_each(|value| add_targets(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| add_targets(value, found)),
        _ => {}
    }
}

/// The definition that a reference leads to.
fn target(reference: &Value) -> Option<&str> {
    reference.as_str()?.strip_prefix("#/$defs/")
}

fn list(value: Option<Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(values)) => values,
        _ => Vec::new(),
    }
}
