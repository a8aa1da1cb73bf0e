//! What stands in files of the host that agents are to be replaced for.
//!
//! Small by decree: every command that reads the manifest reads these, too.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

/// All files of a mount together.
const MOST_BYTES: u64 = 1 << 20;
/// Files and folders of a mount.
const MOST_ENTRIES: usize = 100;

/// Why the content of a path cannot be told.
#[derive(Debug)]
pub enum Unfit {
    /// What it has too much of.
    TooMuch(String),
    Unreadable(PathBuf, io::Error),
}

/// A short hash of each file at `path`, which the manifest calls `name`: of one
/// file, or of all in a folder. A link counts by what it says, since the
/// container would follow it in its own files.
pub fn hashes(path: &Path, name: &str) -> Result<BTreeMap<String, String>, Unfit> {
    let mut found = BTreeMap::new();
    let mut left = MOST_BYTES;
    let (mut entries, name) = (0, name.trim_end_matches('/').to_owned());
    let real = fs::canonicalize(path).map_err(|error| Unfit::Unreadable(path.into(), error))?;
    let mut todo = vec![(real, name)];
    while let Some((path, name)) = todo.pop() {
        entries += 1;
        if entries > MOST_ENTRIES {
            return Err(Unfit::TooMuch(format!("{MOST_ENTRIES} files")));
        }
        let unreadable = |error| Unfit::Unreadable(path.clone(), error);
        let kind = fs::symlink_metadata(&path).map_err(unreadable)?;
        let bytes = if kind.is_dir() {
            for entry in fs::read_dir(&path).map_err(unreadable)? {
                let entry = entry.map_err(unreadable)?;
                let below = format!("{name}/{}", entry.file_name().to_string_lossy());
                todo.push((entry.path(), below));
            }
            continue;
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).map_err(unreadable)?;
            target.to_string_lossy().into_owned().into_bytes()
        } else if !kind.is_file() {
            continue;
        } else if kind.len() > left {
            return Err(Unfit::TooMuch("1 MB".to_owned()));
        } else {
            fs::read(&path).map_err(unreadable)?
        };
        left = left.saturating_sub(bytes.len() as u64);
        let sum = Sha256::digest(&bytes);
        let short = sum[..6].iter().map(|byte| format!("{byte:02x}"));
        found.insert(name, short.collect());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn each_file_has_a_hash_that_follows_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("sub")).unwrap();
        fs::write(at("a.yaml"), "one").unwrap();
        fs::write(at("sub/b.yaml"), "two").unwrap();
        symlink("a.yaml", at("link")).unwrap();
        let before = hashes(folder.path(), "config/").unwrap();
        let names: Vec<&str> = before.keys().map(String::as_str).collect();
        assert_eq!(names, ["config/a.yaml", "config/link", "config/sub/b.yaml"]);
        fs::write(at("a.yaml"), "ONE").unwrap();
        let after = hashes(folder.path(), "config").unwrap();
        assert_ne!(before["config/a.yaml"], after["config/a.yaml"]);
        assert_eq!(before["config/link"], after["config/link"]);
        assert_eq!(before["config/sub/b.yaml"], after["config/sub/b.yaml"]);
        let one = hashes(&at("link"), "a.yaml").unwrap();
        assert_eq!(
            one,
            [("a.yaml".into(), after["config/a.yaml"].clone())].into()
        );
    }

    #[test]
    fn too_much_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for half in ["a", "b"] {
            fs::File::create(at(half))
                .unwrap()
                .set_len(600 << 10)
                .unwrap();
        }
        let told = |found| match found {
            Err(Unfit::TooMuch(what)) => what,
            other => panic!("{other:?}"),
        };
        assert_eq!(told(hashes(folder.path(), "x")), "1 MB");
        for index in 0..MOST_ENTRIES {
            fs::write(at(&format!("{index}")), "").unwrap();
        }
        fs::remove_file(at("a")).unwrap();
        assert_eq!(told(hashes(folder.path(), "x")), "100 files");
        let nowhere = hashes(&at("nowhere"), "x");
        assert!(matches!(nowhere, Err(Unfit::Unreadable(..))));
    }
}
