//! Names of distributions, in the one form that all comparisons use.

/// The form of PEP 503: small letters, runs of `-`, `_` and `.` become one `-`.
pub fn normalized(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for letter in name.chars() {
        if matches!(letter, '-' | '_' | '.') {
            if !out.ends_with('-') {
                out.push('-');
            }
        } else {
            out.push(letter.to_ascii_lowercase());
        }
    }
    out
}

/// Letters, digits, `-`, `_` and `.`, with a letter or a digit at both ends.
pub fn is_name(name: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let at_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    name.chars().all(inside) && at_end(name.chars().next()) && at_end(name.chars().next_back())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_a_name_are_one() {
        for spelling in [
            "Python_JSON.logger",
            "python--json-_logger",
            "python-json-logger",
        ] {
            assert_eq!(normalized(spelling), "python-json-logger");
        }
    }

    #[test]
    fn names_start_and_end_with_a_letter_or_digit() {
        assert!(is_name("a") && is_name("A.b-c_1"));
        for bad in ["", "-a", "a-", "a b", "ä", "a\0"] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }
}
