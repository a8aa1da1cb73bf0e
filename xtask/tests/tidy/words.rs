//! Words that should or should not stand in a file, and its length.

use super::{
    File, is_test, lines_where,
    rust::{Keep, code, without_tests},
    sources,
};

/// A file above this is split.
const LINES_MAX: usize = 500;

/// Written apart, so that this file does not hold them.
fn leftover_words() -> [String; 2] {
    [["FIX", "ME"].concat(), ["XX", "X"].concat()]
}

/// A source says first what it is for.
pub fn headers(files: &[File]) -> Vec<String> {
    let rust = files.iter().filter(|file| file.path.ends_with(".rs"));
    rust.filter(|file| !file.text.starts_with("//! "))
        .map(|file| format!("{}:1: does not open with a `//!` header", file.path))
        .collect()
}

/// Nothing is left to be done.
pub fn leftovers(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| !file.path.ends_with(".lock")) {
        for word in leftover_words() {
            let wrong = |line: &str| has_word(line, &word);
            found.extend(lines_where(
                &file.path,
                &file.text,
                &format!("left over: {word}"),
                wrong,
            ));
        }
        if file.path.ends_with(".rs") {
            let code = code(&file.text, Keep::Code);
            for name in ["todo", "unimplemented", "dbg"] {
                let wrong = |line: &str| calls(line, name);
                found.extend(lines_where(
                    &file.path,
                    &code,
                    &format!("left over: {name}!"),
                    wrong,
                ));
            }
        }
    }
    found
}

/// Only `ui` writes to the user.
pub fn printing(files: &[File]) -> Vec<String> {
    let elsewhere =
        |file: &&File| !file.path.starts_with("xtask/operations/src/ui/") && !is_test(&file.path);
    let wrong = |line: &str| {
        let macros = ["print", "println", "eprint", "eprintln"];
        macros.iter().any(|name| calls(line, name))
    };
    sources(files)
        .filter(elsewhere)
        .flat_map(|file| {
            let code = without_tests(&code(&file.text, Keep::Code));
            lines_where(&file.path, &code, "prints past `ui`", wrong)
        })
        .collect()
}

/// What cannot fail says why with `expect`.
pub fn unwrapping(files: &[File]) -> Vec<String> {
    sources(files)
        .filter(|file| !is_test(&file.path))
        .flat_map(|file| {
            let code = without_tests(&code(&file.text, Keep::Code));
            let wrong = |line: &str| line.contains(".unwrap()") || line.contains("::unwrap)");
            lines_where(
                &file.path,
                &code,
                "unwraps; use `expect` with a reason",
                wrong,
            )
        })
        .collect()
}

/// A file can be read in one go.
pub fn length(files: &[File]) -> Vec<String> {
    let counted = sources(files).map(|file| (file, file.text.lines().count()));
    counted
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(file, lines)| format!("{}:{lines}: is longer than {LINES_MAX} lines", file.path))
        .collect()
}

/// A function above this is split.
const FUNCTION_LINES_MAX: usize = 70;

/// Functions that may be longer, each with the reason.
const LONG: &[(&str, &str)] = &[(
    "plan_error_words",
    "one message for each way in which no plan can be made",
)];

/// A function fits on a screen.
pub fn functions(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in sources(files).filter(|file| !is_test(&file.path)) {
        let code = without_tests(&code(&file.text, Keep::Code));
        let lines: Vec<&str> = code.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let Some(name) = function(line) else { continue };
            let indent = line.len() - line.trim_start().len();
            let closed = |line: &&str| **line == format!("{}}}", " ".repeat(indent));
            let length = lines[start..].iter().position(closed);
            let excused = LONG.iter().any(|(long, _)| *long == name);
            if let Some(length) = length.filter(|length| *length >= FUNCTION_LINES_MAX && !excused)
            {
                found.push(format!(
                    "{}:{}: `{name}` has {} lines, more than {FUNCTION_LINES_MAX}",
                    file.path,
                    start + 1,
                    length + 1
                ));
            }
        }
    }
    found
}

