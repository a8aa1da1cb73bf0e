//! Reader and schema against each other: every field is given many values, good
//! and bad, and both must be of one mind about each.

use std::collections::BTreeSet;

use diagnostics::located::shape::{Absent, Names, ValueKind};

use super::{
    Document, Field, TABLES, Table, Validator, decoded,
    examples::{Edit, manifest},
    validator,
};
use crate::system::{
    fields::kinds::{AGENT_NAME, IMAGE_NAME, PODMAN_NAME, VARIABLE_NAME},
    naming,
};

/// Texts that mean something to one field or another, or to none.
const TEXTS: &[&str] = &[
    "",
    " ",
    "x",
    "X",
    "a b",
    "a/b",
    "/",
    "/a",
    "/a/",
    "//",
    "../a",
    "a:b",
    "/a:b",
    "ä",
    "-a",
    "_a",
    "1",
    "0",
    "-1",
    "true",
    "all",
    "health",
    "bridge",
    "host",
    "pod",
    "Pod",
    "auto",
    "required",
    "off",
    "present",
    "pull",
    "bootstrap",
    "no",
    "always",
    "never",
    "on-failure",
    "on-failure:",
    "on-failure:0",
    "on-failure:3",
    "on-failure:12",
    "on-failure:x",
    "3",
    "3.9",
    "3.10",
    "3.11",
    "3.14",
    "3.15",
    "3.11.7",
    "3.11.",
    "3.1",
    "2.7",
    "1.2.3.4",
    "1.2.3",
    "1.2.3.4.",
    "1.2.3.4.5",
    "255.255.255.255",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.4 ",
    "fd00::1",
    "10.0.0.0/8",
    "10.0.0.0/7",
    "10.0.0.0/16",
    "10.0.0.0/29",
    "10.0.0.0/30",
    "10.0.0.0/31",
    "10.0.0.0/08",
    "10.0.0.0/+8",
    "10.0.0.0/",
    "10.0.0.256/8",
    "10/0/0.0/8",
    "GPU-1",
    "GPU-1a:0",
    "0.0",
    "NET_ADMIN",
];

/// Values of other types.
const OTHERS: &[&str] = &[
    "true",
    "false",
    "0",
    "1",
    "-1",
    "64",
    "65",
    "1.5",
    "0.0",
    "nan",
    "inf",
    "-inf",
    "[]",
    "{}",
    "1979-05-27",
    "99999999999999999999",
    "[1]",
    "[true]",
    "['x']",
    "['x', 1]",
    "[[]]",
    "[{}]",
    "['']",
    "{ A = 'x' }",
    "{ A = '' }",
    "{ A = 1 }",
    "{ A = {} }",
    "{ CHOWN = 'x' }",
    "{ CHOWN = '' }",
    "{ a = { b = 1 } }",
];

/// What `check` judges and the reader lets through: patterns of names and paths,
/// and lists that must not be empty. The schema says more about them.
fn is_for_check(field: &Field) -> bool {
    const PARSED: &[&str] = &["subnet", "ip_range", "python", "ip", "restart"];
    match &field.kind {
        ValueKind::Pattern { .. } => !PARSED.contains(&field.key),
        ValueKind::List { of, least } => *least > 0 || matches!(of, ValueKind::Pattern { .. }),
        ValueKind::Tables { .. } => true,
        ValueKind::Entries { names, .. } => matches!(names, Names::Pattern(_)),
        _ => false,
    }
}

fn values(kind: &ValueKind) -> Vec<String> {
    let mut values: Vec<String> = TEXTS.iter().map(|text| format!("'{text}'")).collect();
    values.extend(OTHERS.iter().map(|value| (*value).to_owned()));
    let mut limits = |first: i128, last: i128| {
        let edges = [first - 1, first, last, last + 1];
        values.extend(edges.map(|number| number.to_string()));
    };
    match kind {
        ValueKind::Integer(range) => limits(i128::from(*range.start()), i128::from(*range.end())),
        ValueKind::Number { above, to } => limits(*above as i128, *to as i128),
        ValueKind::Either(kinds) => return kinds.iter().flat_map(self::values).collect(),
        ValueKind::List { of, .. } => {
            let inner = self::values(of);
            return inner
                .iter()
                .map(|value| format!("[{value}]"))
                .chain(values)
                .collect();
        }
        _ => {}
    }
    values
}

