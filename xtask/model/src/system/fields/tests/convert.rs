//! TOML as JSON, for the schema, with the places where everything stands.

use std::collections::BTreeMap;

use diagnostics::located::problem::Span;
use serde_json::{Map, Number, Value};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A document as JSON.
pub struct Document {
    pub value: Value,
    /// Behind each JSON pointer, where its key and its value stand.
    places: BTreeMap<String, Vec<Span>>,
}

impl Document {
    /// `None` if the text is not TOML.
    pub fn read(text: &str) -> Option<Self> {
        let document = DeTable::parse(text).ok()?;
        // What is missing at the top level is missing here.
        let mut places = BTreeMap::from([(String::new(), std::iter::once(0..0).collect())]);
        let value = table(document.get_ref(), "", &mut places);
        Some(Document { value, places })
    }

    /// The pointers of what stands at `at`.
    pub fn pointers(&self, at: &Span) -> Vec<&str> {
        let here = self.places.iter().filter(|(_, spans)| spans.contains(at));
        here.map(|(pointer, _)| pointer.as_str()).collect()
    }
}

/// A single value.
pub fn value_of(toml: &str) -> Value {
    let document = Document::read(&format!("x = {toml}"));
    document
        .unwrap_or_else(|| panic!("no TOML value: {toml}"))
        .value["x"]
        .clone()
}

fn table(table: &DeTable<'_>, path: &str, places: &mut BTreeMap<String, Vec<Span>>) -> Value {
    let mut map = Map::new();
    for (key, value) in table.iter() {
        let below = format!("{path}/{}", key.get_ref());
        let spans = places.entry(below.clone()).or_default();
        spans.extend([key.span(), value.span()]);
        map.insert(key.get_ref().to_string(), json(value, &below, places));
    }
    Value::Object(map)
}

fn json(
    value: &Spanned<DeValue<'_>>,
    path: &str,
    places: &mut BTreeMap<String, Vec<Span>>,
) -> Value {
    match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Integer(digits) => {
            let number = i128::from_str_radix(digits.as_str(), digits.radix());
            let number = number.ok().and_then(Number::from_i128);
            // Larger than any integer that JSON's readers know.
            number.map_or_else(|| serde_json::json!(1e30), Value::Number)
        }
        DeValue::Float(digits) => {
            let number = digits.as_str().parse().ok().and_then(Number::from_f64);
            // JSON has no infinity; it is out of any range, too.
            number.map_or_else(|| serde_json::json!(1e30), Value::Number)
        }
        // No field is one.
        DeValue::Datetime(_) => Value::Null,
        DeValue::Array(values) => {
            let elements = values.iter().enumerate().map(|(index, value)| {
                let below = format!("{path}/{index}");
                places.insert(below.clone(), vec![value.span()]);
                json(value, &below, places)
            });
            Value::Array(elements.collect())
        }
        DeValue::Table(inner) => table(inner, path, places),
    }
}
