//! What the tokens of a text tell without a tree: whether it is nested too
//! deeply, and whether its expressions are worth a look.
//!
//! CPython refuses what is nested too deeply, and so does this tool: both the
//! parser and whatever walks a syntax tree call themselves once a level.

use TokenKind as T;
use ruff_python_ast::token::{TokenKind, Tokens};
use ruff_python_parser::{Mode, lexer};
use ruff_text_size::{Ranged, TextSize};

use super::endpoints::SCHEME;

/// Open brackets, the limit of CPython's tokenizer.
const BRACKETS_MAX: usize = 200;
/// Levels of indentation, the limit of CPython's tokenizer.
const INDENTS_MAX: usize = 100;
/// Operators, dots, calls and the like within each other. CPython 3.11 gives up
/// on trees of about this depth.
const DEPTH_MAX: usize = 3000;

/// What is wrong with a text, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub place: TextSize,
    pub message: &'static str,
}

/// Looks at the tokens of a parsed text. Returns whether some expression may
/// hold a dynamic import or an address.
///
/// There are about as many tokens as lines times ten, and the tool is built
/// without optimisation, so what is frequent is dealt with first.
pub fn look(text: &str, tokens: &Tokens) -> Result<bool, Fault> {
    let mut depth = Depth::default();
    let mut worthwhile = false;
    for token in tokens.iter() {
        let kind = token.kind();
        match kind {
            T::Name => {
                let range = token.range();
                // Both names have a length that few names have.
                if matches!(range.len().to_u32(), 10 | 13) {
                    worthwhile |= matches!(&text[range], "__import__" | "import_module");
                }
            }
            T::String | T::FStringMiddle => {
                worthwhile |= opens_with_scheme(text, token.start().to_usize());
            }
            T::Comment | T::NonLogicalNewline | T::Int => {}
            _ => {
                if let Err(message) = depth.add(kind) {
                    let place = token.start();
                    return Err(Fault { place, message });
                }
            }
        }
    }
    Ok(worthwhile)
}

/// Whether the string that starts at `start`, with whatever prefix and quotes,
/// begins with `tcp://`.
fn opens_with_scheme(text: &str, start: usize) -> bool {
    let bytes = text.as_bytes();
    let mut at = start;
    // At most two letters of a prefix and three quotes.
    while at < bytes.len()
        && at < start + 5
        && matches!(bytes[at], b'a'..=b'z' | b'A'..=b'Z' | b'"' | b'\'')
    {
        if bytes[at] == b't' && bytes[at..].starts_with(SCHEME.as_bytes()) {
            return true;
        }
        at += 1;
    }
    false
}

/// The last bracket that is open when the text ends.
pub fn never_closed(tokens: &Tokens) -> Option<Fault> {
    let mut open = Vec::new();
    for token in tokens.iter() {
        match token.kind() {
            T::Lpar => open.push((token.start(), "`(` was never closed")),
            T::Lsqb => open.push((token.start(), "`[` was never closed")),
            T::Lbrace => open.push((token.start(), "`{` was never closed")),
            T::Rpar | T::Rsqb | T::Rbrace => drop(open.pop()),
            _ => {}
        }
    }
    open.pop().map(|(place, message)| Fault { place, message })
}

/// Reads a text that has not been parsed yet.
pub fn bound(text: &str) -> Result<(), Fault> {
    let Err(message) = of_part(text) else {
        return Ok(());
    };
    // The lexer does not tell where it is, so the place is searched for: the
    // end of the shortest text that is too deep.
    let (mut fits, mut deep) = (0, text.len());
    while deep - fits > 1 {
        let middle = fits + (deep - fits) / 2;
        match of_part(&text[..text.floor_char_boundary(middle)]) {
            Ok(()) => fits = middle,
            Err(_) => deep = middle,
        }
    }
    let place = TextSize::try_from(fits).unwrap_or_default();
    Err(Fault { place, message })
}

fn of_part(text: &str) -> Result<(), &'static str> {
    let mut lexer = lexer::lex(text, Mode::Module);
    let mut depth = Depth::default();
    let mut last = T::Newline;
    loop {
        let kind = lexer.next_token();
        if kind == T::EndOfFile {
            return Ok(());
        }
        depth.add(kind)?;
        if last == T::Colon && is_compound(kind) {
            // Never valid, but the parser would go down a level for each.
            return Err("a compound statement must stand on a line of its own");
        }
        last = kind;
    }
}

/// About how deep the syntax tree is, token by token, and rather too much than
/// too little.
#[derive(Default)]
struct Depth {
    /// One for each open bracket or f-string.
    levels: Vec<Level>,
    /// The level outside of all brackets.
    ground: Level,
    indents: usize,
    /// What the levels that are open add up to.
    open: usize,
    /// F-strings among the levels.
    strings: usize,
}

