//! Bytes of a requirements file become logical lines: decoded, continued lines
//! joined, comments removed. Each knows where its characters stood.
//!
//! Follows pip (`req_file`) in what ends a line, what a comment is and how lines
//! are continued. Knows nothing about what the lines say.

use std::borrow::Cow;

/// A decoded file.
#[derive(Debug, Default)]
pub struct Text {
    /// Without the empty ones.
    pub lines: Vec<Line>,
    /// The first place that could not be decoded.
    pub undecodable: Option<Undecodable>,
}

/// Bytes that are no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecodable {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The first of them; `None` for half a UTF-16 character.
    pub byte: Option<u8>,
    /// Number of such places in the file.
    pub count: usize,
}

/// What stands on one line, or on several that backslashes join.
#[derive(Debug)]
pub struct Line {
    /// Never empty; neither starts nor ends with a blank.
    pub text: String,
    pieces: Vec<Piece>,
}

/// From `offset` on, the text stands at `line` and `column`.
#[derive(Debug, Clone, Copy)]
struct Piece {
    offset: usize,
    line: usize,
    column: usize,
}

impl Line {
    /// Line and column, both from 1, of the character at byte `offset`.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let after = self.pieces.partition_point(|piece| piece.offset <= offset);
        let piece = self.pieces[after.saturating_sub(1)];
        let mut end = offset.clamp(piece.offset, self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let before = self.text.get(piece.offset..end).unwrap_or("");
        (piece.line, piece.column + before.chars().count())
    }
}

/// Reads all lines. Never fails: what cannot be decoded becomes U+FFFD.
pub fn read(bytes: &[u8]) -> Text {
    let (text, bad) = decode(bytes);
    let undecodable = bad.map(|(offset, byte, count)| {
        let before = &text[..offset];
        let start = before.rfind(['\n', '\r']).map_or(0, |at| at + 1);
        Undecodable {
            line: line_ends(before) + 1,
            column: before[start..].chars().count() + 1,
            byte,
            count,
        }
    });
    Text {
        lines: join(&text),
        undecodable,
    }
}

/// `\r\n` is one end.
fn line_ends(text: &str) -> usize {
    let bytes = text.as_bytes();
    let ends = |(at, byte): (usize, &u8)| match byte {
        b'\n' => at == 0 || bytes[at - 1] != b'\r',
        b'\r' => true,
        _ => false,
    };
    bytes.iter().enumerate().filter(|at| ends(*at)).count()
}

/// Where the first undecodable place is in the decoded text, its first byte,
/// and how many there are.
type Bad = Option<(usize, Option<u8>, usize)>;

fn decode(bytes: &[u8]) -> (Cow<'_, str>, Bad) {
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => decode_utf8(rest),
        // Some shells of Windows write what they redirect like this.
        [0xFF, 0xFE, rest @ ..] => decode_utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => decode_utf16(rest, u16::from_be_bytes),
        _ => decode_utf8(bytes),
    }
}

fn decode_utf8(bytes: &[u8]) -> (Cow<'_, str>, Bad) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return (text.into(), None);
    }
    let mut text = String::with_capacity(bytes.len());
    let mut bad: Bad = None;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if let Some(byte) = chunk.invalid().first() {
            bad.get_or_insert((text.len(), Some(*byte), 0)).2 += 1;
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    (text.into(), bad)
}

fn decode_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> (Cow<'_, str>, Bad) {
    let pairs = bytes.chunks_exact(2);
    let odd = !pairs.remainder().is_empty();
    let units = pairs.map(|pair| unit([pair[0], pair[1]]));
    let mut text = String::with_capacity(bytes.len() / 2);
    let mut bad: Bad = None;
    for decoded in char::decode_utf16(units) {
        text.push(decoded.unwrap_or_else(|_| {
            bad.get_or_insert((text.len(), None, 0)).2 += 1;
            char::REPLACEMENT_CHARACTER
        }));
    }
    if odd {
        bad.get_or_insert((text.len(), None, 0)).2 += 1;
        text.push(char::REPLACEMENT_CHARACTER);
    }
    (text.into(), bad)
}

/// Joins continued lines, then removes comments and blanks.
fn join(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut joined = String::new();
    let mut pieces: Vec<Piece> = Vec::new();
    for (line, column, physical) in physical_lines(text) {
        let comment = is_comment(physical);
        let continued = physical.ends_with('\\') && !comment;
        let mut piece = Piece {
            offset: joined.len(),
            line,
            column,
        };
        if comment && !pieces.is_empty() {
            // Without a blank before it, it would be part of what it follows.
            joined.push(' ');
            piece.offset += 1;
        }
        pieces.push(piece);
        joined.push_str(if continued {
            physical.trim_end_matches('\\')
        } else {
            physical
        });
        if !continued {
            lines.extend(stripped(&joined, &pieces));
            joined.clear();
            pieces.clear();
        }
    }
    lines.extend(stripped(&joined, &pieces));
    lines
}

