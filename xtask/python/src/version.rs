//! The version of the interpreter that is to run the files.

use std::{fmt, str::FromStr};

/// A version of the language, such as 3.11. Only Python 3 is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PythonVersion {
    pub major: u8,
    pub minor: u8,
}

impl PythonVersion {
    /// What Debian 12 has, and so the images.
    pub const DEFAULT: PythonVersion = PythonVersion {
        major: 3,
        minor: 11,
    };
}

impl Default for PythonVersion {
    fn default() -> Self {
        PythonVersion::DEFAULT
    }
}

impl fmt::Display for PythonVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.major, self.minor)
    }
}

impl serde::Serialize for PythonVersion {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// Not a version of Python 3; holds what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoVersion(pub String);

impl fmt::Display for NoVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "`{}` is no version of Python 3 such as 3.11", self.0)
    }
}

impl std::error::Error for NoVersion {}

impl FromStr for PythonVersion {
    type Err = NoVersion;

    /// Reads `3.11`; a third part, as in `3.11.7`, is ignored.
    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let wrong = || NoVersion(text.to_owned());
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
        Ok(PythonVersion { major, minor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_shown() {
        let read = |text: &str| text.parse::<PythonVersion>().map(|v| v.to_string());
        assert_eq!(read("3.11").as_deref(), Ok("3.11"));
        assert_eq!(read("3.12.1").as_deref(), Ok("3.12"));
        for wrong in [
            "", "3", "2.7", "3.", "3.x", "3.11.", "3.11.7.1", "+3.11", "3.999",
        ] {
            assert_eq!(read(wrong), Err(NoVersion(wrong.to_owned())), "{wrong}");
        }
        let old: PythonVersion = "3.9".parse().expect("a version");
        assert!(old < PythonVersion::DEFAULT);
    }
}