/// What stands between two brackets. Operators that take turns nest: the first
/// operand of a sum of a hundred parts stands a hundred levels down. What stands
/// side by side does not add up.
#[derive(Default, Clone, Copy)]
struct Level {
    /// The deepest of the elements before the last comma, `and` or comparison.
    elements: usize,
    /// Operators that nest whatever stands around them, and those of a sum and
    /// of a product so far.
    any: usize,
    sums: usize,
    products: usize,
    /// The deepest term of the sum, the deepest factor of the product, and the
    /// operand at hand: dots, calls and closed brackets.
    term: usize,
    factor: usize,
    operand: usize,
    /// Lambdas whose parameters have not ended: a comma among these does not
    /// end the nesting.
    lambdas: usize,
    /// The level of an f-string, whose parts are next to each other.
    string: bool,
}

impl Level {
    /// How deep the level is.
    fn depth(&self) -> usize {
        let term = self.products + self.factor.max(self.operand);
        let element = self.any + self.sums + self.term.max(term);
        self.elements.max(element)
    }

    /// What it adds to whatever stands in the bracket that comes next.
    fn open(&self) -> usize {
        self.any + self.sums + self.products
    }

    fn end_factor(&mut self) {
        self.factor = self.factor.max(std::mem::take(&mut self.operand));
    }

    fn end_term(&mut self) {
        self.end_factor();
        let term = std::mem::take(&mut self.products) + std::mem::take(&mut self.factor);
        self.term = self.term.max(term);
    }

    fn end_part(&mut self) {
        self.end_term();
        let part = std::mem::take(&mut self.sums) + std::mem::take(&mut self.term);
        self.elements = self.elements.max(self.any + part);
    }

    fn end_element(&mut self) {
        self.end_part();
        self.any = 0;
    }
}

impl Depth {
    fn add(&mut self, kind: TokenKind) -> Result<(), &'static str> {
        match kind {
            // Operands, and what is skipped.
            T::Name | T::Int | T::Float | T::Complex | T::Comment | T::NonLogicalNewline => {}
            T::String | T::FStringMiddle | T::TStringMiddle => {}
            T::Lpar | T::Lsqb | T::Lbrace => {
                self.enter(Level::default())?;
                if self.levels.len().saturating_sub(self.strings) > BRACKETS_MAX {
                    return Err("too many nested parentheses");
                }
            }
            T::FStringStart | T::TStringStart => {
                self.enter(Level {
                    string: true,
                    ..Level::default()
                })?;
                self.strings += 1;
            }
            T::Rpar | T::Rsqb | T::Rbrace => self.close()?,
            T::FStringEnd | T::TStringEnd => {
                self.strings = self.strings.saturating_sub(1);
                self.close()?;
            }
            T::Newline => {
                self.levels.clear();
                self.ground = Level::default();
                self.open = 0;
                self.strings = 0;
            }
            T::Indent => {
                self.indents += 1;
                if self.indents >= INDENTS_MAX {
                    return Err("too many levels of indentation");
                }
            }
            T::Dedent => self.indents = self.indents.saturating_sub(1),
            _ => self.within(kind)?,
        }
        Ok(())
    }

    /// A token that opens and closes nothing.
    fn within(&mut self, kind: TokenKind) -> Result<(), &'static str> {
        let level = self.levels.last_mut().unwrap_or(&mut self.ground);
        let before = level.open();
        match kind {
            T::Comma if level.lambdas == 0 => level.end_element(),
            T::Colon if level.lambdas > 0 => level.lambdas -= 1,
            // A chain of these is one flat node.
            T::And | T::Or | T::Less | T::Greater | T::EqEqual | T::NotEqual => level.end_part(),
            T::LessEqual | T::GreaterEqual | T::In | T::Is => level.end_part(),
            T::Plus | T::Minus => {
                level.end_term();
                level.sums += 1;
            }
            T::Star | T::Slash | T::DoubleSlash | T::Percent | T::At | T::DoubleStar => {
                level.end_factor();
                level.products += 1;
            }
            T::Dot => level.operand += 1,
            kind => {
                level.lambdas += usize::from(kind == T::Lambda);
                level.any += 1;
            }
        }
        let (depth, after) = (level.depth(), level.open());
        self.open = self.open + after - before;
        Self::judge(depth.max(self.open))
    }

    fn enter(&mut self, level: Level) -> Result<(), &'static str> {
        self.levels.push(level);
        Self::judge(self.open + self.levels.len())
    }

    /// The bracket becomes a part of the operand around it.
    fn close(&mut self) -> Result<(), &'static str> {
        let Some(inner) = self.levels.pop() else {
            return Ok(());
        };
        self.open -= inner.open();
        let level = self.levels.last_mut().unwrap_or(&mut self.ground);
        level.operand = level.operand.max(inner.depth()) + 1;
        if level.string {
            level.end_factor();
        }
        Self::judge(level.depth())
    }

    fn judge(depth: usize) -> Result<(), &'static str> {
        match depth > DEPTH_MAX {
            true => Err("too many nested expressions"),
            false => Ok(()),
        }
    }
}