/// Whether the reader has a problem, and whether the schema refuses something.
/// What the schema says of fields that do not go together is left out: the
/// reader leaves that to `check`.
fn refused(validator: &Validator, edit: &Edit<'_>) -> (bool, bool) {
    let text = manifest(Some(edit));
    let problems = decoded(&text);
    let host_bits = |message: &str| message.contains("has host bits set");
    let by_reader = problems.iter().any(|problem| !host_bits(&problem.message));
    let document = Document::read(&text).expect("TOML");
    let refusals = validator.refusals(&document.value);
    (by_reader, refusals.iter().any(|refusal| !refusal.is_rule()))
}

fn every_field(mut visit: impl FnMut(&'static Table, &'static Field)) {
    for table in TABLES {
        for field in table.fields() {
            visit(table, field);
        }
    }
}

#[test]
fn reader_and_schema_agree_about_every_value() {
    let validator = validator();
    let (mut good, mut bad, mut wrong) = (0, 0, Vec::new());
    every_field(|table, field| {
        let values: BTreeSet<String> = values(&field.kind).into_iter().collect();
        for value in &values {
            // The reader refuses a newer schema with words of its own.
            if field.key == "schema" && value.parse::<u64>().is_ok_and(|number| number > 1) {
                continue;
            }
            let edit = Edit {
                path: table.path,
                key: field.key,
                value: Some(value),
            };
            let (by_reader, by_schema) = refused(&validator, &edit);
            let stricter = is_for_check(field) && by_schema;
            if by_reader != by_schema && !stricter {
                let verdict = |refused| if refused { "refuses" } else { "takes" };
                wrong.push(format!(
                    "[{}] {} = {value}: the reader {} it, the schema {} it",
                    table.path,
                    field.key,
                    verdict(by_reader),
                    verdict(by_schema),
                ));
            }
            if by_reader { bad += 1 } else { good += 1 }
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(good > 1000 && bad > 5000, "{good} good, {bad} bad");
}

#[test]
fn reader_and_schema_agree_about_what_is_required() {
    let validator = validator();
    every_field(|table, field| {
        let edit = Edit {
            path: table.path,
            key: field.key,
            value: None,
        };
        let required = field.absent == Absent::Required;
        assert_eq!(
            refused(&validator, &edit),
            (required, required),
            "[{}] {}",
            table.path,
            field.key
        );
    });
}

#[test]
fn reader_and_schema_know_the_same_keys() {
    let validator = validator();
    every_field(|table, field| {
        for key in [format!("{}x", field.key), field.key.to_uppercase()] {
            let edit = Edit {
                path: table.path,
                key: &key,
                value: Some("1"),
            };
            let verdict = refused(&validator, &edit);
            assert_eq!(verdict, (true, true), "[{}] {key}", table.path);
        }
    });
}

/// Limits of numbers are named in the reader's help, words all listed.
#[test]
fn the_reader_names_the_limits_of_the_table() {
    every_field(|table, field| {
        let (value, expected) = match &field.kind {
            // Read with a range of its own.
            ValueKind::Integer(_) if field.key == "schema" => return,
            ValueKind::Integer(range) => (
                (range.end() + 1).to_string(),
                format!("write a number from {} to {}", range.start(), range.end()),
            ),
            ValueKind::Words(words) => (
                "'-'".to_owned(),
                format!(
                    "possible values: {}",
                    diagnostics::names::quoted_list(words)
                ),
            ),
            ValueKind::Number { above, to } => (
                (to + 1.0).to_string(),
                format!("write a number greater than {above}, at most {to}"),
            ),
            _ => return,
        };
        let edit = Edit {
            path: table.path,
            key: field.key,
            value: Some(&value),
        };
        let problems = decoded(&manifest(Some(&edit)));
        let helps: Vec<&str> = problems
            .iter()
            .map(|problem| problem.help.as_str())
            .collect();
        assert_eq!(helps, [expected.as_str()], "[{}] {}", table.path, field.key);
    });
}

/// The patterns of names are those of the checks.
#[test]
fn patterns_of_names_are_those_of_the_checks() {
    let image =
        |name: &str| naming::is_podman_name(name) && !name.chars().any(|c| c.is_ascii_uppercase());
    type Check = fn(&str) -> bool;
    let pairs: [(&str, Check); 4] = [
        (PODMAN_NAME, naming::is_podman_name),
        (AGENT_NAME, naming::is_agent_name),
        (VARIABLE_NAME, naming::is_variable_name),
        (IMAGE_NAME, image),
    ];
    for (pattern, check) in pairs {
        let pattern = regex::Regex::new(pattern).expect("a regular expression");
        for text in TEXTS
            .iter()
            .chain(&["a.b", "a_b", "a-b", "1a", "Ab", "aB9", "a\n"])
        {
            assert_eq!(pattern.is_match(text), check(text), "{pattern} {text}");
        }
    }
}
