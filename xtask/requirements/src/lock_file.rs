//! Lock files: what is installed, version by version and hash by hash.
//!
//! Pure. Reads what this tool writes and what uv writes by itself; writes one
//! form only, so that equal locks are equal bytes. Nothing of the machine that
//! made a lock is in it: no folder, no address of an index, no time.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use pep440_rs::Version;
use sha2::{Digest, Sha256};

use super::name::{is_name, normalized};

/// The first line of every lock of this tool.
const MADE_BY: &str =
    "Made by `cargo xtask split-requirements`, which also renews it; edits are lost.";
/// How far an address in a message is shown, in characters.
const SHOWN_MAX: usize = 60;

/// A lock as it stands in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockFile {
    pub header: Header,
    /// By name.
    pub pins: Vec<Pin>,
    /// Digest of everything below the header, as it was read.
    pub found: String,
}

/// What the comment at the top says. A lock that uv wrote by itself has none of
/// it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// `3.11`
    pub python: Option<String>,
    /// `x86_64-manylinux_2_28`
    pub platform: Option<String>,
    /// Digest of everything that the lock was made from; in the joint lock.
    pub inputs: Option<String>,
    /// Digest of everything below the header.
    pub content: Option<String>,
    /// Digests of the locks that were made together with it; in the joint lock.
    pub others: BTreeMap<String, String>,
}

/// One installed package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Normalised.
    pub name: String,
    pub release: Release,
    /// `sha256:…`, sorted.
    pub hashes: BTreeSet<String>,
    /// Who asks for it: packages, `-r FILE`, and `-c FILE` for who limits it.
    pub via: BTreeSet<String>,
    /// From 1.
    pub line: usize,
}

/// Which file of a package is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Release {
    Version(Version),
    /// The list asks for exactly this address.
    Url(String),
}

/// Why a text is no lock file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// From 1.
    pub line: usize,
    /// A lower-case fragment.
    pub message: String,
}

/// Names of the packages in a lock, normalised. A lock that is no lock has some
/// of them all the same: whether it is one, `LockFile::parse` tells, which looks
/// at every hash and costs more than the rest of a scan.
pub fn names(text: &str) -> impl Iterator<Item = String> + '_ {
    let pins = text
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_alphanumeric()));
    pins.map(|line| {
        let end = line.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c));
        normalized(&line[..end.unwrap_or(line.len())])
    })
}

impl LockFile {
    /// Reads a lock.
    ///
    /// # Errors
    /// At the first line that no lock has: an option, a requirement without an
    /// exact version, the marks of a merge that was not finished.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let body_at = body_start(text);
        let header = Header::parse(&text[..body_at]);
        let mut pins: Vec<Pin> = Vec::new();
        let before = text[..body_at].lines().count();
        for (index, line) in text[body_at..].lines().enumerate() {
            let number = before + index + 1;
            let wrong = |message: String| Malformed {
                line: number,
                message,
            };
            let bare = line.trim_end().trim_end_matches('\\').trim();
            if bare.is_empty() {
                continue;
            }
            let indented = line.starts_with([' ', '\t']);
            if !indented && !bare.starts_with('#') {
                pins.push(Pin::parse(bare, number).map_err(wrong)?);
                continue;
            }
            let Some(pin) = pins.last_mut() else {
                // A remark between header and first pin.
                if bare.starts_with('#') {
                    continue;
                }
                return Err(wrong(format!("`{}` belongs to no package", shown(bare))));
            };
            if let Some(comment) = bare.strip_prefix('#') {
                pin.annotate(comment.trim());
            } else {
                pin.add_hash(bare).map_err(wrong)?;
            }
        }
        pins.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(LockFile {
            header,
            pins,
            found: digest(&text[body_at..]),
        })
    }

    /// A lock of these pins; `render` completes the header.
    pub fn new(header: Header, mut pins: Vec<Pin>) -> Self {
        pins.sort_by(|a, b| a.name.cmp(&b.name));
        LockFile {
            header,
            pins,
            found: String::new(),
        }
    }

    /// The pin of a package; `name` is normalised.
    pub fn pin(&self, name: &str) -> Option<&Pin> {
        self.pins.iter().find(|pin| pin.name == name)
    }

    /// Nobody has changed it since it was made, as far as can be told.
    pub fn is_as_made(&self) -> bool {
        let content = self.header.content.as_ref();
        content.is_none_or(|content| *content == self.found)
    }

    /// The file, its content's digest in its header.
    pub fn render(&self) -> String {
        let body: String = self.pins.iter().map(Pin::render).collect();
        let mut out = format!("# {MADE_BY}\n");
        let header = &self.header;
        let content = Some(digest(&body));
        let fields = [
            ("python", &header.python),
            ("platform", &header.platform),
            ("inputs", &header.inputs),
            ("content", &content),
        ];
        for (key, value) in fields {
            if let Some(value) = value {
                out.push_str(&format!("# {key}: {value}\n"));
            }
        }
        for (file, digest) in &header.others {
            out.push_str(&format!("# {file}: {digest}\n"));
        }
        out + &body
    }
}

