//! As much of JSON Schema as the manifest's schema uses, and a panic at anything
//! else. A crate for all of it would double the time that these tests take to
//! build.

use std::{cell::RefCell, collections::HashMap};

use regex::Regex;
use serde_json::{Map, Value};

/// Something that a schema does not accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// JSON pointer of what is refused, or of where something is missing.
    pub at: String,
    /// The keyword that refuses it.
    pub keyword: &'static str,
}

impl Refusal {
    /// Whether it is about fields that do not go together.
    pub fn is_rule(&self) -> bool {
        matches!(self.keyword, "if" | "not" | "dependencies")
    }
}

/// A schema, ready to be used.
pub struct Validator {
    pub schema: Value,
    expressions: RefCell<HashMap<String, Regex>>,
}

/// Say nothing about values.
const NOTES: &[&str] = &[
    "$schema",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "then",
    "else",
];

impl Validator {
    pub fn new(schema: Value) -> Self {
        Validator {
            schema,
            expressions: RefCell::default(),
        }
    }

    /// Everything in `value` that the schema does not accept.
    pub fn refusals(&self, value: &Value) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        self.check(&self.schema, value, "", &mut refusals);
        refusals
    }

    fn accepts(&self, schema: &Value, value: &Value) -> bool {
        let mut refusals = Vec::new();
        self.check(schema, value, "", &mut refusals);
        refusals.is_empty()
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, refusals: &mut Vec<Refusal>) {
        let schema = match schema {
            Value::Object(schema) => schema,
            Value::Bool(true) => return,
            _ => return refuse(refusals, at, "false"),
        };
        for (keyword, wanted) in schema {
            match keyword.as_str() {
                "type" => check_type(wanted, value, at, refusals),
                "properties" | "patternProperties" | "additionalProperties" => {}
                "required" | "dependencies" => {
                    self.check_keys(keyword, wanted, value, at, refusals);
                }
                "items" | "minItems" | "maxItems" | "contains" => {
                    self.check_list(keyword, wanted, value, at, refusals);
                }
                "minimum" | "maximum" | "exclusiveMinimum" => {
                    check_number(keyword, wanted, value, at, refusals);
                }
                "pattern" => {
                    let fits = |text| self.is_match(wanted, text);
                    if !value.as_str().is_none_or(fits) {
                        refuse(refusals, at, "pattern");
                    }
                }
                "enum" => {
                    let words = wanted.as_array().expect("a list of values");
                    if !words.contains(value) {
                        refuse(refusals, at, "enum");
                    }
                }
                "const" if wanted == value => {}
                "const" => refuse(refusals, at, "const"),
                "not" | "if" | "anyOf" | "allOf" => {
                    if !self.holds(keyword, schema, value) {
                        let keyword = ["not", "if"].into_iter().find(|known| known == keyword);
                        refuse(refusals, at, keyword.unwrap_or("anyOf"));
                    }
                }
                note => assert!(NOTES.contains(&note), "unknown keyword `{note}`"),
            }
        }
        self.check_properties(schema, value, at, refusals);
    }

    fn is_match(&self, expression: &Value, text: &str) -> bool {
        let expression = expression.as_str().expect("an expression");
        let mut known = self.expressions.borrow_mut();
        let compiled = known
            .entry(expression.to_owned())
            .or_insert_with(|| Regex::new(expression).expect("a regular expression"));
        compiled.is_match(text)
    }

    fn holds(&self, keyword: &str, schema: &Map<String, Value>, value: &Value) -> bool {
        let accepts = |schema: &Value| self.accepts(schema, value);
        let wanted = &schema[keyword];
        match keyword {
            "not" => !accepts(wanted),
            "if" if accepts(wanted) => schema.get("then").is_none_or(accepts),
            "if" => schema.get("else").is_none_or(accepts),
            "anyOf" => wanted.as_array().is_some_and(|all| all.iter().any(accepts)),
            _ => wanted.as_array().is_some_and(|all| all.iter().all(accepts)),
        }
    }

    fn check_properties(
        &self,
        schema: &Map<String, Value>,
        value: &Value,
        at: &str,
        refusals: &mut Vec<Refusal>,
    ) {
        let Some(map) = value.as_object() else { return };
        for (key, value) in map {
            let below = format!("{at}/{key}");
            let mut known = false;
            if let Some(schema) = schema.get("properties").and_then(|all| all.get(key)) {
                known = true;
                self.check(schema, value, &below, refusals);
            }
            let patterns = schema.get("patternProperties").and_then(Value::as_object);
            for (pattern, schema) in patterns.into_iter().flatten() {
                if self.is_match(&Value::String(pattern.clone()), key) {
                    known = true;
                    self.check(schema, value, &below, refusals);
                }
            }
            match schema.get("additionalProperties") {
                Some(Value::Bool(false)) if !known => {
                    refuse(refusals, &below, "additionalProperties");
                }
                Some(other) if !known => self.check(other, value, &below, refusals),
                _ => {}
            }
        }
    }

    fn check_keys(
        &self,
        keyword: &str,
        wanted: &Value,
        value: &Value,
        at: &str,
        refusals: &mut Vec<Refusal>,
    ) {
        let Some(map) = value.as_object() else { return };
        if keyword == "required" {
            let keys = wanted
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            for _ in keys.filter(|key| !map.contains_key(*key)) {
                refuse(refusals, at, "required");
            }
            return;
        }
        for (key, schema) in wanted.as_object().into_iter().flatten() {
            if map.contains_key(key) && !self.accepts(schema, value) {
                refuse(refusals, at, "dependencies");
            }
        }
    }

    fn check_list(
        &self,
        keyword: &str,
        wanted: &Value,
        value: &Value,
        at: &str,
        refusals: &mut Vec<Refusal>,
    ) {
        let Some(list) = value.as_array() else { return };
        let length = list.len() as u64;
        match keyword {
            "items" => {
                for (index, element) in list.iter().enumerate() {
                    self.check(wanted, element, &format!("{at}/{index}"), refusals);
                }
            }
            "contains" if list.iter().any(|element| self.accepts(wanted, element)) => {}
            "minItems" if wanted.as_u64().is_some_and(|least| length >= least) => {}
            "maxItems" if wanted.as_u64().is_some_and(|most| length <= most) => {}
            "contains" => refuse(refusals, at, "contains"),
            _ => refuse(refusals, at, "length"),
        }
    }
}

