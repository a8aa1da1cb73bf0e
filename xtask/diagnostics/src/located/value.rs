//! Single TOML values: what they must be, and what is said if they are not.
//!
//! Knows no table and no field of the manifest; `reader` walks tables with it.

use std::ops::RangeInclusive;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    at::At,
    problem::{Problems, Span, one_of},
    shape::ValueKind,
};

/// A value with the name it goes by in messages.
#[derive(Debug, Clone, Copy)]
pub struct Node<'v> {
    key: &'v str,
    element: bool,
    value: &'v Spanned<DeValue<'v>>,
    /// What it must be, if its table says so.
    kind: Option<&'static ValueKind>,
}

impl<'v> Node<'v> {
    /// `value`, which messages call `key`.
    pub fn new(key: &'v str, value: &'v Spanned<DeValue<'v>>) -> Self {
        Node {
            key,
            element: false,
            value,
            kind: None,
        }
    }

    /// Says what the value must be.
    pub fn of(self, kind: Option<&'static ValueKind>) -> Self {
        Node { kind, ..self }
    }

    /// Where the value stands.
    pub fn at(&self) -> Span {
        self.value.span()
    }

    /// Whether it is a whole number of any size.
    pub fn is_integer(&self) -> bool {
        self.value.get_ref().is_integer()
    }

    /// Whether it is a table, in one line or under a header.
    pub fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    fn name(&self) -> String {
        let of = if self.element { "an element of " } else { "" };
        format!("{of}`{}`", self.key)
    }

    /// Reports that the value is not `wanted`, and returns nothing.
    fn wrong<T>(&self, problems: &mut Problems, wanted: &str) -> Option<T> {
        let found = match self.value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let help = match (wanted, self.value.get_ref()) {
            ("a string", DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_)) => {
                "put the value in quotes".to_owned()
            }
            ("a list", _) => "put the value in brackets: `[...]`".to_owned(),
            _ => format!("write {wanted}"),
        };
        problems.report(
            &self.at(),
            format!("{} must be {wanted}, but is {found}", self.name()),
            help,
        );
        None
    }
}

/// Any text without null bytes, which no command line can carry.
pub fn string(problems: &mut Problems, node: Node<'_>) -> Option<String> {
    match node.value.get_ref() {
        DeValue::String(text) if text.contains('\0') => {
            problems.report(
                &node.at(),
                format!("{} holds a null byte", node.name()),
                "no program can be given one; remove it",
            );
            None
        }
        DeValue::String(text) => Some(text.to_string()),
        _ => node.wrong(problems, "a string"),
    }
}

/// A text that is not empty.
pub fn text(problems: &mut Problems, node: Node<'_>) -> Option<String> {
    let text = string(problems, node)?;
    if text.trim().is_empty() {
        problems.report(
            &node.at(),
            format!("{} is empty", node.name()),
            "write some text",
        );
        return None;
    }
    Some(text)
}

/// `true` or `false`.
pub fn boolean(problems: &mut Problems, node: Node<'_>) -> Option<bool> {
    match node.value.get_ref() {
        DeValue::Boolean(value) => Some(*value),
        _ => node.wrong(problems, "`true` or `false`"),
    }
}

/// A whole number inside `range`.
pub fn integer<T: TryFrom<u64>>(
    range: RangeInclusive<u64>,
) -> impl Fn(&mut Problems, Node<'_>) -> Option<T> {
    move |problems, node| {
        let DeValue::Integer(digits) = node.value.get_ref() else {
            return node.wrong(problems, "an integer");
        };
        let number = i128::from_str_radix(digits.as_str(), digits.radix()).ok();
        let inside = number.and_then(|number| u64::try_from(number).ok());
        let inside = inside.filter(|number| range.contains(number));
        let value = inside.and_then(|number| T::try_from(number).ok());
        if value.is_none() {
            let (first, last) = (range.start(), range.end());
            problems.report(
                &node.at(),
                format!("{} is {digits}, which is out of range", node.name()),
                format!("write a number from {first} to {last}"),
            );
        }
        value
    }
}

/// A whole number inside the range that its table has for it.
pub fn ranged<T: TryFrom<u64>>(problems: &mut Problems, node: Node<'_>) -> Option<T> {
    let range = match node.kind {
        Some(ValueKind::Integer(range)) => range.clone(),
        _ => 0..=u64::MAX,
    };
    integer(range)(problems, node)
}

/// A number inside the limits that its table has for it.
pub fn number(problems: &mut Problems, node: Node<'_>) -> Option<f64> {
    let (above, to) = match node.kind {
        Some(ValueKind::Number { above, to }) => (*above, *to),
        _ => (f64::MIN, f64::MAX),
    };
    let digits = match node.value.get_ref() {
        DeValue::Float(digits) => digits.as_str(),
        DeValue::Integer(digits) if digits.radix() == 10 => digits.as_str(),
        _ => return node.wrong(problems, "a number"),
    };
    match digits.parse::<f64>() {
        Ok(number) if number > above && number <= to => Some(number),
        _ => {
            let message = format!("{} is {digits}, which is out of range", node.name());
            problems.report(
                &node.at(),
                message,
                format!("write a number greater than {above}, at most {to}"),
            );
            None
        }
    }
}

/// One of a few words.
pub fn choice<T: Copy + 'static>(
    words: &'static [(&'static str, T)],
) -> impl Fn(&mut Problems, Node<'_>) -> Option<T> {
    move |problems, node| {
        let word = string(problems, node)?;
        let found = words.iter().find(|(known, _)| *known == word);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(known, _)| *known).collect();
            let message = format!("{} cannot be `{word}`", node.name());
            problems.report(&node.at(), message, one_of(&known));
        }
        found.map(|(_, value)| *value)
    }
}

/// A text that `parse` understands; its error is message and help.
pub fn parsed<T>(
    parse: impl Fn(&str) -> Result<T, (String, String)>,
) -> impl Fn(&mut Problems, Node<'_>) -> Option<T> {
    move |problems, node| match parse(&string(problems, node)?) {
        Ok(value) => Some(value),
        Err((message, help)) => {
            problems.report(&node.at(), format!("{} {message}", node.name()), help);
            None
        }
    }
}

/// A list; elements that `element` refuses are left out.
pub fn list<'v, T>(
    element: impl Fn(&mut Problems, Node<'v>) -> Option<T>,
) -> impl Fn(&mut Problems, Node<'v>) -> Option<Vec<At<T>>> {
    move |problems, node| {
        let DeValue::Array(values) = node.value.get_ref() else {
            return node.wrong(problems, "a list");
        };
        let kind = match node.kind {
            Some(ValueKind::List { of, .. }) => Some(*of),
            _ => None,
        };
        let mut decoded = Vec::new();
        for value in values.iter() {
            let node = Node {
                element: true,
                value,
                kind,
                ..node
            };
            if let Some(value) = element(problems, node) {
                decoded.push(At {
                    at: node.at(),
                    value,
                });
            }
        }
        Some(decoded)
    }
}

/// The table itself; `reader` reads its fields.
pub fn table<'v>(problems: &mut Problems, node: Node<'v>) -> Option<&'v DeTable<'v>> {
    match node.value.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => node.wrong(problems, "a table"),
    }
}
