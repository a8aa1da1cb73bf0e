//! Indentation with tabs, by the rule of CPython.
//!
//! CPython measures each indentation twice, with tabs that lead to the next
//! multiple of 8 and with tabs that count as one space, and refuses lines whose
//! order depends on that. The parser's own rule lets some of them pass.

use ruff_python_ast::token::{TokenKind as T, Tokens};
use ruff_text_size::{Ranged, TextSize};

use super::tokens::Fault;

/// A width with wide tabs, and with narrow ones.
type Width = (usize, usize);

/// Looks at the indentation of every statement of a parsed text.
pub fn check(text: &str, tokens: &Tokens) -> Result<(), Fault> {
    if !text.contains('\t') {
        return Ok(());
    }
    let mut stack: Vec<Width> = vec![(0, 0)];
    // Where the physical line starts, while only its indentation has been seen.
    let mut line = Some(TextSize::new(0));
    for token in tokens.iter() {
        match token.kind() {
            T::Newline => line = Some(token.end()),
            T::NonLogicalNewline => line = line.map(|_| token.end()),
            T::Comment | T::Indent | T::Dedent | T::EndOfFile => {}
            _ => {
                if let Some(start) = line.take() {
                    // A token that the lexer could not read may start early.
                    let rest = &text[start.to_usize()..];
                    let blank = &rest[..rest.len() - rest.trim_start_matches(BLANK).len()];
                    step(&mut stack, width(blank)).map_err(|message| Fault {
                        place: token.start(),
                        message,
                    })?;
                }
            }
        }
    }
    Ok(())
}

/// A line is as wide as the one before, or wider, or as wide as an outer one;
/// and that by either measure.
fn step(stack: &mut Vec<Width>, (wide, narrow): Width) -> Result<(), &'static str> {
    let top = |stack: &[Width]| stack.last().copied().unwrap_or_default();
    if wide > top(stack).0 {
        if narrow <= top(stack).1 {
            return Err(TABS);
        }
        stack.push((wide, narrow));
        return Ok(());
    }
    while wide < top(stack).0 {
        stack.pop();
    }
    match top(stack) {
        (outer, _) if outer != wide => Err("unindent does not match any outer indentation level"),
        (_, outer) if outer != narrow => Err(TABS),
        _ => Ok(()),
    }
}

/// What may stand before a statement, with the parts of a continued line.
const BLANK: [char; 6] = [' ', '\t', '\x0c', '\\', '\r', '\n'];

const TABS: &str = "inconsistent use of tabs and spaces in indentation";

fn width(blank: &str) -> Width {
    let (mut wide, mut narrow) = (0, 0);
    // Where a backslash continues a line that has nothing but indentation yet,
    // the first such indentation counts.
    let mut first = None;
    for letter in blank.chars() {
        match letter {
            ' ' => (wide, narrow) = (wide + 1, narrow + 1),
            '\t' => (wide, narrow) = ((wide / 8 + 1) * 8, narrow + 1),
            '\\' => first = first.or((wide > 0).then_some((wide, wide))),
            // A form feed, or the end of a continued line.
            _ => (wide, narrow) = (0, 0),
        }
    }
    first.unwrap_or((wide, narrow))
}

#[cfg(test)]
mod tests {
    use crate::{PythonVersion, parse};

    #[test]
    fn tabs_and_spaces_must_not_depend_on_each_other() {
        let fine = None;
        let tabs = Some("inconsistent use of tabs and spaces in indentation");
        let outer = Some("unindent does not match any outer indentation level");
        for (text, expected) in [
            ("if a:\n\tb\n\tc\n", fine),
            ("if a:\n\tb\n        c\n", tabs),
            ("if a:\n        b\n\tc\n", tabs),
            ("if a:\n    if b:\n\tc\n", tabs),
            ("if a:\n\tif b:\n\t    c\n\td\n", fine),
            ("if a:\n \tb\n\tc\n", tabs),
            ("if a:\n\t\tb\n\tc\n", outer),
            ("if a:\n\tif b:\n\t        c\n                d\n", tabs),
            // Comments, blank lines and continued lines have no say.
            ("if a:\n\tb\n        # c\n        \n\td(\n e)\n", fine),
            ("if a:\n\tb = '''\n c'''\n\td\n", fine),
            // A form feed starts anew.
            ("if a:\n \x0c\tb\n\tc\n", fine),
            ("\tx", Some("unexpected indentation")),
            // A continued line has the indentation of its first part.
            ("if a:\n  \\\n\tb\n  c\n", fine),
            ("if a:\n\\\n\tb\n\tc\n", fine),
            ("if a:\n\t\\\n  b\n\tc\n", tabs),
        ] {
            let facts = parse::one("a.py".into(), text.into(), PythonVersion::DEFAULT);
            let message = facts.error.map(|error| error.message);
            assert_eq!(message.as_deref(), expected, "{text:?}");
        }
    }
}
