//! Reads small files of this host below a root folder.
//!
//! What the checks of `toolchain`, `capacity` and `gpu` learn from files is
//! found below this root, so that a test can show them another host. Nothing is
//! judged here, and nothing is changed.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Names a folder that stands for `/` in these checks; for tests of the whole
/// program.
pub const ROOT: &str = "AI_SYSTEM_XTASK_HOST";

/// A view of this host's files.
#[derive(Debug, Clone)]
pub struct Look {
    root: PathBuf,
}

impl Look {
    /// This host, unless a test shows another.
    pub fn here() -> Self {
        Look::below(root())
    }

    pub fn below(root: impl Into<PathBuf>) -> Self {
        Look { root: root.into() }
    }

    /// Where an absolute path of the host is found.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The text of a file; empty if it cannot be read.
    pub fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    pub fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(self.path(path)).ok()
    }

    pub fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// The number that is all that a file holds.
    pub fn number(&self, path: &str) -> Option<u64> {
        self.text(path).trim().parse().ok()
    }

    /// A kernel setting by its dotted name.
    pub fn sysctl(&self, name: &str) -> Option<u64> {
        self.number(&sysctl_path(name))
    }

    /// Names in a folder, sorted; none if it cannot be read.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// Whether the file system that holds `path` refuses changes.
    pub fn read_only(&self, path: &str) -> bool {
        rustix::fs::statvfs(self.path(path))
            .is_ok_and(|stat| stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
    }

    /// A program in one of the folders for them, whatever this process's PATH.
    pub fn program(&self, name: &str) -> bool {
        const FOLDERS: &[&str] = &[
            "/usr/sbin",
            "/usr/bin",
            "/usr/local/sbin",
            "/usr/local/bin",
            "/sbin",
            "/bin",
        ];
        FOLDERS
            .iter()
            .any(|folder| self.exists(&format!("{folder}/{name}")))
    }
}

/// The folder that this host is looked at below.
pub fn root() -> PathBuf {
    std::env::var_os(ROOT).map_or_else(|| PathBuf::from("/"), PathBuf::from)
}

/// File of a kernel setting.
pub fn sysctl_path(name: &str) -> String {
    format!("/proc/sys/{}", name.replace('.', "/"))
}

/// Free space for this user on the file system that holds `path` or, where it
/// does not exist yet, its nearest ancestor.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let existing = path.ancestors().find(|ancestor| ancestor.exists())?;
    let stat = rustix::fs::statvfs(existing).ok()?;
    Some(stat.f_bavail * stat.f_frsize)
}
