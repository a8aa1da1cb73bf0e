//! One logical line of a requirements file: a requirement, an include, another
//! option of pip, or nothing that pip would take.
//!
//! Follows pip's own reader. Knows neither files nor what lines mean together.

use super::requirement::{self, Requirement};
use crate::wrong::Wrong;

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// `options` are those behind it, by name.
    Requirement {
        requirement: Box<Requirement>,
        options: Vec<String>,
    },
    /// `-r FILE` or `-c FILE`.
    Include { target: String, constraint: bool },
    /// A folder, a file or a URL without a name, or something editable.
    Location { text: String, editable: bool },
    /// An option for all of pip, by its long name. Values may be secrets.
    Option(&'static str),
    /// Nothing that pip would take.
    Wrong { wrong: Wrong, hint: String },
}

/// An option of pip in a file: its names, and whether a value follows.
struct Known {
    long: &'static str,
    short: Option<char>,
    value: bool,
}

const fn known(long: &'static str, short: Option<char>, value: bool) -> Known {
    Known { long, short, value }
}

const OPTIONS: &[Known] = &[
    known("--requirement", Some('r'), true),
    known("--constraint", Some('c'), true),
    known("--editable", Some('e'), true),
    known("--index-url", Some('i'), true),
    known("--pypi-url", None, true),
    known("--extra-index-url", None, true),
    known("--find-links", Some('f'), true),
    known("--no-index", None, false),
    known("--no-binary", None, true),
    known("--only-binary", None, true),
    known("--prefer-binary", None, false),
    known("--require-hashes", None, false),
    known("--pre", None, false),
    known("--trusted-host", None, true),
    known("--use-feature", None, true),
    known("--process-dependency-links", None, false),
    known("--always-unzip", Some('Z'), false),
];

/// Reads a line, which has no comment and no blank around it.
pub fn read(text: &str) -> Statement {
    if text.starts_with('-') {
        return option(text);
    }
    // pip's rule: the first word that starts with a dash opens the options.
    let end = text.find(" -").unwrap_or(text.len());
    let (line, options) = text.split_at(end);
    match requirement::parse(line) {
        // pip takes such a word for a file, whether or not it is there.
        Ok(_) if is_archive(line.split([';', '[']).next().unwrap_or_default()) => {
            Statement::Location {
                text: line.trim_end().to_owned(),
                editable: false,
            }
        }
        Ok(requirement) => match option_names(options) {
            Ok(options) => Statement::Requirement {
                requirement: Box::new(requirement),
                options,
            },
            Err(wrong) => Statement::Wrong {
                wrong: Wrong::new(end + wrong.offset, wrong.message),
                hint: "only `--hash` and `--config-settings` may follow a requirement".to_owned(),
            },
        },
        Err(_) if is_location(line) => Statement::Location {
            text: line.trim_end().to_owned(),
            editable: false,
        },
        Err(wrong) => Statement::Wrong {
            wrong,
            hint: remedy(text),
        },
    }
}

fn option(text: &str) -> Statement {
    let words = words(text);
    let Some(first) = words.first() else {
        return not_an_option(text);
    };
    let (name, attached) = match first.split_once('=') {
        Some((name, value)) if first.starts_with("--") => (name, Some(value.to_owned())),
        _ => (first.as_str(), None),
    };
    let long = |option: &&Known| {
        // Python's option reader takes any beginning that is clear.
        option.long == name || (name.len() > 4 && option.long.starts_with(name))
    };
    let short = |option: &&Known| {
        let letter = name.strip_prefix('-').and_then(|rest| rest.chars().next());
        !name.starts_with("--") && letter.is_some() && option.short == letter
    };
    let exact = OPTIONS.iter().find(|option| option.long == name);
    let Some(known) = exact.or_else(|| OPTIONS.iter().find(|o| long(o) || short(o))) else {
        return not_an_option(text);
    };
    let glued = if name.starts_with("--") {
        None
    } else {
        name.get(2..)
    };
    let value = attached
        .or_else(|| glued.filter(|rest| !rest.is_empty()).map(str::to_owned))
        .or_else(|| words.get(1).cloned())
        .unwrap_or_default();
    if known.value && value.is_empty() {
        return Statement::Wrong {
            wrong: Wrong::new(text.len(), format!("has no value after `{}`", known.long)),
            hint: format!("write `{} VALUE`, or remove the line", known.long),
        };
    }
    match known.long {
        "--requirement" | "--constraint" => Statement::Include {
            target: value,
            constraint: known.long == "--constraint",
        },
        "--editable" => Statement::Location {
            text: value,
            editable: true,
        },
        long => Statement::Option(long),
    }
}

