//! YAML (and so JSON) as a tree whose values know their place.
//!
//! Bounded in depth and size, so that no text does harm: the events come from
//! a parser that keeps a stack of its own, and the tree is built with another.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

/// Deeper nesting is refused: to drop a tree takes a stack frame a level.
const DEPTH_MAX: usize = 64;
/// Values in all, those of repeated anchors counted each time.
const VALUES_MAX: usize = 200_000;

/// A value and where it begins, lines and columns from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub line: usize,
    pub column: usize,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Integer(i64),
    Text(String),
    /// A truth value or a number with a fraction, as it is written.
    Other(String),
    List(Vec<Node>),
    /// In the order of the text; no key comes twice.
    Map(Vec<(Node, Node)>),
}

/// Why a text is not what it should be, and where (lines and columns from 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MalformedYaml {
    pub line: usize,
    pub column: usize,
    pub problem: String,
}

/// The first document of a text.
///
/// # Errors
/// The text is no YAML, holds no document, or is too deep or too large.
pub fn parse(text: &str) -> Result<Node, MalformedYaml> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| scan_error(&error))?;
        if let Some(root) = builder.take(event, span)? {
            return Ok(root);
        }
    }
    Err(MalformedYaml {
        line: 1,
        column: 1,
        problem: "the file is empty".into(),
    })
}

/// A list or mapping that is not complete yet.
struct Open {
    node: Node,
    anchor: usize,
    /// A key whose value has not come yet.
    key: Option<Node>,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: BTreeMap<usize, (Node, usize)>,
    values: usize,
}

impl Builder {
    /// The root once it is complete.
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<Option<Node>, MalformedYaml> {
        let node = |value: Value| Node {
            line: span.start.line(),
            column: span.start.col() + 1,
            value,
        };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let as_text = style != ScalarStyle::Plain || tag.is_some();
                self.done(node(scalar(&text, as_text)), anchor)
            }
            Event::SequenceStart(anchor, _) => self.begin(node(Value::List(Vec::new())), anchor),
            Event::MappingStart(anchor, _) => self.begin(node(Value::Map(Vec::new())), anchor),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => self.done(open.node, open.anchor),
                None => Ok(None),
            },
            Event::Alias(anchor) => {
                let found = self.anchors.get(&anchor).cloned();
                let (known, values) = found.unwrap_or_else(|| (node(Value::Null), 0));
                self.values += values;
                // It stands where it is used.
                self.done(node(known.value), 0)
            }
            _ => Ok(None),
        }
    }

    fn begin(&mut self, node: Node, anchor: usize) -> Result<Option<Node>, MalformedYaml> {
        if self.open.len() >= DEPTH_MAX {
            return Err(wrong(&node, format!("nested more than {DEPTH_MAX} deep")));
        }
        self.open.push(Open {
            node,
            anchor,
            key: None,
        });
        Ok(None)
    }

    fn done(&mut self, node: Node, anchor: usize) -> Result<Option<Node>, MalformedYaml> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(wrong(&node, format!("more than {VALUES_MAX} values")));
        }
        if anchor > 0 {
            let size = size(&node);
            if self.open.len() + depth(&node) > DEPTH_MAX {
                return Err(wrong(&node, format!("nested more than {DEPTH_MAX} deep")));
            }
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(open) = self.open.last_mut() else {
            return Ok(Some(node));
        };
        match (&mut open.node.value, open.key.take()) {
            (Value::List(entries), _) => entries.push(node),
            (Value::Map(entries), Some(key)) => entries.push((key, node)),
            (Value::Map(entries), None) => {
                if entries.iter().any(|(known, _)| known.value == node.value) {
                    return Err(wrong(&node, "this key stands there twice"));
                }
                open.key = Some(node);
            }
            _ => {}
        }
        Ok(None)
    }
}

fn scalar(text: &str, as_text: bool) -> Value {
    if as_text {
        return Value::Text(text.to_owned());
    }
    if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    let hexadecimal = text
        .strip_prefix("0x")
        .map(|digits| i64::from_str_radix(digits, 16));
    if let Ok(number) = hexadecimal.unwrap_or_else(|| text.parse()) {
        return Value::Integer(number);
    }
    let truth = ["true", "false", "yes", "no", "on", "off"];
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    if truth.contains(&text.to_lowercase().as_str()) || numeric && text.parse::<f64>().is_ok() {
        return Value::Other(text.to_owned());
    }
    Value::Text(text.to_owned())
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(entries) => entries.iter().map(size).sum(),
        Value::Map(entries) => entries
            .iter()
            .map(|(key, value)| size(key) + size(value))
            .sum(),
        _ => 0,
    }
}

fn depth(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(entries) => entries.iter().map(depth).max().unwrap_or(0),
        Value::Map(entries) => {
            let deepest = entries
                .iter()
                .map(|(key, value)| depth(key).max(depth(value)));
            deepest.max().unwrap_or(0)
        }
        _ => 0,
    }
}

fn wrong(node: &Node, problem: impl Into<String>) -> MalformedYaml {
    MalformedYaml {
        line: node.line,
        column: node.column,
        problem: problem.into(),
    }
}

fn scan_error(error: &ScanError) -> MalformedYaml {
    MalformedYaml {
        line: error.marker().line(),
        column: error.marker().col() + 1,
        problem: error.info().to_owned(),
    }
}

impl std::fmt::Display for MalformedYaml {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (line, column) = (self.line, self.column);
        write!(out, "line {line}, column {column}: {}", self.problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        parse(text).unwrap().value
    }

    #[test]
    fn scalars_are_what_they_look_like() {
        assert_eq!(value("12"), Value::Integer(12));
        assert_eq!(value("0x1f"), Value::Integer(31));
        assert_eq!(value("-3"), Value::Integer(-3));
        assert_eq!(value("~"), Value::Null);
        for text in ["\"12\"", "!!str 12", "0.5.0", "all", "GPU-12"] {
            assert!(matches!(value(text), Value::Text(_)), "{text}");
        }
        for text in ["1.5", "true", "yes"] {
            assert_eq!(value(text), Value::Other(text.into()));
        }
    }

    #[test]
    fn values_know_their_place_and_anchors_are_filled_in() {
        let root = parse("a: &x\n  - 1\nb: *x\n").unwrap();
        let Value::Map(entries) = &root.value else {
            panic!("{root:?}")
        };
        assert_eq!((entries[1].0.line, entries[1].0.column), (3, 1));
        assert_eq!(entries[0].1.value, entries[1].1.value);
        assert_eq!((entries[1].1.line, entries[1].1.column), (3, 4));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let wrong = |text: &str| parse(text).unwrap_err().to_string();
        assert_eq!(wrong(""), "line 1, column 1: the file is empty");
        assert_eq!(
            wrong("a: 1\na: 2\n"),
            "line 2, column 1: this key stands there twice"
        );
        assert!(
            wrong("a: [1\nb").starts_with("line "),
            "{}",
            wrong("a: [1\nb")
        );
    }

    #[test]
    fn neither_depth_nor_repetition_does_harm() {
        let deep = parse(&"[".repeat(100_000)).unwrap_err();
        assert!(deep.line == 1, "{deep}");
        let deep: String = (0..200)
            .map(|depth| format!("{}a:\n", " ".repeat(depth)))
            .collect();
        assert!(parse(&deep).unwrap_err().problem.contains("nested"));
        let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let again = vec![format!("*a{}", n - 1); 9].join(", ");
            laughs += &format!("a{n}: &a{n} [{again}]\n");
        }
        assert!(parse(&laughs).unwrap_err().problem.contains("values"));
    }
}
