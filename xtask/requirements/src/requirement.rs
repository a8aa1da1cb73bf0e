//! One requirement in the notation of PEP 508: name, extras, versions or URL,
//! marker. Written out again it is the same requirement in one form.
//!
//! A reader of our own: the grammar is small, and the crate for it takes longer
//! to compile than the rest of this tool.

use std::{collections::BTreeSet, fmt, str::FromStr};

use pep440_rs::{VersionSpecifier, VersionSpecifiers};

use super::{
    marker::Marker,
    marker_reader,
    name::{is_name, normalized},
};
use crate::wrong::Wrong;

/// What a line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// Normalised.
    pub name: String,
    /// Normalised.
    pub extras: BTreeSet<String>,
    pub wanted: Wanted,
    /// When it is asked for; `None` for always.
    pub marker: Option<Marker>,
}

/// Which of a distribution's files will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// All that satisfy these; none of them means any version.
    Versions(VersionSpecifiers),
    /// This one.
    Url(String),
}

/// Reads `NAME [EXTRAS] VERSIONS ; MARKER` or `NAME [EXTRAS] @ URL ; MARKER`.
pub fn parse(text: &str) -> Result<Requirement, Wrong> {
    let mut reader = Reader { text, at: 0 };
    reader.skip_blanks();
    let at = reader.at;
    let name = reader.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if !is_name(name) {
        return Err(Wrong::new(at, "does not start with a package name"));
    }
    reader.skip_blanks();
    let extras = reader.extras()?;
    reader.skip_blanks();
    let wanted = if reader.eat('@') {
        reader.url()?
    } else {
        reader.versions()?
    };
    reader.skip_blanks();
    let marker = if reader.eat(';') {
        let offset = reader.at;
        let marker = marker_reader::parse(&text[offset..]).map_err(|wrong| Wrong {
            offset: offset + wrong.offset,
            ..wrong
        });
        Some(marker?)
    } else if reader.rest().is_empty() {
        None
    } else {
        return Err(Wrong::new(
            reader.at,
            "has something after the package name that is not a version",
        ));
    };
    Ok(Requirement {
        name: normalized(name),
        extras,
        wanted,
        marker,
    })
}

/// Reads versions alone, `>=1.0,<2`; none for an empty text.
pub fn parse_versions(text: &str) -> Result<VersionSpecifiers, Wrong> {
    if text.trim().is_empty() {
        return Ok(VersionSpecifiers::empty());
    }
    let mut offset = 0;
    let mut versions = Vec::new();
    for part in text.split(',') {
        let blanks = part.len() - part.trim_start().len();
        let version = VersionSpecifier::from_str(part.trim())
            .map_err(|error| Wrong::new(offset + blanks, one_line(part, &error.to_string())))?;
        versions.push(version);
        offset += part.len() + 1;
    }
    Ok(versions.into_iter().collect())
}

/// A fragment about the whole requirement gets its subject; one that quotes a
/// part of it has its own.
pub fn sentence(why: &str) -> String {
    match why.starts_with('`') {
        true => why.to_owned(),
        false => format!("it {why}"),
    }
}

/// The library's messages may draw; only their first line is a sentence.
fn one_line(part: &str, error: &str) -> String {
    let first = error.lines().next().unwrap_or_default();
    format!(
        "`{}` is not a version: {}",
        diagnostics::excerpt::excerpt(part),
        diagnostics::excerpt::harmless(first, 160)
    )
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        self.take_while(char::is_whitespace);
    }

    fn eat(&mut self, letter: char) -> bool {
        let found = self.rest().starts_with(letter);
        if found {
            self.at += letter.len_utf8();
        }
        found
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn extras(&mut self) -> Result<BTreeSet<String>, Wrong> {
        let mut extras = BTreeSet::new();
        let open = self.at;
        if !self.eat('[') {
            return Ok(extras);
        }
        loop {
            self.skip_blanks();
            if extras.is_empty() && self.eat(']') {
                return Ok(extras);
            }
            let at = self.at;
            let extra = self.take_while(|c| !c.is_whitespace() && !matches!(c, ',' | ']' | '['));
            if !is_name(extra) {
                return Err(Wrong::new(at, "has an extra that is not a name"));
            }
            extras.insert(normalized(extra));
            self.skip_blanks();
            if self.eat(']') {
                return Ok(extras);
            }
            if !self.eat(',') {
                return Err(Wrong::new(open, "has a bracket that is not closed"));
            }
        }
    }

    /// A URL ends at a blank, since it may hold a `;` itself.
    fn url(&mut self) -> Result<Wanted, Wrong> {
        self.skip_blanks();
        let at = self.at;
        let url = self.take_while(|c| !c.is_whitespace());
        if url.is_empty() || url.starts_with(';') {
            return Err(Wrong::new(at, "has no URL after the `@`"));
        }
        if let Some(bad) = url.find(char::is_control) {
            return Err(Wrong::new(at + bad, "has a URL with a control character"));
        }
        Ok(Wanted::Url(url.to_owned()))
    }

    fn versions(&mut self) -> Result<Wanted, Wrong> {
        let open = self.at;
        let in_brackets = self.eat('(');
        let at = self.at;
        let end = if in_brackets { ')' } else { ';' };
        let text = self.take_while(|c| c != end);
        if in_brackets && !self.eat(')') {
            return Err(Wrong::new(open, "has a bracket that is not closed"));
        }
        let versions = parse_versions(text).map_err(|wrong| Wrong {
            offset: at + wrong.offset,
            ..wrong
        })?;
        Ok(Wanted::Versions(versions))
    }
}

