//! The end of an agent's log: the last traceback, and the last words of a log
//! that is written as JSON. Pure: lines in, facts out.

use serde_json::Value;

/// Lines that stand behind a traceback which ended the agent: what its runtime
/// says on the way out.
const LAST_WORDS: usize = 6;
/// Exceptions that Python raises without a traceback, when a file is read.
const AT_READING: [&str; 3] = ["SyntaxError", "IndentationError", "TabError"];

/// What the end of a log tells.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Log {
    /// As they were written, the oldest first.
    pub lines: Vec<String>,
    /// The last exception whose traceback is in it.
    pub raised: Option<Raised>,
    /// The last line of level `error` of a log in JSON, in words.
    pub error: Option<String>,
}

/// An exception of Python.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Raised {
    /// `ModuleNotFoundError`, without the module that it is from.
    pub kind: String,
    pub message: String,
    /// Where it was raised: `/app/code/agent.py, line 12`.
    pub at: Option<String>,
    /// Nothing of note was written after it.
    pub last: bool,
}

impl Raised {
    /// The line that Python prints.
    pub fn line(&self) -> String {
        match self.message.as_str() {
            "" => self.kind.clone(),
            message => format!("{}: {message}", self.kind),
        }
    }

    /// Raised because a module could not be imported.
    pub fn importing(&self) -> bool {
        ["ImportError", "ModuleNotFoundError"].contains(&self.kind.as_str())
            || AT_READING.contains(&self.kind.as_str())
    }
}

/// Reads the end of a log.
pub fn read(lines: Vec<String>) -> Log {
    let mut plain = Vec::new();
    let mut error = None;
    for line in &lines {
        match structured(line) {
            Some((words, traceback)) => {
                error = words.or(error);
                plain.push(line.clone());
                plain.extend(traceback.unwrap_or_default().lines().map(str::to_owned));
            }
            None => plain.push(line.clone()),
        }
    }
    let raised = last_raised(&plain);
    Log {
        lines,
        raised,
        error,
    }
}

/// The words and the traceback of a line that is a JSON object with a level.
fn structured(line: &str) -> Option<(Option<String>, Option<String>)> {
    let value: Value = serde_json::from_str(line.trim()).ok()?;
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let level = text("level").or_else(|| text("levelname"))?;
    let bad = ["error", "critical", "fatal"].contains(&level.to_lowercase().as_str());
    let message = text("message").or_else(|| text("msg")).unwrap_or_default();
    let words = match text("reason").or_else(|| text("error")) {
        Some(reason) => format!("{message}: {reason}"),
        None => message.to_owned(),
    };
    let traceback = ["traceback", "exception", "exc_info"]
        .into_iter()
        .find_map(text)
        .map(str::to_owned);
    Some((bad.then_some(words), traceback))
}

fn last_raised(lines: &[String]) -> Option<Raised> {
    let at = lines.iter().enumerate().rposition(|(at, line)| {
        exception(line).is_some_and(|(kind, _)| ends_traceback(&lines[..at], kind))
    })?;
    let (kind, message) = exception(&lines[at])?;
    let place = lines[..at].iter().rev().find_map(|line| place(line));
    let behind = lines[at + 1..]
        .iter()
        .filter(|line| !line.trim().is_empty());
    Some(Raised {
        kind: kind.rsplit('.').next().unwrap_or(kind).to_owned(),
        message: message.to_owned(),
        at: place,
        last: behind.count() <= LAST_WORDS,
    })
}

/// `package.SomeError: message`, at the margin.
fn exception(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_end();
    let (kind, message) = match line.split_once(": ") {
        Some((kind, message)) => (kind, message),
        None => (line.trim_end_matches(':'), ""),
    };
    let word = |part: &str| {
        let mut letters = part.chars();
        letters
            .next()
            .is_some_and(|c| c.is_alphabetic() || c == '_')
            && letters.all(|c| c.is_alphanumeric() || c == '_')
    };
    let name = kind.rsplit('.').next().unwrap_or(kind);
    let named = name.starts_with(char::is_uppercase) && name.chars().any(char::is_lowercase);
    (named && kind.split('.').all(word)).then_some((kind, message))
}

/// Whether these lines, up to the exception's own, are its traceback: indented
/// lines up to the head, or the lines of a file that does not parse.
fn ends_traceback(before: &[String], kind: &str) -> bool {
    // Marks under the code lose their indent where podman joins lines that came
    // in pieces (seen with 4.3.1 and `logs --tail`).
    let indented = |line: &str| line.starts_with(' ') || line.chars().all(|c| "^~ ".contains(c));
    let margin = before.iter().rev().find(|line| !indented(line));
    let headed = margin.is_some_and(|line| line.starts_with("Traceback (most recent call last)"));
    let read = AT_READING.contains(&kind)
        && before
            .iter()
            .rev()
            .take(4)
            .any(|line| place(line).is_some());
    headed || read
}

