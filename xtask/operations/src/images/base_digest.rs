//! `containers/base.lock`: the digest of the base image, recorded at the first
//! pull and asked for by every later one.

use std::{fs, io, path::Path};

/// The reference with its digest, or as it is when none is recorded for it.
///
/// # Errors
/// If the file exists but cannot be read.
pub fn pinned(file: &Path, reference: &str) -> io::Result<String> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    Ok(text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| *name == reference)
        .map_or_else(
            || reference.to_owned(),
            |(_, pinned)| pinned.trim().to_owned(),
        ))
}

/// Adds a line for `reference`.
///
/// # Errors
/// If the file cannot be written.
pub fn record(file: &Path, reference: &str, pinned: &str) -> io::Result<()> {
    let header = "# Reference and digest, recorded at the first pull; delete a line to move on.\n";
    let old = fs::read_to_string(file).unwrap_or_else(|_| header.to_owned());
    fs::write(file, format!("{old}{reference} {pinned}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_digest_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("base.lock");
        let reference = "registry.example/python:3.11-slim";
        assert_eq!(pinned(&file, reference).unwrap(), reference);
        record(&file, reference, "registry.example/python@sha256:12").unwrap();
        assert_eq!(
            pinned(&file, reference).unwrap(),
            "registry.example/python@sha256:12"
        );
        assert_eq!(pinned(&file, "other:1").unwrap(), "other:1");
    }
}