impl Header {
    fn parse(text: &str) -> Self {
        let mut header = Header::default();
        for line in text.lines() {
            let Some((key, value)) = line.trim_start_matches('#').trim().split_once(": ") else {
                continue;
            };
            let value = value.trim().to_owned();
            match key {
                "python" => header.python = Some(value),
                "platform" => header.platform = Some(value),
                "inputs" => header.inputs = Some(value),
                "content" => header.content = Some(value),
                file if file.ends_with(".lock") => {
                    header.others.insert(file.to_owned(), value);
                }
                _ => {}
            }
        }
        header
    }
}

impl Pin {
    /// `NAME==VERSION` or `NAME @ URL`, with or without extras and marker.
    fn parse(text: &str, line: usize) -> Result<Self, String> {
        // Hashes may stand on the same line.
        let (head, hashes) = text
            .find(" --hash")
            .map_or((text, ""), |at| text.split_at(at));
        let no_pin = || format!("`{}` is not a package with an exact version", shown(head));
        let (name, release) = if let Some((name, url)) = head.split_once(" @ ") {
            let url = url.split(" ;").next().unwrap_or(url).trim();
            (name, Release::Url(url.to_owned()))
        } else {
            let (name, version) = head.split_once("==").ok_or_else(no_pin)?;
            let version = version.split(';').next().unwrap_or(version).trim();
            let version = Version::from_str(version.trim_start_matches('='))
                .map_err(|_| format!("`{}` is not a version", shown(version)))?;
            (name, Release::Version(version))
        };
        let name = name.split('[').next().unwrap_or(name).trim();
        if !is_name(name) {
            return Err(no_pin());
        }
        let mut pin = Pin {
            name: normalized(name),
            release,
            hashes: BTreeSet::new(),
            via: BTreeSet::new(),
            line,
        };
        for option in hashes.split_whitespace() {
            pin.add_hash(option)?;
        }
        Ok(pin)
    }

    fn add_hash(&mut self, option: &str) -> Result<(), String> {
        let hash = option.strip_prefix("--hash=").unwrap_or(option);
        let good = hash.split_once(':').is_some_and(|(kind, hex)| {
            let letters = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric());
            !kind.is_empty() && !hex.is_empty() && letters(kind) && letters(hex)
        });
        if !good || hash == option {
            return Err(format!("`{}` is not a hash", shown(option)));
        }
        self.hashes.insert(hash.to_owned());
        Ok(())
    }

    /// `via x`, or one of the lines below a `via` of its own.
    fn annotate(&mut self, comment: &str) {
        let who = match comment.strip_prefix("via") {
            Some(rest) if rest.is_empty() || rest.starts_with(' ') => rest.trim(),
            _ => comment,
        };
        let whos = who.split(", ").map(str::trim).filter(|who| !who.is_empty());
        self.via.extend(whos.map(str::to_owned));
    }

    fn render(&self) -> String {
        let mut out = format!("{}{}", self.name, self.release);
        for hash in &self.hashes {
            out.push_str(&format!(" \\\n    --hash={hash}"));
        }
        out.push('\n');
        match self.via.len() {
            0 => {}
            1 => out.extend(self.via.iter().map(|who| format!("    # via {who}\n"))),
            _ => {
                out.push_str("    # via\n");
                out.extend(self.via.iter().map(|who| format!("    #   {who}\n")));
            }
        }
        out
    }
}

impl Release {
    /// `None` where an address stands for the version.
    pub fn version(&self) -> Option<&Version> {
        match self {
            Release::Version(version) => Some(version),
            Release::Url(_) => None,
        }
    }
}

impl fmt::Display for Release {
    /// What stands behind the name: `==1.0`, ` @ https://…`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Release::Version(version) => write!(out, "=={version}"),
            Release::Url(url) => write!(out, " @ {url}"),
        }
    }
}

/// `sha256:…` of a text.
pub fn digest(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Behind the comment at the top.
fn body_start(text: &str) -> usize {
    let header = text
        .split_inclusive('\n')
        .take_while(|line| line.starts_with('#'));
    header.map(str::len).sum()
}

fn shown(text: &str) -> String {
    diagnostics::excerpt::excerpt(&text.chars().take(SHOWN_MAX).collect::<String>())
}

#[cfg(test)]
mod tests;
