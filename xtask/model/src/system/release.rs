//! The interpreter that the base image holds.

use std::{fmt, str::FromStr};

/// A release of the language, such as 3.11. Only Python 3 is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PythonRelease {
    pub major: u8,
    pub minor: u8,
}

impl PythonRelease {
    /// What Debian 12 has, and so the images.
    pub const DEFAULT: PythonRelease = PythonRelease {
        major: 3,
        minor: 11,
    };
}

impl Default for PythonRelease {
    fn default() -> Self {
        PythonRelease::DEFAULT
    }
}

impl fmt::Display for PythonRelease {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.major, self.minor)
    }
}

impl serde::Serialize for PythonRelease {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// Not a version of Python 3; holds what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoRelease(pub String);

impl fmt::Display for NoRelease {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "`{}` is not a version of Python 3 such as 3.11",
            self.0
        )
    }
}

impl std::error::Error for NoRelease {}

impl FromStr for PythonRelease {
    type Err = NoRelease;

    /// Reads `3.11`; a third part, as in `3.11.7`, is ignored.
    fn from_str(text: &str) -> Result<Self, NoRelease> {
        let wrong = || NoRelease(text.to_owned());
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse::<u8>().ok()).flatten()
        };
        let mut parts = text.split('.');
        let major = parts.next().and_then(number).ok_or_else(wrong)?;
        let minor = parts.next().and_then(number).ok_or_else(wrong)?;
        let rest_is_number = parts.next().is_none_or(|part| number(part).is_some());
        if major != 3 || !rest_is_number || parts.next().is_some() {
            return Err(wrong());
        }
        Ok(PythonRelease { major, minor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_shown() {
        let read = |text: &str| text.parse::<PythonRelease>().map(|v| v.to_string());
        assert_eq!(read("3.11").as_deref(), Ok("3.11"));
        assert_eq!(read("3.12.1").as_deref(), Ok("3.12"));
        for wrong in [
            "", "3", "2.7", "3.", "3.x", "3.11.", "3.11.7.1", "+3.11", "3.999",
        ] {
            assert_eq!(read(wrong), Err(NoRelease(wrong.to_owned())), "{wrong}");
        }
        let old: PythonRelease = "3.9".parse().expect("a version");
        assert!(old < PythonRelease::DEFAULT);
    }
}
