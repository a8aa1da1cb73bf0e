//! The bytes of a source file as text, as CPython 3.11 reads them.
//!
//! UTF-8 unless one of the first two lines declares something else (PEP 263).
//! What an interpreter would refuse to run is an error here too.

mod codec;

use codec::Codec;

use super::facts::SyntaxError;

/// A file above this is refused, in bytes: no one writes such a source, and
/// its tree would take many times as much memory.
pub const BYTES_MAX: u64 = 64 << 20;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// The text of a file, without a byte order mark. Its line ends are left as
/// they are.
pub fn decode(mut bytes: Vec<u8>) -> Result<String, SyntaxError> {
    if bytes.len() as u64 > BYTES_MAX {
        return Err(at_start(too_large()));
    }
    let mark = bytes.starts_with(BOM);
    if mark {
        bytes.drain(..BOM.len());
    }
    let codec = match declared(&bytes) {
        None => None,
        Some((line, name)) => {
            let wrong = |message| SyntaxError {
                line,
                column: 1,
                message,
            };
            let plain = codec::plain(&name);
            if mark && plain != "utf-8" {
                let message =
                    format!("the file is UTF-8 by its byte order mark, but declares {plain}");
                return Err(wrong(message));
            }
            Codec::named(&plain).map_err(|error| wrong(error.to_string()))?
        }
    };
    let text = match codec {
        None => utf8(bytes)?,
        Some(codec) => codec
            .decode(&bytes)
            .map_err(|bad| at(&bytes[..bad.at], bad.message))?,
    };
    match text.find('\0') {
        Some(place) => Err(at(&text.as_bytes()[..place], "null byte".to_owned())),
        None => Ok(text),
    }
}

/// What is said about a file above [`BYTES_MAX`].
pub fn too_large() -> String {
    format!(
        "larger than {} MiB, too large for a source file",
        BYTES_MAX >> 20
    )
}

fn utf8(bytes: Vec<u8>) -> Result<String, SyntaxError> {
    String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let byte = bytes.get(place).copied().unwrap_or_default();
        let message = format!("byte 0x{byte:02x} is not UTF-8, and nothing else is declared");
        at(&bytes[..place], message)
    })
}

/// The declared encoding, and the line it stands in.
fn declared(bytes: &[u8]) -> Option<(u32, String)> {
    let (first, rest) = cut_line(bytes);
    if let Some(name) = cookie(first) {
        return Some((1, name));
    }
    // Only a comment or nothing may stand above a declaration.
    let blank = first
        .iter()
        .find(|byte| !matches!(**byte, b' ' | b'\t' | b'\x0c'));
    if !matches!(blank, None | Some(b'#')) {
        return None;
    }
    cookie(cut_line(rest).0).map(|name| (2, name))
}

/// A line without its end, and what follows.
fn cut_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
        return (bytes, &[]);
    };
    let long = bytes[end..].starts_with(b"\r\n");
    (&bytes[..end], &bytes[end + 1 + usize::from(long)..])
}

/// `coding: NAME` or `coding=NAME` in a comment that is alone on its line.
fn cookie(line: &[u8]) -> Option<String> {
    let start = line
        .iter()
        .position(|byte| !matches!(byte, b' ' | b'\t' | b'\x0c'))?;
    let comment = &line[start..];
    if !comment.starts_with(b"#") {
        return None;
    }
    let word = b"coding";
    let after = comment
        .windows(word.len())
        .enumerate()
        .filter(|(_, part)| part == word);
    after
        .map(|(at, _)| &comment[at + word.len()..])
        .find_map(|rest| {
            let rest = rest
                .strip_prefix(b":")
                .or_else(|| rest.strip_prefix(b"="))?;
            let blank = |byte: &&u8| matches!(**byte, b' ' | b'\t');
            let letter =
                |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(**byte, b'-' | b'_' | b'.');
            let rest = &rest[rest.iter().take_while(blank).count()..];
            let name: Vec<u8> = rest.iter().take_while(letter).copied().collect();
            String::from_utf8(name).ok().filter(|name| !name.is_empty())
        })
}

/// An error behind `before`, where each byte that is not UTF-8 counts as one
/// character.
fn at(before: &[u8], message: String) -> SyntaxError {
    let line = before
        .iter()
        .rposition(|byte| matches!(byte, b'\n' | b'\r'));
    let start = line.map_or(0, |end| end + 1);
    let ends = before[..start]
        .iter()
        .enumerate()
        .filter(|(at, byte)| match byte {
            b'\n' => true,
            b'\r' => before.get(at + 1) != Some(&b'\n'),
            _ => false,
        });
    let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
    SyntaxError {
        line: u32::try_from(ends.count() + 1).unwrap_or(u32::MAX),
        column: u32::try_from(column).unwrap_or(u32::MAX),
        message,
    }
}

fn at_start(message: String) -> SyntaxError {
    SyntaxError {
        line: 1,
        column: 1,
        message,
    }
}

#[cfg(test)]
mod tests;
