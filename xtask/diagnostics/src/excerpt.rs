//! Text of others made safe for a terminal: agents, builds and files hold what
//! they like.

/// Longest quotation of a file in a message, in characters.
const EXCERPT_MAX: usize = 72;

/// A line of a file as messages quote it: short, and harmless to a terminal.
pub fn excerpt(text: &str) -> String {
    harmless(text, EXCERPT_MAX)
}

/// At most `limit` characters of `text`, none of which moves a cursor.
pub fn harmless(text: &str, limit: usize) -> String {
    let mut out = String::new();
    for (count, letter) in text.trim().chars().enumerate() {
        if count == limit {
            out.push('…');
            break;
        }
        if letter.is_control() || is_unseen(letter) {
            out.extend(letter.escape_default());
        } else {
            out.push(letter);
        }
    }
    out
}

/// Changes how the letters around it are shown or read, and cannot be seen: marks
/// of direction, letters without width, fillers, tags.
fn is_unseen(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// A line without what could move the cursor or change colours of a terminal:
/// agents and builds write what they like.
pub fn printable(line: &str) -> String {
    let shown = line.trim_end().chars().map(|c| match c {
        '\t' => ' ',
        c if c.is_control() || is_unseen(c) => '\u{fffd}',
        c => c,
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_short_and_harmless() {
        assert_eq!(excerpt("  a\u{1b}[31m\0b "), "a\\u{1b}[31m\\u{0}b");
        assert_eq!(excerpt(&"x".repeat(200)).chars().count(), EXCERPT_MAX + 1);
        assert_eq!(excerpt("a\u{202e}b"), "a\\u{202e}b");
    }

    #[test]
    fn what_a_terminal_would_obey_is_not_printed() {
        assert_eq!(printable("a\tb\x1b[2Jc\r\n"), "a b\u{fffd}[2Jc");
    }

    #[test]
    fn nor_is_what_turns_text_around_or_hides_in_it() {
        for unseen in [
            '\u{202e}',
            '\u{2066}',
            '\u{200b}',
            '\u{200f}',
            '\u{feff}',
            '\u{e0041}',
        ] {
            assert_eq!(printable(&format!("a{unseen}b")), "a\u{fffd}b");
            assert!(!excerpt(&format!("a{unseen}b")).contains(unseen));
        }
        for seen in ["ä", "日本", "عربى", "👍", "e\u{301}"] {
            assert_eq!(printable(seen), seen);
        }
    }
}