/// The name of the function that starts on this line.
fn function(line: &str) -> Option<&str> {
    let words = line.trim_start();
    let words = words.strip_prefix("pub ").unwrap_or(words);
    let words = words.strip_prefix("const ").unwrap_or(words);
    let name = words.strip_prefix("fn ")?;
    Some(&name[..name.find(['(', '<'])?])
}

fn has_word(line: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        !part(line[..at].chars().next_back()) && !part(line[at + word.len()..].chars().next())
    })
}

fn calls(line: &str, name: &str) -> bool {
    has_word(line, name) && line.contains(&format!("{name}!"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings;

    #[test]
    fn a_missing_header_is_found() {
        let files = [
            ("xtask/a.rs", "//! Good.\n"),
            ("xtask/b.rs", "use x;\n"),
            ("c.py", "x"),
        ];
        assert_eq!(
            findings(headers, &files),
            ["xtask/b.rs:1: does not open with a `//!` header"]
        );
    }

    #[test]
    fn leftovers_are_found_in_any_file() {
        let [first, second] = leftover_words();
        let script = format!("a\n# {first}: b\n# {second}\nmktemp /tmp/{second}{second}\n");
        let source = "let x = dbg!(1); // dbg!\n\"todo!\"; todo!();\nmy_dbg!(2)";
        let files = [
            ("a.sh", script.as_str()),
            ("b.rs", source),
            ("Cargo.lock", &script),
        ];
        let found = findings(leftovers, &files);
        let at: Vec<&str> = found.iter().filter_map(|f| f.split(": ").next()).collect();
        assert_eq!(at, ["a.sh:2", "a.sh:3", "b.rs:2", "b.rs:1"]);
    }

    #[test]
    fn printing_past_the_ui_is_found() {
        let text = "//! println!\nfn f() { println!(\"x\"); }\n#[cfg(test)]\nmod t { fn g() { eprintln!(); } }";
        let files = [
            "xtask/src/a.rs",
            "xtask/operations/src/ui/mod.rs",
            "xtask/src/a/tests.rs",
            "xtask/tests/b.rs",
        ];
        let files = files.map(|path| (path, text));
        assert_eq!(
            findings(printing, &files),
            ["xtask/src/a.rs:2: prints past `ui`"]
        );
    }

    #[test]
    fn unwrapping_is_found_outside_tests() {
        let text = "x.unwrap_or(1);\nx.unwrap();\nx.map(Option::unwrap);\n#[cfg(test)]\nmod t { fn g() { x.unwrap(); } }";
        let files = [("xtask/src/a.rs", text), ("xtask/src/a/tests/b.rs", text)];
        assert_eq!(findings(unwrapping, &files).len(), 2);
    }

    #[test]
    fn a_long_file_is_found() {
        let (fits, long) = ("\n".repeat(LINES_MAX), "\n".repeat(LINES_MAX + 1));
        let files = [
            ("xtask/src/a.rs", fits.as_str()),
            ("xtask/src/b.rs", long.as_str()),
        ];
        assert_eq!(
            findings(length, &files),
            ["xtask/src/b.rs:501: is longer than 500 lines"]
        );
    }

    #[test]
    fn a_long_function_is_found() {
        let body = |lines: usize| "    x();\n".repeat(lines);
        let fits = format!("fn a() {{\n{}}}\n", body(FUNCTION_LINES_MAX - 2));
        let long = format!("pub fn b<T>() {{\n{}}}\n", body(FUNCTION_LINES_MAX - 1));
        let text = fits + &long;
        assert_eq!(
            findings(functions, &[("xtask/src/a.rs", text.as_str())]),
            ["xtask/src/a.rs:71: `b` has 71 lines, more than 70"]
        );
    }
}
