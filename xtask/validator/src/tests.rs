//! Every keyword that is known, and what it refuses.

use super::*;

/// Each value with what is refused of it, `PLACE:KEYWORD`.
#[track_caller]
fn assert_told(schema: Value, values: &[(&str, &str)]) {
    let validator = Validator::new(schema);
    for (value, expected) in values {
        let refusals = validator.refusals(&serde_json::from_str(value).expect("JSON"));
        let told: Vec<String> = refusals
            .iter()
            .map(|refusal| format!("{}:{}", refusal.at, refusal.keyword))
            .collect();
        assert_eq!(told.join(" "), *expected, "{value}");
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
    assert_told(
        schema,
        &[
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
        ],
    );
}

#[test]
fn references_and_choices() {
    let schema = serde_json::json!({
        "$ref": "#/$defs/action",
        "$defs": {
            "action": {
                "oneOf": [
                    { "properties": { "do": { "const": "a" }, "x": { "$ref": "#/$defs/pair" } }, "required": ["do"] },
                    { "properties": { "do": { "const": "b" } }, "required": ["do"], "additionalProperties": false },
                    { "properties": { "do": { "enum": ["a", "c"] } }, "required": ["do", "c"] },
                ],
            },
            "pair": {
                "type": "array",
                "prefixItems": [{ "type": "integer", "format": "none" }, { "anyOf": [{ "type": "string" }, { "type": "null" }] }],
                "items": { "type": "boolean" },
                "minItems": 2,
            },
        },
    });
    assert_told(
        schema,
        &[
            (r#"{"do": "a"}"#, ""),
            (r#"{"do": "b"}"#, ""),
            (r#"{"do": "c", "c": 1}"#, ""),
            (r#"{"do": "a", "c": 1}"#, ":oneOf"),
            (r#"{"do": "b", "x": 1}"#, "/x:additionalProperties"),
            (r#"{"do": "a", "x": [1, null, true]}"#, ""),
            (r#"{"do": "a", "x": [1, 2]}"#, "/x/1:type"),
            (r#"{"do": "a", "x": ["1", "2", true]}"#, "/x/0:type"),
            (r#"{"do": "a", "x": [1, "2", 3]}"#, "/x/2:type"),
            (r#"{"do": "a", "x": [1]}"#, "/x:length"),
            (
                r#"{"do": "b", "x": 1, "y": 2}"#,
                "/x:additionalProperties /y:additionalProperties",
            ),
        ],
    );
}

#[test]
#[should_panic(expected = "unknown keyword `minimun`")]
fn an_unknown_keyword_is_no_note() {
    Validator::new(serde_json::json!({ "minimun": 1 })).refusals(&Value::Null);
}

#[test]
#[should_panic(expected = "leads nowhere")]
fn a_reference_leads_somewhere() {
    Validator::new(serde_json::json!({ "$ref": "#/$defs/a" })).refusals(&Value::Null);
}
