//! What the tables of a TOML file may hold, as data: their keys, of which kind
//! the values are, what holds without them, and what they mean.
//!
//! `reader` goes by it, and documents and schemas are made from it. Knows no
//! file in particular.

use std::ops::RangeInclusive;

/// A table of the file.
#[derive(Debug)]
pub struct Table {
    /// Its keys from the top, with names in capitals: `groups.NAME`. Of what is
    /// written in one line the last one alone.
    pub path: &'static str,
    /// What it is called in a sentence.
    pub title: &'static str,
    /// Its fields. Several tables may have a section in common.
    pub sections: &'static [&'static Section],
    /// What its fields ask of each other.
    pub rules: &'static [Rule],
}

/// Fields that are explained together.
#[derive(Debug)]
pub struct Section {
    /// The short name that it is found by.
    pub id: &'static str,
    /// What it is, as the rest of a headline.
    pub about: &'static str,
    pub fields: &'static [Field],
}

/// A key of a table and all that is known of it. Texts are Markdown.
#[derive(Debug)]
pub struct Field {
    pub key: &'static str,
    pub kind: ValueKind,
    /// What holds where it is not given.
    pub absent: Absent,
    pub meaning: &'static str,
    /// A value as TOML; the header of a table.
    pub example: &'static str,
}

/// What a value must be.
#[derive(Debug)]
pub enum ValueKind {
    Boolean,
    /// A whole number.
    Integer(RangeInclusive<u64>),
    /// A number greater than the one and up to the other.
    Number {
        above: f64,
        to: f64,
    },
    /// A text, even an empty one.
    String,
    /// A text that is not empty; the word says what it is.
    Text(&'static str),
    /// A text that a regular expression is true of.
    Pattern {
        noun: &'static str,
        regex: &'static str,
    },
    Words(&'static [&'static str]),
    /// A list of at least so many.
    List {
        of: &'static ValueKind,
        least: usize,
    },
    Table(&'static Table),
    /// A table of tables, each under a name of its own.
    Tables {
        names: Names,
        of: &'static Table,
    },
    /// A table of values, each under a name of its own.
    Entries {
        names: Names,
        of: &'static ValueKind,
    },
    Either(&'static [ValueKind]),
}

/// The names that the user gives to tables and values.
#[derive(Debug)]
pub enum Names {
    Any,
    Pattern(&'static str),
    Words(&'static [&'static str]),
}

/// What holds where a field is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// It has to be given.
    Required,
    Nothing,
    /// This value, as TOML.
    Value(&'static str),
    /// What these words say.
    Otherwise(&'static str),
    /// It has to be given in the cases that these words say.
    Sometimes(&'static str),
}

/// What the fields of one table ask of each other.
#[derive(Debug)]
pub enum Rule {
    NotTogether(&'static str, &'static str),
    ExactlyOne(&'static str, &'static str),
    /// The first only where one of the others is.
    Needs(&'static str, &'static [&'static str]),
    /// Where the list has the word, there is the field.
    WordNeeds {
        list: &'static str,
        word: &'static str,
        field: &'static str,
    },
    /// One of all the fields, and no other.
    OneField,
    /// Where the boolean is true, the lists are empty.
    Instead {
        flag: &'static str,
        lists: &'static [&'static str],
    },
}

impl Table {
    /// All its fields, in the order of the documents.
    pub fn fields(&self) -> impl Iterator<Item = &'static Field> {
        self.sections
            .iter()
            .flat_map(|section| section.fields.iter())
    }

    /// The field of that key.
    pub fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields().find(|field| field.key == key)
    }
}

impl Section {
    /// Whether one of its fields has that key.
    pub fn has(&self, key: &str) -> bool {
        self.fields.iter().any(|field| field.key == key)
    }
}

impl Field {
    /// Whether it is written as a table with a header of its own, as in its
    /// example: `[a.b]`, and not `[{ a = 1 }]`.
    pub fn is_header(&self) -> bool {
        let header = self.example.starts_with('[') && !self.example.contains('{');
        header && self.kind.table().is_some()
    }
}

impl ValueKind {
    /// In a few words: `list of paths`.
    pub fn name(&self) -> String {
        match self {
            ValueKind::Boolean => "boolean".to_owned(),
            ValueKind::Integer(_) => "integer".to_owned(),
            ValueKind::Number { .. } => "number".to_owned(),
            ValueKind::String => "text".to_owned(),
            ValueKind::Text(noun) | ValueKind::Pattern { noun, .. } => (*noun).to_owned(),
            ValueKind::Words(_) => "word".to_owned(),
            ValueKind::List { of, .. } => format!("list of {}s", of.name()),
            ValueKind::Table(_) => "table".to_owned(),
            ValueKind::Tables { .. } => "tables".to_owned(),
            ValueKind::Entries { .. } => "table of strings".to_owned(),
            ValueKind::Either(kinds) => {
                let kinds: Vec<String> = kinds.iter().map(ValueKind::name).collect();
                kinds.join(" or ")
            }
        }
    }

    /// As the table of a document has it: with limits, if they are short.
    pub fn words(&self) -> String {
        match self {
            // Of larger ones nobody needs to know the end.
            ValueKind::Integer(range) if *range.end() <= 65_535 && range.start() < range.end() => {
                format!("{}–{}", range.start(), range.end())
            }
            _ => self.name(),
        }
    }

    /// Which values of the kind are allowed, if not all.
    pub fn limits(&self) -> Option<String> {
        match self {
            ValueKind::Integer(range) if range.start() == range.end() => {
                Some(format!("{} only", range.start()))
            }
            ValueKind::Integer(range) => Some(format!("from {} to {}", range.start(), range.end())),
            ValueKind::Number { above, to } => Some(format!("greater than {above}, at most {to}")),
            ValueKind::Words(words) => Some(crate::names::quoted_list(words)),
            ValueKind::List { of, .. } => of.limits(),
            ValueKind::Entries {
                names: Names::Words(words),
                ..
            } => Some(format!("names {}", crate::names::quoted_list(words))),
            ValueKind::Either(kinds) => {
                let limits = kinds
                    .iter()
                    .filter_map(|kind| Some(format!("{} {}", kind.name(), kind.limits()?)));
                let limits: Vec<String> = limits.collect();
                (!limits.is_empty()).then(|| limits.join(", "))
            }
            _ => None,
        }
    }

    /// The table that a value of this kind is, or is made of.
    pub fn table(&self) -> Option<&'static Table> {
        match self {
            ValueKind::Table(table) | ValueKind::Tables { of: table, .. } => Some(table),
            ValueKind::List { of, .. } => of.table(),
            ValueKind::Either(kinds) => kinds.iter().find_map(ValueKind::table),
            _ => None,
        }
    }
}

impl Absent {
    /// As a table of a document has it.
    pub fn words(&self) -> String {
        let number = |value: &str| value.starts_with(|first: char| first.is_ascii_digit());
        match self {
            Absent::Required => "required".to_owned(),
            Absent::Nothing => "–".to_owned(),
            Absent::Value(value) if number(value) => (*value).to_owned(),
            Absent::Value(value) => format!("`{value}`"),
            Absent::Otherwise(words) | Absent::Sometimes(words) => (*words).to_owned(),
        }
    }
}
