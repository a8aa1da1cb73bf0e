//! Splits the words behind a verb into options and operands. Strict: an option
//! that the verb's list does not hold is a panic.

use std::collections::BTreeSet;

#[derive(Debug)]
pub struct Options {
    values: Vec<(String, String)>,
    flags: BTreeSet<String>,
    /// What stands behind the last option.
    pub operands: Vec<String>,
}

/// Options end at the first operand; `valued` ones take the next word.
pub fn parse(args: &[String], valued: &[&str], flags: &[&str]) -> Options {
    let mut options = Options {
        values: Vec::new(),
        flags: BTreeSet::new(),
        operands: Vec::new(),
    };
    let mut words = args.iter();
    while let Some(word) = words.next() {
        if valued.contains(&word.as_str()) {
            let value = words
                .next()
                .unwrap_or_else(|| panic!("{word} has no value"));
            options.values.push((word.clone(), value.clone()));
        } else if flags.contains(&word.as_str()) {
            options.flags.insert(word.clone());
        } else {
            assert!(!word.starts_with('-'), "unknown option {word} in {args:?}");
            options.operands.push(word.clone());
            options.operands.extend(words.by_ref().cloned());
        }
    }
    options
}

impl Options {
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values
            .iter()
            .filter(move |(option, _)| option == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn one(&self, name: &str) -> Option<&str> {
        let mut all = self.all(name);
        let value = all.next();
        assert!(all.next().is_none(), "{name} is given twice");
        value
    }

    pub fn has(&self, flag: &str) -> bool {
        self.flags.contains(flag)
    }

    /// `NAME=VALUE` options as pairs.
    pub fn pairs(&self, name: &str) -> impl Iterator<Item = (String, String)> {
        self.all(name).map(|pair| {
            let (name, value) = pair.split_once('=').expect("NAME=VALUE");
            (name.to_owned(), value.to_owned())
        })
    }

    /// Exactly so many operands, none of which looks like an option.
    pub fn exactly<const N: usize>(&self) -> [&str; N] {
        let words: Vec<&str> = self.operands.iter().map(String::as_str).collect();
        assert!(words.iter().all(|word| !word.starts_with('-')), "{words:?}");
        words
            .try_into()
            .unwrap_or_else(|words| panic!("{N} operands, not {words:?}"))
    }
}
