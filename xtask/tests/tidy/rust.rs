//! As much of Rust's grammar as the rules need: where comments, strings and
//! tests are, and what `use` brings in.

use std::ops::Range;

/// What `code` leaves of a source.
#[derive(Clone, Copy, PartialEq)]
pub enum Keep {
    /// Comments become blanks.
    Strings,
    /// Comments and the insides of strings become blanks.
    Code,
}

/// The source with lines and columns as they were, less what is blanked.
pub fn code(text: &str, keep: Keep) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut out = letters.clone();
    let mut at = 0;
    let mut blank = |from: usize, to: usize| {
        for letter in &mut out[from..to] {
            if *letter != '\n' {
                *letter = ' ';
            }
        }
    };
    while at < letters.len() {
        let rest = &letters[at..];
        let end = if rest.starts_with(&['/', '/']) {
            let end = at + rest.iter().position(|c| *c == '\n').unwrap_or(rest.len());
            blank(at, end);
            end
        } else if rest.starts_with(&['/', '*']) {
            let end = at + block_comment(rest);
            blank(at, end);
            end
        } else if let Some((inside, length)) = string(rest, at.checked_sub(1).map(|at| letters[at]))
        {
            if keep == Keep::Code {
                blank(at + inside.start, at + inside.end);
            }
            at + length
        } else if rest[0] == '\'' {
            at + character(rest)
        } else {
            at + 1
        };
        at = end.max(at + 1).min(letters.len());
    }
    out.into_iter().collect()
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(&['/', '*']) {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with(&['*', '/']) {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// The inside, and the length of all, of the string that starts here.
fn string(rest: &[char], before: Option<char>) -> Option<(Range<usize>, usize)> {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let hashes = match rest[0] {
        'r' if !in_word => rest[1..].iter().take_while(|c| **c == '#').count(),
        '"' => {
            let mut at = 1;
            while at < rest.len() && rest[at] != '"' {
                at += if rest[at] == '\\' { 2 } else { 1 };
            }
            let end = at.min(rest.len());
            return Some((1..end, (end + 1).min(rest.len())));
        }
        _ => return None,
    };
    if rest.get(1 + hashes) != Some(&'"') {
        return None;
    }
    let open = 2 + hashes;
    let mut close = vec!['"'];
    close.extend(std::iter::repeat_n('#', hashes));
    let inside = rest[open..].windows(close.len()).position(|w| w == close);
    let end = inside.map_or(rest.len(), |inside| open + inside);
    Some((open..end, (end + close.len()).min(rest.len())))
}

/// Length of a character literal, or 1 for the tick of a lifetime.
fn character(rest: &[char]) -> usize {
    match rest {
        ['\'', '\\', _, tail @ ..] => 3 + tail.iter().position(|c| *c == '\'').map_or(0, |p| p + 1),
        ['\'', _, '\'', ..] => 3,
        _ => 1,
    }
}

/// Blanks the items behind `#[cfg(test)]`; `code` has no comments or strings.
pub fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = code.to_owned();
    while let Some(start) = out.find(MARK) {
        let rest = &out[start..];
        let mut depth = 0;
        let end = rest
            .char_indices()
            .skip(MARK.len())
            .find(|(_, letter)| {
                match letter {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                depth == 0 && matches!(letter, '}' | ';')
            })
            .map_or(rest.len(), |(at, letter)| at + letter.len_utf8());
        let blank: String = rest[..end]
            .chars()
            .map(|letter| if letter == '\n' { '\n' } else { ' ' })
            .collect();
        out.replace_range(start..start + end, &blank);
    }
    out
}

/// Line and full path of everything that `use` brings in, and of every path
/// that is written out from `crate` or `std`.
pub fn paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let line = |at: usize| code[..at].matches('\n').count() + 1;
    let mut at = 0;
    while let Some(next) = next_word(code, at) {
        let (start, word) = next;
        at = start + word.len();
        if word == "use" {
            let end = code[at..].find(';').map_or(code.len(), |end| at + end);
            expand(code[at..end].trim(), "", &mut |path| {
                found.push((line(start), path))
            });
            at = end;
        } else if matches!(word, "crate" | "std" | "super") {
            let rest: String = code[start..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':'))
                .collect();
            at = start + rest.len();
            found.push((line(start), rest.trim_end_matches(':').to_owned()));
        }
    }
    found
}

fn next_word(code: &str, from: usize) -> Option<(usize, &str)> {
    let letter = |c: char| c.is_alphanumeric() || c == '_';
    let start = from + code[from..].find(letter)?;
    let end = code[start..]
        .find(|c| !letter(c))
        .map_or(code.len(), |end| start + end);
    Some((start, &code[start..end]))
}

/// `a::{b, c::{d, e as f}}` gives `a::b`, `a::c::d`, `a::c::e`.
fn expand(tree: &str, prefix: &str, give: &mut dyn FnMut(String)) {
    let tree = tree.trim();
    let Some((head, group)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or(tree).trim();
        if !path.is_empty() {
            give(format!("{prefix}{path}"));
        }
        return;
    };
    let prefix = format!("{prefix}{}", head.trim());
    let group = group.trim_end().strip_suffix('}').unwrap_or(group);
    let (mut depth, mut start) = (0, 0);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&group[start..at], &prefix, give);
                start = at + 1;
            }
            _ => {}
        }
    }
    expand(&group[start..], &prefix, give);
}

#[test]
fn comments_and_strings_are_blanked() {
    let text = "a // b\n\"c\\\" d\" 'e' /* f /* g */ h */ i r#\"j \" k\"# l<'m> '\\'' n \"{o}\"";
    assert_eq!(
        code(text, Keep::Code),
        "a     \n\"     \" 'e'                   i r#\"     \"# l<'m> '\\'' n \"   \""
    );
    let strings = code(text, Keep::Strings);
    assert!(strings.contains("\"c\\\" d\"") && !strings.contains('b') && !strings.contains('g'));
    assert_eq!(code("\"open", Keep::Code).len(), 5);
    assert_eq!(code("for r in x", Keep::Code), "for r in x");
}

#[test]
fn tests_are_blanked_to_their_last_brace() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { {} }\n}\nfn c() {}\n#[cfg(test)]\nmod d;\nfn e() {}";
    let left = without_tests(text);
    let words: Vec<&str> = left.split_whitespace().collect();
    assert_eq!(words.join(" "), "fn a() {} fn c() {} fn e() {}");
    assert_eq!(left.lines().count(), text.lines().count());
}

#[test]
fn use_trees_are_unfolded() {
    let text =
        "use std::{fs, io::{self, Read as R}};\npub use super::x;\nfn f() { crate::a::b(); }";
    let found = paths(text);
    let expected = [
        (1, "std::fs"),
        (1, "std::io::self"),
        (1, "std::io::Read"),
        (2, "super::x"),
        (3, "crate::a::b"),
    ];
    assert_eq!(found, expected.map(|(line, path)| (line, path.to_owned())));
}
