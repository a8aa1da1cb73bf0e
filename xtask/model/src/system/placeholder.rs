//! `{port}` and its like in commands, arguments and environment values.
//!
//! Only a lower-case word in braces is a placeholder, so that JSON passes
//! untouched; `{{word}}` stands for the text `{word}`.

/// The names that can stand in braces.
pub const KNOWN: [&str; 4] = ["port", "health_port", "name", "script"];

/// `text` with every placeholder replaced by what `value` says; placeholders
/// it does not know stay as they are (`unknown` reports them).
pub fn fill<'v>(text: &str, value: impl Fn(&str) -> Option<&'v str>) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Literal(word) => {
                out.push('{');
                out.push_str(word);
                out.push('}');
            }
            Piece::Placeholder(word) => match value(word) {
                Some(value) => out.push_str(value),
                None => {
                    out.push('{');
                    out.push_str(word);
                    out.push('}');
                }
            },
        }
    }
    out
}

/// The placeholders in `text` that do not exist.
pub fn unknown(text: &str) -> Vec<&str> {
    pieces(text)
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Placeholder(word) if !KNOWN.contains(&word) => Some(word),
            _ => None,
        })
        .collect()
}

#[derive(Debug, PartialEq)]
enum Piece<'t> {
    Text(&'t str),
    /// `{{word}}`
    Literal(&'t str),
    /// `{word}`
    Placeholder(&'t str),
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut plain = text;
    while let Some(open) = rest.find('{') {
        let from = &rest[open..];
        let found = match enclosed(from, "{{", "}}") {
            Some((word, length)) => Some((Piece::Literal(word), length)),
            None => enclosed(from, "{", "}").map(|(word, len)| (Piece::Placeholder(word), len)),
        };
        match found {
            Some((piece, length)) => {
                let before = &plain[..plain.len() - from.len()];
                if !before.is_empty() {
                    pieces.push(Piece::Text(before));
                }
                pieces.push(piece);
                rest = &from[length..];
                plain = rest;
            }
            None => rest = &from[1..],
        }
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    pieces
}

/// The word between `open` and `close` at the start of `text`, and the length
/// of all three.
fn enclosed<'t>(text: &'t str, open: &str, close: &str) -> Option<(&'t str, usize)> {
    let inner = text.strip_prefix(open)?;
    let end = inner.find(|c: char| !(c.is_ascii_lowercase() || c == '_'))?;
    let word = &inner[..end];
    (!word.is_empty() && inner[end..].starts_with(close))
        .then_some((word, open.len() + end + close.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> String {
        fill(text, |word| (word == "port").then_some("7120"))
    }

    #[test]
    fn placeholders_are_replaced_and_json_is_not() {
        assert_eq!(filled("--port={port}"), "--port=7120");
        assert_eq!(filled("{port}{port}"), "71207120");
        assert_eq!(filled(r#"{"port": {port}}"#), r#"{"port": 7120}"#);
        assert_eq!(filled("{{port}}"), "{port}");
        assert_eq!(filled("${HOME} {} { port } {"), "${HOME} {} { port } {");
        assert_eq!(filled("{nope}"), "{nope}");
        assert_eq!(filled(""), "");
    }

    #[test]
    fn unknown_placeholders_are_named() {
        assert_eq!(
            unknown("{port} {prot} {{prot}} {\"a\": 1} {helth}"),
            ["prot", "helth"]
        );
    }
}