/// `  File "/app/a.py", line 3, in <module>` as `/app/a.py, line 3`.
fn place(line: &str) -> Option<String> {
    let rest = line.trim_start().strip_prefix("File \"")?;
    let (file, rest) = rest.split_once("\", line ")?;
    let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (!number.is_empty()).then(|| format!("{file}, line {number}"))
}

/// The text between the first pair of quotes: `[Errno 13] Permission denied: '/x'`.
pub fn quoted(text: &str) -> Option<&str> {
    let open = text.find(['\'', '"', '`'])?;
    let mark = text[open..].chars().next()?;
    let inside = &text[open + mark.len_utf8()..];
    let (found, _) = inside.split_once(mark)?;
    Some(found).filter(|found| !found.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(text: &str) -> Log {
        read(text.lines().map(str::to_owned).collect())
    }

    fn raised(text: &str) -> (String, Option<String>) {
        let raised = log(text).raised.unwrap();
        (raised.line(), raised.at)
    }

    #[test]
    fn the_last_traceback_counts() {
        let text = "starting\nTraceback (most recent call last):\n  File \"/app/a.py\", line 3, in f\n    g()\n\
                    ValueError: first\n\nDuring handling of the above exception, another exception occurred:\n\n\
                    Traceback (most recent call last):\n  File \"/app/b.py\", line 7, in <module>\n    h()\n\
                    zmq.error.ZMQError: Address already in use (addr='tcp://*:7000')\n";
        let (line, at) = raised(text);
        assert_eq!(
            line,
            "ZMQError: Address already in use (addr='tcp://*:7000')"
        );
        assert_eq!(at.as_deref(), Some("/app/b.py, line 7"));
        assert!(log(text).raised.unwrap().last);
    }

    #[test]
    fn a_line_that_came_in_pieces_does_no_harm() {
        let text = "Traceback (most recent call last):\n  File \"/app/a.py\", line 3, in f\n    g(level)^^^^ ^^\n^^^^^^^\n\
                    ModuleNotFoundError: No module named 'x'\n";
        let (line, _) = raised(text);
        assert_eq!(line, "ModuleNotFoundError: No module named 'x'");
    }

    #[test]
    fn a_file_that_does_not_parse_has_no_head() {
        let text =
            "  File \"/app/a.py\", line 3\n    foo(\n       ^\nSyntaxError: '(' was never closed\n";
        let found = log(text).raised.unwrap();
        assert!(found.importing());
        assert_eq!(found.at.as_deref(), Some("/app/a.py, line 3"));
    }

    #[test]
    fn words_that_look_like_an_exception_are_none() {
        for text in [
            "Listening: on 7000",
            "Traceback (most recent call last):\n  File \"a\", line 1\nnot one",
            "done\nValueError: never raised",
            "",
        ] {
            assert_eq!(log(text).raised, None, "{text}");
        }
    }

    #[test]
    fn a_handled_exception_is_not_the_last_word() {
        let mut text =
            "Traceback (most recent call last):\n  File \"a\", line 1\nKeyError\n".to_owned();
        text.push_str(&"working\n".repeat(20));
        let found = log(&text).raised.unwrap();
        assert!(!found.last);
        assert_eq!(found.line(), "KeyError");
    }

    #[test]
    fn a_log_in_json_is_read_as_well() {
        let text = concat!(
            r#"{"level": "info", "message": "starting"}"#,
            "\n",
            r#"{"level": "error", "message": "cannot start", "reason": "PORT: `x` is no port"}"#,
            "\n",
            r#"{"level": "error", "message": "cannot go on", "traceback": "Traceback (most recent call last):\n  File \"/app/a.py\", line 2, in f\n    g()\nPermissionError: [Errno 13] Permission denied: '/app/x'\n"}"#,
        );
        let found = log(text);
        assert_eq!(found.error.as_deref(), Some("cannot go on"));
        let raised = found.raised.unwrap();
        assert_eq!(raised.kind, "PermissionError");
        assert_eq!(quoted(&raised.message), Some("/app/x"));
        let only = log(text.lines().nth(1).unwrap());
        assert_eq!(
            only.error.as_deref(),
            Some("cannot start: PORT: `x` is no port")
        );
    }

    #[test]
    fn quotes_of_any_kind() {
        assert_eq!(quoted("No module named 'a.b'"), Some("a.b"));
        assert_eq!(
            quoted("No module named 'a.b'; 'a' is not a package"),
            Some("a.b")
        );
        assert_eq!(quoted("it's"), None);
        assert_eq!(quoted("''"), None);
    }
}
