//! Reads TOML tables field by field and collects every problem with its place:
//! wrong types, missing fields, unknown keys. Known are the keys of the table's
//! `shape`; without one, those that are asked for.
//!
//! A deliberate choice over deriving serde's `Deserialize`: serde stops at the
//! first problem, and its `untagged` and `flatten` lose the place of the rest.
//! Knows nothing about the manifest's fields; `manifest` does.

use std::collections::BTreeSet;

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

pub use super::at::At;
use super::{
    problem::{Problems, Span},
    shape::{Section, Table},
    value::{Node, list, string, table},
};
use crate::names::{nearest, suggestion};

/// Keys whose value could not be used; reported already. A check that would
/// judge such a key by its default keeps silent instead.
pub type Broken = BTreeSet<&'static str>;

/// The fields of one table. `finish` must be called, or unknown keys and
/// missing fields go unnoticed.
#[derive(Debug)]
pub struct Fields<'v, 'p> {
    /// The table in messages, ``agent `X` ``.
    owner: String,
    /// The table's name, where missing fields are reported.
    at: Span,
    /// What was not asked for yet, in the order of the file.
    left: Vec<(&'v Spanned<DeString<'v>>, &'v Spanned<DeValue<'v>>)>,
    /// What may be asked for; `None` if that is anything.
    shape: Option<&'static Table>,
    /// What was asked for.
    known: Vec<&'static str>,
    missing: Vec<(&'static str, String)>,
    broken: Broken,
    /// Keys that belong elsewhere, with the remedy.
    misplaced: Vec<(&'static Section, String)>,
    problems: &'p mut Problems,
}

impl<'v, 'p> Fields<'v, 'p> {
    /// The fields of `table`, which messages call `owner`.
    pub fn new(
        problems: &'p mut Problems,
        owner: impl Into<String>,
        at: Span,
        table: &'v DeTable<'v>,
    ) -> Self {
        let mut left: Vec<_> = table.iter().collect();
        left.sort_by_key(|(key, _)| key.span().start);
        Fields {
            owner: owner.into(),
            at,
            left,
            shape: None,
            known: Vec::new(),
            missing: Vec::new(),
            broken: Broken::new(),
            misplaced: Vec::new(),
            problems,
        }
    }

    /// Makes the fields of `shape` the only ones that there are.
    pub fn of(mut self, shape: &'static Table) -> Self {
        self.shape = Some(shape);
        self
    }

    /// Whether the table has such a field; what it has not stays unknown, even
    /// if it is asked for.
    fn has(&mut self, key: &'static str) -> bool {
        let Some(shape) = self.shape else { return true };
        let has = shape.field(key).is_some();
        if !has {
            let path = shape.path;
            self.problems
                .stray(format!("`{path}` has no field `{key}`, but it is read"));
        }
        has
    }

    /// The field `key`, if it is there and `decode` accepts it.
    pub fn optional<T>(
        &mut self,
        key: &'static str,
        decode: impl FnOnce(&mut Problems, Node<'v>) -> Option<T>,
    ) -> Option<At<T>> {
        if !self.has(key) {
            return None;
        }
        self.known.push(key);
        let index = self
            .left
            .iter()
            .position(|(name, _)| name.get_ref() == key)?;
        let (_, value) = self.left.remove(index);
        let field = self.shape.and_then(|shape| shape.field(key));
        let node = Node::new(key, value).of(field.map(|field| &field.kind));
        let decoded = decode(self.problems, node).map(|value| At {
            at: node.at(),
            value,
        });
        if decoded.is_none() {
            self.broken.insert(key);
        }
        decoded
    }

    /// The field `key`; its absence is a problem.
    pub fn required<T>(
        &mut self,
        key: &'static str,
        decode: impl FnOnce(&mut Problems, Node<'v>) -> Option<T>,
    ) -> Option<At<T>> {
        self.required_or(key, format!("add `{key} = ...`"), decode)
    }

    /// As `required`, with a remedy of its own.
    pub fn required_or<T>(
        &mut self,
        key: &'static str,
        help: String,
        decode: impl FnOnce(&mut Problems, Node<'v>) -> Option<T>,
    ) -> Option<At<T>> {
        let there = self.left.iter().any(|(name, _)| name.get_ref() == key);
        if !there && self.shape.is_none_or(|shape| shape.field(key).is_some()) {
            self.missing.push((key, help));
        }
        self.optional(key, decode)
    }

    /// The fields of the table `key`; its absence is a problem.
    pub fn table<T>(
        &mut self,
        key: &'static str,
        decode: impl Fn(Fields<'v, '_>) -> T,
    ) -> Option<T> {
        let owner = format!("`[{key}]`");
        let help = format!("add a table {owner}");
        let decode = record(&owner, |fields| Some(decode(fields)));
        self.required_or(key, help, decode).map(|table| table.value)
    }

    /// The elements of the list `key`; none if it is absent.
    pub fn list<T>(
        &mut self,
        key: &'static str,
        element: impl Fn(&mut Problems, Node<'v>) -> Option<T>,
    ) -> Vec<At<T>> {
        self.optional(key, list(element))
            .map(|list| list.value)
            .unwrap_or_default()
    }

    /// All entries of the table of tables `key`, in the order of the file.
    pub fn tables<T>(
        &mut self,
        key: &'static str,
        kind: &str,
        decode: impl Fn(At<String>, Fields<'v, '_>) -> T,
    ) -> Vec<T> {
        let entries = self.optional(key, |problems, node| {
            let table = table(problems, node)?;
            Some(named_tables(problems, table, kind, decode))
        });
        entries.map(|entries| entries.value).unwrap_or_default()
    }

    /// The table of strings `key`, in the order of the file.
    pub fn strings(&mut self, key: &'static str) -> Vec<(At<String>, At<String>)> {
        let entries = self.optional(key, |problems, node| {
            let mut entries: Vec<_> = table(problems, node)?.iter().collect();
            entries.sort_by_key(|(name, _)| name.span().start);
            let mut strings = Vec::new();
            for (name, value) in entries {
                let node = Node::new(name.get_ref(), value);
                if let Some(text) = string(problems, node) {
                    strings.push((
                        owned(name),
                        At {
                            at: node.at(),
                            value: text,
                        },
                    ));
                }
            }
            Some(strings)
        });
        entries.map(|entries| entries.value).unwrap_or_default()
    }

    /// Says what to do with the fields of `section`, which belong elsewhere.
    pub fn misplaced(&mut self, section: &'static Section, help: String) {
        self.misplaced.push((section, help));
    }

    /// Reports what is left over and what is missing.
    pub fn finish(mut self) -> Broken {
        let fields = self.shape.into_iter().flat_map(Table::fields);
        for field in fields.filter(|field| !self.known.contains(&field.key)) {
            let stray = format!(
                "{} has a field `{}` that nothing reads",
                self.owner, field.key
            );
            self.problems.stray(stray);
        }
        for (key, _) in &self.left {
            let name: &str = key.get_ref();
            let misplaced = self.misplaced.iter().find(|(section, _)| section.has(name));
            let help = match misplaced {
                Some((_, help)) => help.clone(),
                None => suggestion(name, "keys", &self.known),
            };
            if misplaced.is_none()
                && let Some(meant) = nearest(name, self.known.iter().copied())
                && let Some(&meant) = self.known.iter().find(|known| **known == meant)
            {
                // A typing error is one problem, not also a missing field.
                self.missing.retain(|(missing, _)| *missing != meant);
                self.broken.insert(meant);
            }
            let message = format!("unknown key `{name}` in {}", self.owner);
            self.problems.report(&key.span(), message, help);
        }
        for (key, help) in self.missing {
            self.broken.insert(key);
            self.problems
                .report(&self.at, format!("{} has no `{key}`", self.owner), help);
        }
        self.broken
    }
}

fn owned(key: &Spanned<DeString<'_>>) -> At<String> {
    At {
        at: key.span(),
        value: key.get_ref().to_string(),
    }
}

fn named_tables<'v, T>(
    problems: &mut Problems,
    table_of_tables: &'v DeTable<'v>,
    kind: &str,
    decode: impl Fn(At<String>, Fields<'v, '_>) -> T,
) -> Vec<T> {
    let mut entries: Vec<_> = table_of_tables.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    let mut decoded = Vec::new();
    for (name, value) in entries {
        let node = Node::new(name.get_ref(), value);
        if let Some(table) = table(problems, node) {
            let name = owned(name);
            let owner = format!("{kind} `{}`", name.value);
            let fields = Fields::new(problems, owner, name.at.clone(), table);
            decoded.push(decode(name, fields));
        }
    }
    decoded
}

/// A table's fields, for inline tables.
pub fn record<'v, T>(
    kind: &str,
    decode: impl Fn(Fields<'v, '_>) -> Option<T>,
) -> impl Fn(&mut Problems, Node<'v>) -> Option<T> {
    move |problems, node| {
        let table = table(problems, node)?;
        decode(Fields::new(problems, kind, node.at(), table))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            shape::{Absent, Field, ValueKind},
            value::{boolean, ranged},
        },
        *,
    };

    static TABLE: Table = Table {
        path: "table",
        title: "`[table]`",
        sections: &[&Section {
            id: "table",
            about: "a table",
            fields: &[
                field("count", ValueKind::Integer(2..=4)),
                field("flag", ValueKind::Boolean),
            ],
        }],
        rules: &[],
    };

    const fn field(key: &'static str, kind: ValueKind) -> Field {
        Field {
            key,
            kind,
            absent: Absent::Required,
            meaning: "a meaning",
            example: "1",
        }
    }

    /// Messages, and what the reader and the table disagree about.
    fn read(text: &str, decode: impl FnOnce(&mut Fields<'_, '_>)) -> (Vec<String>, Vec<String>) {
        let document = DeTable::parse(text).expect("TOML");
        let mut problems = Problems::default();
        let mut fields = Fields::new(&mut problems, "it", 0..0, document.get_ref()).of(&TABLE);
        decode(&mut fields);
        fields.finish();
        let told = problems.iter().map(|problem| problem.message.clone());
        (told.collect(), problems.strays().to_vec())
    }

    #[test]
    fn a_key_that_the_table_has_not_is_unknown_even_if_it_is_asked_for() {
        let (told, strays) = read("count = 3\nflag = true\nold = 1", |fields| {
            assert_eq!(
                fields.required("count", ranged).map(|at| at.value),
                Some(3_u8)
            );
            assert!(fields.optional("flag", boolean).is_some());
            assert!(fields.optional::<u8>("old", ranged).is_none());
            assert!(fields.required::<u8>("older", ranged).is_none());
        });
        assert_eq!(told, ["unknown key `old` in it"]);
        assert_eq!(
            strays,
            [
                "`table` has no field `old`, but it is read",
                "`table` has no field `older`, but it is read"
            ]
        );
    }

    #[test]
    fn a_field_that_nothing_reads_is_noticed() {
        let (told, strays) = read("count = 5\nflag = true", |fields| {
            assert!(fields.optional::<u8>("count", ranged).is_none());
        });
        assert_eq!(
            told,
            [
                "`count` is 5, which is out of range",
                "unknown key `flag` in it"
            ]
        );
        assert_eq!(strays, ["it has a field `flag` that nothing reads"]);
    }
}