fn is_compound(kind: TokenKind) -> bool {
    matches!(
        kind,
        T::If | T::For | T::While | T::With | T::Try | T::Def | T::Class | T::Async
    )
}

#[cfg(test)]
mod tests {
    use crate::{PythonVersion, parse};

    /// The message of the error, or `fine`; short and long texts take two ways,
    /// which must agree.
    fn verdict(text: &str) -> String {
        let long = format!("{text}\n{}", "#\n".repeat(40_000));
        let [short, long] = [text.to_owned(), long].map(|text| {
            let facts = parse::one("a.py".into(), text.into(), PythonVersion::DEFAULT);
            facts.error.map_or("fine".to_owned(), |error| error.message)
        });
        assert_eq!(short, long);
        short
    }

    #[test]
    fn brackets_and_indentation_have_the_limits_of_cpython() {
        for (open, close) in [("(", ")"), ("[", "]"), ("{1:", "}"), ("f(", ")")] {
            let nested = |count| open.repeat(count) + "1" + &close.repeat(count);
            assert_eq!(verdict(&nested(200)), "fine");
            assert_eq!(verdict(&nested(201)), "too many nested parentheses");
        }
        let indented = |count: usize| {
            let line = |depth| " ".repeat(depth) + "if 1:\n";
            let lines: String = (0..count).map(line).collect();
            lines + &" ".repeat(count) + "x"
        };
        assert_eq!(verdict(&indented(99)), "fine");
        assert_eq!(verdict(&indented(100)), "too many levels of indentation");
    }

    #[test]
    fn chains_are_bounded() {
        for link in [
            "-",
            "not ",
            "1+",
            "lambda:",
            "lambda a, b:",
            "1 if 1 else ",
            "1**",
        ] {
            let (fine, deep) = (link.repeat(700), link.repeat(3001));
            assert_eq!(verdict(&(fine + "1")), "fine", "{link}");
            assert_eq!(
                verdict(&(deep + "1")),
                "too many nested expressions",
                "{link}"
            );
        }
        for link in [".b", "()", "[0]"] {
            assert_eq!(verdict(&("a".to_owned() + &link.repeat(2900))), "fine");
            let deep = verdict(&("a".to_owned() + &link.repeat(3001)));
            assert_eq!(deep, "too many nested expressions");
        }
    }

    #[test]
    fn what_has_closed_is_not_forgotten() {
        for link in [" + a", " * a", ".a", "[0]"] {
            let deep = format!(
                "x = {}a{}",
                "(".repeat(100),
                format!("){}", link.repeat(40)).repeat(100)
            );
            assert_eq!(verdict(&deep), "too many nested expressions", "{link}");
        }
        let many = "(a + b + c) * d, ".repeat(5000);
        assert_eq!(verdict(&format!("x = ({many})")), "fine");
    }

    #[test]
    fn what_is_long_but_flat_is_fine() {
        for part in ["1 and ", "1 < "] {
            assert_eq!(verdict(&(part.repeat(5000) + "1")), "fine");
        }
        assert_eq!(verdict(&"'a' ".repeat(5000)), "fine");
        assert_eq!(
            verdict(&format!("x = [{}]", "-1 + a.b(c), ".repeat(5000))),
            "fine"
        );
        assert_eq!(
            verdict(&format!("x = {{{}}}", "1: 2 if a else b, ".repeat(5000))),
            "fine"
        );
        assert_eq!(verdict(&"f(a.b)(c)\n".repeat(5000)), "fine");
        for part in [
            "a.b: lambda c, d=1: e + f, ",
            "'a': (lambda b, c: -1), ",
            "a * b ** 2 * c: d * e - f * g + 1, ",
        ] {
            assert_eq!(verdict(&format!("x = {{{}}}", part.repeat(5000))), "fine");
        }
        // The terms of a sum are next to each other, whatever they hold.
        let sum = "a * b.c ** 2 * d * (e + f) * g + ".repeat(1000);
        assert_eq!(verdict(&format!("x = {sum}1")), "fine");
        assert_eq!(verdict(&format!("f'{}'", "{a.b}".repeat(6000))), "fine");
    }

    #[test]
    fn the_place_of_a_long_texts_fault_is_found() {
        let text = format!("{}x = {}1\n", "# é\n".repeat(40_000), "-".repeat(4000));
        let facts = parse::one("a.py".into(), text.into(), PythonVersion::DEFAULT);
        let error = facts.error.expect("too deep");
        assert_eq!((error.line, error.column), (40_001, 3004));
    }
}