fn not_an_option(text: &str) -> Statement {
    let name = text.split([' ', '=']).next().unwrap_or_default();
    let name = diagnostics::excerpt::excerpt(name);
    Statement::Wrong {
        wrong: Wrong::new(
            0,
            format!("starts with `{name}`, which is not an option of pip here"),
        ),
        hint: "remove the line".to_owned(),
    }
}

/// The long names of the options behind a requirement.
fn option_names(text: &str) -> Result<Vec<String>, Wrong> {
    const BEHIND: [&str; 4] = [
        "--hash",
        "--config-settings",
        "--global-option",
        "--install-option",
    ];
    let mut names = Vec::new();
    let mut offset = 0;
    let mut value_follows = false;
    for word in text.split(' ') {
        let name = word.split('=').next().unwrap_or_default();
        if !word.is_empty() && !std::mem::take(&mut value_follows) {
            let name = if name == "-C" {
                "--config-settings"
            } else {
                name
            };
            if !BEHIND.contains(&name) {
                let message = format!(
                    "has `{}` after the requirement",
                    diagnostics::excerpt::excerpt(word)
                );
                return Err(Wrong::new(offset, message));
            }
            names.push(name.to_owned());
            value_follows = !word.contains('=');
        }
        offset += word.len() + 1;
    }
    Ok(names)
}

/// Words as a shell splits them, as far as quotes go.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in text.chars() {
        match quote {
            Some(open) if open == letter => quote = None,
            None if matches!(letter, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            None if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// What pip takes as a URL, a file or a folder.
fn is_location(line: &str) -> bool {
    let line = line.split(';').next().unwrap_or_default().trim();
    let url = line.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty()
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '+')
    });
    let one_word = !line.contains(char::is_whitespace);
    let path = line.starts_with(['.', '/', '~']) || line.contains('/') || is_archive(line);
    url || line.starts_with("file:") || (one_word && path && !line.contains(['<', '>', '=']))
}

fn is_archive(word: &str) -> bool {
    const ENDS: [&str; 7] = [
        ".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar",
    ];
    let word = word.trim().to_ascii_lowercase();
    !word.contains(char::is_whitespace) && ENDS.iter().any(|end| word.ends_with(end))
}

