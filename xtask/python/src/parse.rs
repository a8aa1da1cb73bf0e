//! From the bytes of a file to its facts.
//!
//! Never panics, and never uses more stack than a thread of [`STACK`] bytes
//! has, whatever the bytes are.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ruff_python_ast::{
    self as ast, ModModule,
    token::{TokenKind, Tokens},
};
use ruff_python_parser::{
    LexicalErrorType, Mode, ParseError, ParseErrorType, ParseOptions, Parsed, parse_unchecked,
};
use ruff_text_size::{Ranged, TextSize};

use super::{
    PythonVersion,
    facts::{FileFacts, SyntaxError},
    imports, indentation,
    position::line_and_column,
    source,
    tokens::{self, Fault},
};

/// Stack that a thread needs for [`file()`], in bytes; it is used by files that
/// were made to harm alone.
pub const STACK: usize = 256 << 20;

/// A text that is not longer cannot be nested deeper than the stack allows, so
/// its nesting is judged from the tokens that the parser has found anyway.
/// Longer ones are read twice.
const SHORT: usize = 64 << 10;

/// Nor does a text with no more braces hold so many f-strings within each other
/// that the parser, which takes quadratic time for them, is slow.
const BRACES: usize = 5000;

/// What is said where the parser itself has a defect.
pub const DEFECT: &str = "the parser of this tool failed";

/// The facts of the file at `path`, whose content is `bytes`. Call it on a
/// thread with a stack of [`STACK`] bytes; [`one`] does.
pub fn file(path: String, bytes: Vec<u8>, version: PythonVersion) -> FileFacts {
    let mut facts = FileFacts {
        path,
        ..FileFacts::default()
    };
    // A defect of the parser is an error of that file alone.
    let found = catch_unwind(AssertUnwindSafe(|| {
        let text = source::decode(bytes)?;
        collect(&text, version, &mut facts)
    }));
    if let Err(error) = found.unwrap_or_else(|_| Err(defect())) {
        facts = FileFacts {
            path: facts.path,
            error: Some(error),
            ..FileFacts::default()
        };
    }
    facts
}

/// As [`file()`], on a thread of its own.
pub fn one(path: String, bytes: Vec<u8>, version: PythonVersion) -> FileFacts {
    let name = path.clone();
    let reader = std::thread::Builder::new().stack_size(STACK);
    let facts = reader
        .spawn(move || file(path, bytes, version))
        .map(std::thread::JoinHandle::join);
    match facts {
        Ok(Ok(facts)) => facts,
        _ => FileFacts {
            path: name,
            error: Some(defect()),
            ..FileFacts::default()
        },
    }
}

fn collect(text: &str, version: PythonVersion, facts: &mut FileFacts) -> Result<(), SyntaxError> {
    let wrong = |fault: Fault| error(text, fault.place, fault.message.to_owned());
    if text.len() > SHORT || text.matches('{').count() > BRACES {
        tokens::bound(text).map_err(wrong)?;
    }
    let Some(parsed) = tree(text, version) else {
        return Err(defect());
    };
    // CPython finds this one when it compiles, which nobody does here.
    let compiles = |error: &&ParseError| {
        matches!(
            error.error,
            ParseErrorType::DuplicateKeywordArgumentError(_)
        )
    };
    let errors = || parsed.errors().iter().filter(|error| !compiles(error));
    if errors().next().is_some()
        && let Some(respelt) = respell(text, parsed.tokens())
    {
        return collect(&respelt, version, facts);
    }
    if let Some(first) = errors().min_by_key(|error| error.location.start()) {
        let mut found = error(
            text,
            first.location.start(),
            fragment(&first.error.to_string()),
        );
        if first.error == ParseErrorType::Lexical(LexicalErrorType::Eof)
            && let Some(fault) = tokens::never_closed(parsed.tokens())
        {
            found = wrong(fault);
        }
        // Where tabs are to blame, that is said.
        if let Err(fault) = indentation::check(text, parsed.tokens()) {
            let tabs = wrong(fault);
            found = if tabs.line <= found.line { tabs } else { found };
        }
        if text.len() > SHORT {
            // In a broken text the parser may see what the lexer alone does
            // not, and a tree that is too deep cannot even be taken apart.
            std::mem::forget(parsed);
        }
        return Err(found);
    }
    if let Some(first) = parsed.unsupported_syntax_errors().first() {
        return Err(error(text, first.start(), fragment(&first.to_string())));
    }
    let worthwhile = tokens::look(text, parsed.tokens()).map_err(wrong)?;
    indentation::check(text, parsed.tokens()).map_err(wrong)?;
    imports::collect(text, parsed.suite(), worthwhile, version, facts).map_err(wrong)
}

fn tree(text: &str, version: PythonVersion) -> Option<Parsed<ModModule>> {
    let target = ast::PythonVersion {
        major: version.major,
        minor: version.minor,
    };
    // The parser's own bound is far below CPython's; `tokens` has bounds for
    // which the stack is enough.
    let options = ParseOptions::from(Mode::Module)
        .with_target_version(target)
        .with_max_recursion_depth(u16::MAX);
    parse_unchecked(text, options).try_into_module()
}

/// The parser takes `raise;` for an error, which Python does not. Where a text
/// has that, gives it with a name instead of the keyword, in the same places.
fn respell(text: &str, tokens: &Tokens) -> Option<String> {
    let mut respelt = None;
    let bare = tokens.windows(2).filter(|pair| {
        matches!(pair, [first, second]
            if (first.kind(), second.kind()) == (TokenKind::Raise, TokenKind::Semi))
    });
    for pair in bare {
        let text = respelt.get_or_insert_with(|| text.to_owned());
        text.replace_range(pair[0].range().to_std_range(), imports::RAISE);
    }
    respelt
}

fn error(text: &str, place: TextSize, message: String) -> SyntaxError {
    let (line, column) = line_and_column(text, place);
    SyntaxError {
        line,
        column,
        message,
    }
}

fn defect() -> SyntaxError {
    SyntaxError {
        line: 1,
        column: 1,
        message: DEFECT.to_owned(),
    }
}

/// The parser's sentence as a fragment.
fn fragment(message: &str) -> String {
    let mut letters = message.trim_end_matches('.').chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}
