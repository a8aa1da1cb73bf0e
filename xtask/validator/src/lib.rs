//! As much of JSON Schema as the schemas of this repository use, and a panic at
//! anything else: containers/system.schema.json in draft 7, docs/schema in draft
//! 2020-12. A crate for all of it would double the time that the tests of `model`
//! take to build.

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
        matches!(
            self.keyword,
            "if" | "not" | "dependencies" | "minProperties" | "maxProperties"
        )
    }
}

/// A schema, ready to be used.
#[derive(Debug)]
pub struct Validator {
    pub schema: Value,
    expressions: RefCell<HashMap<String, Regex>>,
}

/// Say nothing about values.
const NOTES: &[&str] = &[
    "$schema",
    "$comment",
    "$defs",
    "title",
    "description",
    "default",
    "examples",
    "format",
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
                "items" => {
                    // In draft 2020-12 those behind the ones that have schemas of their own.
                    let own = schema.get("prefixItems").and_then(Value::as_array);
                    self.check_items(wanted, own.map_or(0, Vec::len), value, at, refusals);
                }
                "prefixItems" => self.check_first(wanted, value, at, refusals),
                "minItems" | "maxItems" | "contains" => {
                    self.check_list(keyword, wanted, value, at, refusals);
                }
                "minProperties" => check_size("minProperties", wanted, value, at, refusals),
                "maxProperties" => check_size("maxProperties", wanted, value, at, refusals),
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
                "$ref" => self.check(self.referred(wanted), value, at, refusals),
                "anyOf" | "oneOf" => self.check_choice(keyword, wanted, value, at, refusals),
                "not" | "if" | "allOf" => {
                    if !self.holds(keyword, schema, value) {
                        let keyword = ["not", "if"].into_iter().find(|known| known == keyword);
                        refuse(refusals, at, keyword.unwrap_or("allOf"));
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
            _ => wanted.as_array().is_some_and(|all| all.iter().all(accepts)),
        }
    }

    /// The schema at a place of this document.
    fn referred(&self, reference: &Value) -> &Value {
        let place = reference.as_str().and_then(|text| text.strip_prefix('#'));
        let found = place.and_then(|pointer| self.schema.pointer(pointer));
        found.unwrap_or_else(|| panic!("{reference} leads nowhere"))
    }

    /// If no schema of several accepts a value, what the nearest one refuses is told.
    fn check_choice(
        &self,
        keyword: &str,
        wanted: &Value,
        value: &Value,
        at: &str,
        refusals: &mut Vec<Refusal>,
    ) {
        let all = wanted.as_array().expect("a list of schemas").iter();
        let told: Vec<Vec<Refusal>> = all
            .map(|schema| {
                let mut refusals = Vec::new();
                self.check(schema, value, at, &mut refusals);
                refusals
            })
            .collect();
        match told.iter().filter(|refusals| refusals.is_empty()).count() {
            0 => {
                // The tag of a variant is a constant: a wrong one is another variant.
                let tagged = |refusal: &&Refusal| refusal.keyword == "const";
                let nearest = told.into_iter().min_by_key(|refusals| {
                    (refusals.iter().filter(tagged).count(), refusals.len())
                });
                refusals.extend(nearest.unwrap_or_default());
            }
            1 => {}
            _ if keyword == "anyOf" => {}
            _ => refuse(refusals, at, "oneOf"),
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

    fn check_items(
        &self,
        wanted: &Value,
        skipped: usize,
        value: &Value,
        at: &str,
        refusals: &mut Vec<Refusal>,
    ) {
        let list = value.as_array().into_iter().flatten().enumerate();
        for (index, element) in list.skip(skipped) {
            self.check(wanted, element, &format!("{at}/{index}"), refusals);
        }
    }

    fn check_first(&self, wanted: &Value, value: &Value, at: &str, refusals: &mut Vec<Refusal>) {
        let list = value.as_array().into_iter().flatten();
        let schemas = wanted.as_array().expect("a list of schemas");
        for (index, (schema, element)) in schemas.iter().zip(list).enumerate() {
            self.check(schema, element, &format!("{at}/{index}"), refusals);
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
        Some("null") => value.is_null(),
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

fn check_size(
    keyword: &'static str,
    wanted: &Value,
    value: &Value,
    at: &str,
    refusals: &mut Vec<Refusal>,
) {
    let (Some(map), Some(limit)) = (value.as_object(), wanted.as_u64()) else {
        return;
    };
    let length = map.len() as u64;
    let fits = match keyword {
        "minProperties" => length >= limit,
        _ => length <= limit,
    };
    if !fits {
        refuse(refusals, at, keyword);
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

#[cfg(test)]
mod tests;