/// What the writer of a line that is not a requirement probably wanted.
fn remedy(text: &str) -> String {
    const INSTRUCTIONS: [&str; 14] = [
        "RUN",
        "FROM",
        "COPY",
        "ADD",
        "ENV",
        "CMD",
        "ENTRYPOINT",
        "WORKDIR",
        "EXPOSE",
        "ARG",
        "LABEL",
        "USER",
        "VOLUME",
        "SHELL",
    ];
    let mut words = text.split_whitespace();
    let (first, second) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    if INSTRUCTIONS.contains(&first) {
        return format!("`{first}` is an instruction of a Dockerfile; move the line to one");
    }
    if (first.starts_with("pip") || first.starts_with("python")) && !second.is_empty() {
        return "a requirements file has the names of packages, not commands".to_owned();
    }
    if ["<<<<<<<", "=======", ">>>>>>>"]
        .iter()
        .any(|mark| first.starts_with(mark))
    {
        return "a merge left this line behind; resolve it".to_owned();
    }
    let single = first.split_once('=').filter(|(name, rest)| {
        super::name::is_name(name) && !rest.starts_with('=') && !rest.is_empty()
    });
    if let Some((name, rest)) = single {
        let version = rest.split('=').next().unwrap_or_default();
        return format!("write `{name}=={version}`");
    }
    "write `NAME` or `NAME==VERSION`, or make the line a comment".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn includes_in_all_their_forms() {
        for (text, target, constraint) in [
            ("-r a.txt", "a.txt", false),
            ("-ra.txt", "a.txt", false),
            ("--requirement a.txt", "a.txt", false),
            ("--requirement=a.txt", "a.txt", false),
            ("--req a.txt", "a.txt", false),
            ("-c ../b c", "../b", true),
            ("--constraint='b c.txt'", "b c.txt", true),
            ("-r \"b c.txt\"", "b c.txt", false),
        ] {
            let expected = Statement::Include {
                target: target.to_owned(),
                constraint,
            };
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn options_of_pip_are_known_without_their_values() {
        for (text, name) in [
            ("-i https://user:secret@x.org/simple", "--index-url"),
            ("--index-url=https://x.org", "--index-url"),
            ("--extra-index-url https://x.org", "--extra-index-url"),
            ("-f wheels", "--find-links"),
            ("--find-links=wheels", "--find-links"),
            ("--no-binary :all:", "--no-binary"),
            ("--pre", "--pre"),
            ("--no-index", "--no-index"),
            ("--trusted-host x.org", "--trusted-host"),
        ] {
            assert_eq!(read(text), Statement::Option(name), "{text}");
        }
    }

    #[test]
    fn locations_are_no_names() {
        for (text, editable) in [
            ("-e .", true),
            ("--editable=git+https://x.org/a#egg=a", true),
            ("./a", false),
            ("../a[b]", false),
            ("/srv/a.whl", false),
            ("a-1.0-py3-none-any.whl", false),
            ("https://x.org/a.zip", false),
            ("git+ssh://git@x.org/a.git@main#egg=a", false),
            ("file:///srv/a", false),
            ("libs/a", false),
        ] {
            assert!(
                matches!(read(text), Statement::Location { editable: found, .. } if found == editable),
                "{text}: {:?}",
                read(text)
            );
        }
    }

    #[test]
    fn hashes_may_follow_a_requirement() {
        let text = "a==1 --hash=sha256:00 --hash sha256:11 -C x=y";
        let Statement::Requirement {
            requirement,
            options,
        } = read(text)
        else {
            panic!("{:?}", read(text));
        };
        assert_eq!(requirement.to_string(), "a==1");
        assert_eq!(options, ["--hash", "--hash", "--config-settings"]);
    }

    #[test]
    fn everything_else_comes_with_a_remedy() {
        for (text, offset, hint) in [
            (
                "RUN python -m spacy download en_core_web_sm",
                4,
                "instruction of a Dockerfile",
            ),
            ("pip install a", 4, "not commands"),
            ("<<<<<<< HEAD", 0, "a merge left this line"),
            ("numpy=1.26=py311_0", 5, "write `numpy==1.26`"),
            ("numpy 1.26", 6, "write `NAME`"),
            ("--unknown x", 0, "remove the line"),
            ("-", 0, "remove the line"),
            ("-r", 2, "write `--requirement VALUE`"),
            ("--requirement=", 14, "write `--requirement VALUE`"),
            ("a --index-url x", 2, "only `--hash`"),
        ] {
            let Statement::Wrong { wrong, hint: found } = read(text) else {
                panic!("{text}: {:?}", read(text));
            };
            assert!(found.contains(hint), "{text}: {found}");
            assert_eq!(wrong.offset, offset, "{text}: {wrong:?}");
        }
    }
}
