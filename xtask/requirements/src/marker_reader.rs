//! Reads environment markers.
//!
//! Knows nothing about what is true; `marker` does.

use diagnostics::excerpt::excerpt;

use super::marker::{Marker, Operand, TESTS, Test, VARIABLES};
use crate::wrong::Wrong;

/// Deeper brackets are nobody's intention.
const DEPTH_MAX: usize = 32;

/// Reads all of `text` as a condition.
pub fn parse(text: &str) -> Result<Marker, Wrong> {
    let mut reader = Reader {
        text,
        at: 0,
        depth: 0,
    };
    let marker = reader.any()?;
    reader.skip_blanks();
    if !reader.rest().is_empty() {
        return Err(reader.wrong("is unexpected in a marker"));
    }
    Ok(marker)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// The word at this place in a message.
    fn wrong(&self, what: &str) -> Wrong {
        let word = self.rest().split_whitespace().next().unwrap_or_default();
        if word.is_empty() {
            return Wrong::new(self.at, "has a marker that is not complete");
        }
        Wrong::new(self.at, format!("`{}` {what}", excerpt(word)))
    }

    fn any(&mut self) -> Result<Marker, Wrong> {
        let mut parts = vec![self.all()?];
        while self.word("or") {
            parts.push(self.all()?);
        }
        Ok(joined(parts, Marker::Or))
    }

    fn all(&mut self) -> Result<Marker, Wrong> {
        let mut parts = vec![self.part()?];
        while self.word("and") {
            parts.push(self.part()?);
        }
        Ok(joined(parts, Marker::And))
    }

    fn part(&mut self) -> Result<Marker, Wrong> {
        self.skip_blanks();
        if !self.rest().starts_with('(') {
            return self.comparison();
        }
        let open = self.at;
        if self.depth == DEPTH_MAX {
            return Err(Wrong::new(open, "has a marker with too many brackets"));
        }
        self.at += 1;
        self.depth += 1;
        let marker = self.any()?;
        self.depth -= 1;
        self.skip_blanks();
        if !self.rest().starts_with(')') {
            return Err(Wrong::new(open, "has a bracket that is not closed"));
        }
        self.at += 1;
        Ok(marker)
    }

    fn comparison(&mut self) -> Result<Marker, Wrong> {
        let left = self.operand()?;
        let test = self.test()?;
        let right = self.operand()?;
        Ok(Marker::Compare { left, test, right })
    }

    fn operand(&mut self) -> Result<Operand, Wrong> {
        self.skip_blanks();
        let rest = self.rest();
        if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '\'' | '"')) {
            let Some(end) = rest[1..].find(quote) else {
                return Err(Wrong::new(
                    self.at,
                    "has a quotation mark that is not closed",
                ));
            };
            self.at += end + 2;
            return Ok(Operand::Text(rest[1..=end].to_owned()));
        }
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.'))
            .unwrap_or(rest.len());
        let word = &rest[..end];
        let variable = VARIABLES.iter().find(|(_, names)| names.contains(&word));
        let Some((variable, _)) = variable else {
            return Err(self.wrong("is not something that a marker can ask about"));
        };
        self.at += end;
        Ok(Operand::Variable(*variable))
    }

    fn test(&mut self) -> Result<Test, Wrong> {
        self.skip_blanks();
        if self.word("in") {
            return Ok(Test::In);
        }
        if self.word("not") {
            return if self.word("in") {
                Ok(Test::NotIn)
            } else {
                Err(self.wrong("should be `in`"))
            };
        }
        let found = TESTS.iter().find(|(text, _)| self.rest().starts_with(text));
        let Some((text, test)) = found else {
            return Err(self.wrong("is not a comparison"));
        };
        self.at += text.len();
        Ok(*test)
    }

    /// Whether `word` comes next, as a word of its own; takes it if so.
    fn word(&mut self, word: &str) -> bool {
        let before = self.at;
        self.skip_blanks();
        let behind = self.rest().strip_prefix(word);
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        let found = behind.is_some_and(|behind| !behind.starts_with(part));
        self.at = if found { self.at + word.len() } else { before };
        found
    }
}

fn joined(mut parts: Vec<Marker>, join: fn(Vec<Marker>) -> Marker) -> Marker {
    match parts.len() {
        1 => parts.remove(0),
        _ => join(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_marker_is_told_with_its_place() {
        for (text, offset, message) in [
            ("", 0, "has a marker that is not complete"),
            ("python_version", 14, "has a marker that is not complete"),
            ("python_version <", 16, "has a marker that is not complete"),
            (
                "python <'3'",
                0,
                "`python` is not something that a marker can ask about",
            ),
            ("python_version is '3'", 15, "`is` is not a comparison"),
            ("python_version not '3'", 18, "`'3'` should be `in`"),
            (
                "python_version < '3",
                17,
                "has a quotation mark that is not closed",
            ),
            ("(os_name == 'a'", 0, "has a bracket that is not closed"),
            (
                "os_name == 'a' os_name",
                15,
                "`os_name` is unexpected in a marker",
            ),
            (
                "os_name == 'a' orextra",
                15,
                "`orextra` is unexpected in a marker",
            ),
        ] {
            let wrong = parse(text).expect_err(text);
            assert_eq!(
                (wrong.offset, wrong.message.as_str()),
                (offset, message),
                "{text}"
            );
        }
        let deep = format!("{}os_name == 'a'", "(".repeat(100_000));
        assert!(parse(&deep).is_err_and(|wrong| wrong.message.contains("too many")));
    }
}