impl Requirement {
    /// The requirement without its marker, as lists hold it.
    pub fn spec(&self) -> String {
        let mut out = self.name.clone();
        if !self.extras.is_empty() {
            let extras: Vec<&str> = self.extras.iter().map(String::as_str).collect();
            out.push_str(&format!("[{}]", extras.join(",")));
        }
        match &self.wanted {
            Wanted::Versions(versions) => out.push_str(&render(versions)),
            Wanted::Url(url) => out.push_str(&format!(" @ {url}")),
        }
        out
    }
}

/// `>=1.0,<2`; nothing for any version.
pub fn render(versions: &VersionSpecifiers) -> String {
    let parts: Vec<String> = versions
        .iter()
        .map(|version| version.to_string().replace(' ', ""))
        .collect();
    parts.join(",")
}

impl fmt::Display for Requirement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.spec())?;
        match &self.marker {
            Some(marker) => write!(out, " ; {marker}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_have_one_form() {
        for (text, form) in [
            ("PyZMQ", "pyzmq"),
            ("numpy >= 1.24.0 , < 2", "numpy>=1.24.0,<2"),
            ("numpy (>=1.24,!=1.25.*)", "numpy>=1.24,!=1.25.*"),
            ("xformers>=0.0.22.post7", "xformers>=0.0.22.post7"),
            ("googletrans==4.0.0-rc1", "googletrans==4.0.0rc1"),
            ("a~=1.4.2", "a~=1.4.2"),
            ("a==1.0+cu118", "a==1.0+cu118"),
            ("a===1.0", "a===1.0"),
            (
                "uvicorn [Standard, http_2]>=1",
                "uvicorn[http-2,standard]>=1",
            ),
            ("a[]", "a"),
            (
                "A.b @ https://x.org/a;b.zip#sha256=0 ; extra=='x'",
                "a-b @ https://x.org/a;b.zip#sha256=0 ; extra == \"x\"",
            ),
            (
                "a@git+https://${TOKEN}@x.org/a",
                "a @ git+https://${TOKEN}@x.org/a",
            ),
            ("a;python_version<'3'", "a ; python_version < \"3\""),
        ] {
            let requirement = parse(text).expect(text);
            assert_eq!(requirement.to_string(), form);
            assert_eq!(parse(form).as_ref(), Ok(&requirement), "{form}");
        }
    }

    #[test]
    fn what_is_no_requirement_is_told_with_its_place() {
        for (text, offset, message) in [
            ("", 0, "does not start with a package name"),
            ("-a", 0, "does not start with a package name"),
            ("a-", 0, "does not start with a package name"),
            ("é", 0, "does not start with a package name"),
            ("a\0", 1, "`\\u{0}` is not a version"),
            ("RUN python", 4, "`python` is not a version"),
            ("a=1.0", 1, "`=1.0` is not a version"),
            ("a>=1,", 5, "`` is not a version"),
            ("a>=1,<b", 5, "`<b` is not a version"),
            ("a (>=1", 2, "has a bracket that is not closed"),
            ("a (>=1) b", 8, "has something after the package name"),
            ("a[b", 1, "has a bracket that is not closed"),
            ("a[b,]", 4, "has an extra that is not a name"),
            ("a[é]", 2, "has an extra that is not a name"),
            ("a @ ; b", 4, "has no URL after the `@`"),
            ("a ; b", 4, "`b`"),
            ("a @ x\u{1}y", 5, "has a URL with a control character"),
        ] {
            let wrong = parse(text).expect_err(text);
            assert_eq!(wrong.offset, offset, "{text}: {wrong:?}");
            assert!(
                wrong.message.starts_with(message),
                "{text}: {}",
                wrong.message
            );
        }
    }
}