fn refuse(refusals: &mut Vec<Refusal>, at: &str, keyword: &'static str) {
    refusals.push(Refusal {
        at: at.to_owned(),
        keyword,
    });
}

fn check_type(wanted: &Value, value: &Value, at: &str, refusals: &mut Vec<Refusal>) {
    let is = |name: &Value| match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("number") => value.is_number(),
        // As TOML and our reader see it; to others 1.0 is an integer, too.
        Some("integer") => value.is_i64() || value.is_u64(),
        other => panic!("unknown type {other:?}"),
    };
    let fits = match wanted {
        Value::Array(names) => names.iter().any(is),
        name => is(name),
    };
    if !fits {
        refuse(refusals, at, "type");
    }
}

fn check_number(
    keyword: &str,
    wanted: &Value,
    value: &Value,
    at: &str,
    refusals: &mut Vec<Refusal>,
) {
    let (Some(number), Some(limit)) = (value.as_f64(), wanted.as_f64()) else {
        return;
    };
    let inside = match keyword {
        "minimum" => number >= limit,
        "maximum" => number <= limit,
        _ => number > limit,
    };
    if !inside {
        refuse(refusals, at, "range");
    }
}

#[test]
fn every_keyword_can_refuse() {
    let schema = serde_json::json!({
        "type": "object",
        "required": ["a"],
        "properties": {
            "a": { "type": ["integer", "string"], "minimum": 1, "maximum": 3, "pattern": "^x$" },
            "b": { "type": "number", "exclusiveMinimum": 0 },
            "c": { "type": "array", "items": { "enum": ["p", "q"] }, "minItems": 1, "maxItems": 2 },
            "d": { "type": "boolean" },
        },
        "patternProperties": { "^n[0-9]$": { "const": 1 } },
        "additionalProperties": false,
        "not": { "required": ["b", "c"] },
        "if": { "required": ["d"] }, "then": { "required": ["b"] }, "else": true,
        "dependencies": {
            "c": { "allOf": [{ "properties": { "c": { "contains": { "const": "p" } } } }] },
            "n1": { "anyOf": [{ "required": ["d"] }, { "required": ["b"] }] },
        },
    });
    let validator = Validator::new(schema);
    for (value, expected) in [
        (r#"{"a": 1}"#, ""),
        (r#"{"a": "x", "b": 0.5, "d": true, "n1": 1}"#, ""),
        (r#"{"a": 3, "c": ["q", "p"]}"#, ""),
        (r#"{}"#, ":required"),
        (r#"[]"#, ":not :type"),
        (r#"{"a": 0}"#, "/a:range"),
        (r#"{"a": 4}"#, "/a:range"),
        (r#"{"a": 1.5}"#, "/a:type"),
        (r#"{"a": "y"}"#, "/a:pattern"),
        (r#"{"a": 1, "b": 0}"#, "/b:range"),
        (r#"{"a": 1, "c": []}"#, ":dependencies /c:length"),
        (r#"{"a": 1, "c": ["q"]}"#, ":dependencies"),
        (r#"{"a": 1, "c": ["p", "q", "r"]}"#, "/c/2:enum /c:length"),
        (r#"{"a": 1, "e": 1}"#, "/e:additionalProperties"),
        (r#"{"a": 1, "n1": 2, "b": 1}"#, "/n1:const"),
        (r#"{"a": 1, "n1": 1}"#, ":dependencies"),
        (r#"{"a": 1, "b": 1, "c": ["p"]}"#, ":not"),
        (r#"{"a": 1, "d": true}"#, ":if"),
    ] {
        let refusals = validator.refusals(&serde_json::from_str(value).expect("JSON"));
        let told: Vec<String> = refusals
            .iter()
            .map(|refusal| format!("{}:{}", refusal.at, refusal.keyword))
            .collect();
        assert_eq!(told.join(" "), expected, "{value}");
    }
}