/// A comment starts at the line's start or behind a blank.
fn stripped(joined: &str, pieces: &[Piece]) -> Option<Line> {
    let comment = joined.match_indices('#').map(|(at, _)| at).find(|at| {
        let before = joined[..*at].chars().next_back();
        before.is_none_or(char::is_whitespace)
    });
    let text = joined[..comment.unwrap_or(joined.len())].trim_end();
    let start = text.len() - text.trim_start().len();
    if text.len() == start {
        return None;
    }
    let shifted = pieces.iter().enumerate().filter_map(|(index, piece)| {
        let next = pieces.get(index + 1).map_or(usize::MAX, |next| next.offset);
        let skipped = start.saturating_sub(piece.offset);
        let blanks = joined.get(piece.offset..piece.offset + skipped);
        (next > start).then(|| Piece {
            offset: piece.offset.saturating_sub(start),
            line: piece.line,
            column: piece.column + blanks.map_or(0, |blanks| blanks.chars().count()),
        })
    });
    Some(Line {
        pieces: shifted.collect(),
        text: text[start..].to_owned(),
    })
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

/// Line, column and text of everything between line ends. Python also ends
/// lines where editors do not; such a part keeps the line's number.
fn physical_lines(text: &str) -> impl Iterator<Item = (usize, usize, &str)> {
    let (mut rest, mut line, mut column) = (Some(text), 1, 1);
    std::iter::from_fn(move || {
        let whole = rest?;
        let found = line_end(whole);
        let item = (
            line,
            column,
            &whole[..found.map_or(whole.len(), |(at, _)| at)],
        );
        rest = found.map(|(at, end)| {
            let behind = &whole[at + end.len_utf8()..];
            if matches!(end, '\n' | '\r') {
                line += 1;
                column = 1;
            } else {
                column += item.2.chars().count() + 1;
            }
            match end {
                '\r' => behind.strip_prefix('\n').unwrap_or(behind),
                _ => behind,
            }
        });
        Some(item)
    })
}

/// The first character that ends a line, and where it is.
fn line_end(text: &str) -> Option<(usize, char)> {
    // Bytes first: nearly all of a file is nothing of the kind.
    let first = |byte: u8| matches!(byte, b'\n'..=b'\r' | 0x1c..=0x1e | 0xc2 | 0xe2);
    let mut from = 0;
    loop {
        let at = from + text.as_bytes()[from..].iter().position(|b| first(*b))?;
        let letter = text[at..].chars().next()?;
        if !matches!(letter, '\u{80}'..) || matches!(letter, '\u{85}' | '\u{2028}' | '\u{2029}') {
            return Some((at, letter));
        }
        from = at + letter.len_utf8();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<(String, usize, usize)> {
        let text = read(bytes);
        let line = |line: Line| {
            let (row, column) = line.position(0);
            (line.text, row, column)
        };
        text.lines.into_iter().map(line).collect()
    }

    fn texts(bytes: &[u8]) -> Vec<String> {
        lines(bytes).into_iter().map(|(text, ..)| text).collect()
    }

    #[test]
    fn every_kind_of_line_end_counts() {
        let expected = [("a", 1, 1), ("b", 2, 1), ("c", 3, 1), ("d", 5, 2)];
        let expected = expected.map(|(text, line, column)| (text.to_owned(), line, column));
        assert_eq!(lines(b"a\nb\rc\r\n\r\n d "), expected);
        assert_eq!(
            lines("a\u{c}b\u{2028} c\nd".as_bytes()),
            [("a", 1, 1), ("b", 1, 3), ("c", 1, 6), ("d", 2, 1)].map(|(text, line, column)| (
                text.to_owned(),
                line,
                column
            ))
        );
    }

    #[test]
    fn comments_need_a_blank_before_them() {
        assert_eq!(
            texts(b"a # x\nb#egg=c\n# d\n\t#e\nf\t#\n"),
            ["a", "b#egg=c", "f"]
        );
    }

    #[test]
    fn backslashes_join_lines() {
        assert_eq!(
            texts(b"a \\\n  ==1 \\\r\n --hash=x # c\nb\\\n"),
            ["a   ==1  --hash=x", "b"]
        );
        // A comment goes on to the end of its line, and ends what it follows.
        assert_eq!(texts(b"# a\\\nb\nc \\\n# d\\\ne"), ["b", "c", "e"]);
        assert_eq!(texts(b"a\\\n#b\nc"), ["a", "c"]);
        assert_eq!(texts(b"\\\n\\\n"), Vec::<String>::new());
    }

    #[test]
    fn positions_are_those_of_the_file() {
        let text = read("  é \\\n   b==1\n".as_bytes());
        let line = &text.lines[0];
        assert_eq!(line.text, "é    b==1");
        assert_eq!(line.position(0), (1, 3));
        assert_eq!(line.position(line.text.find('b').unwrap()), (2, 4));
        assert_eq!(line.position(1), (1, 3));
        assert_eq!(line.position(900), (2, 8));
    }

    #[test]
    fn blank_lines_that_are_joined_keep_the_place() {
        let text = read(b" \\\n \\\n  b");
        assert_eq!(text.lines[0].position(0), (3, 3));
    }

    #[test]
    fn byte_order_marks_are_no_text() {
        assert_eq!(texts(b"\xEF\xBB\xBFa"), ["a"]);
        assert_eq!(texts(b"\xFF\xFEa\0\n\0b\0"), ["a", "b"]);
        assert_eq!(texts(b"\xFE\xFF\0a\0\n\0b"), ["a", "b"]);
    }

    #[test]
    fn undecodable_bytes_are_placed() {
        let text = read(b"a\r\n# caf\xE9 \xFF\nb");
        assert_eq!(text.lines.len(), 2);
        let expected = Undecodable {
            line: 2,
            column: 6,
            byte: Some(0xE9),
            count: 2,
        };
        assert_eq!(text.undecodable, Some(expected));
        let half = read(b"\xFF\xFEa\0\x00\xD8b");
        assert_eq!(
            half.undecodable.map(|bad| (bad.byte, bad.count)),
            Some((None, 2))
        );
    }
}
