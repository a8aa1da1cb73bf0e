//! Files with a variable in each line, as podman and docker take them. Errors name
//! lines and never show them.

use model::system::naming::is_variable_name;

/// The variables in the order of the file; of one that is there twice the last.
///
/// # Errors
/// With the number of the first line that is none, and why.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, (usize, &'static str)> {
    let mut variables: Vec<(String, String)> = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        let wrong = |why| Err((index + 1, why));
        let start = line.trim_start();
        if start.is_empty() || start.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            return wrong("a variable without a value; write `NAME=VALUE`");
        };
        let name = name.trim();
        if name.starts_with("export ") {
            return wrong("this is no shell script: leave `export` out");
        }
        if !is_variable_name(name) {
            return wrong("what is before the `=` cannot be the name of a variable");
        }
        if value.contains('\0') {
            return wrong("a null byte, which no variable can hold");
        }
        variables.retain(|(other, _)| other != name);
        variables.push((name.to_owned(), value.to_owned()));
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every one of these was given to podman 4.3.1 by `--env-file`, too.
    #[test]
    fn lines_are_what_podman_makes_of_them() {
        let text = "\u{feff}A=1\r\n  B = two words  \n# C=3\n  #\n\nD=\"quoted\"\nE=\nF=a=b#c\nA=2";
        let expected = [
            ("B", " two words  "),
            ("D", "\"quoted\""),
            ("E", ""),
            ("F", "a=b#c"),
            ("A", "2"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parse(text), Ok(expected.to_vec()));
    }

    #[test]
    fn wrong_lines_are_named_and_not_shown() {
        for (text, line) in [
            ("A=1\nhunter2", 2),
            ("export A=1", 1),
            ("\n\n1A=hunter2", 3),
            ("=hunter2", 1),
            ("A=hun\0ter", 1),
        ] {
            let (found, why) = parse(text).expect_err(text);
            assert_eq!(found, line, "{text}");
            assert!(!why.contains("hunter"), "{why}");
        }
    }
}
