//! The key by which values of secrets are hashed, so that the hash, which everybody
//! may see, tells nothing of a value. Made at random once for each user of a host.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use diagnostics::{Exit, Failure};
use sha2::{Digest, Sha256};

/// Bytes of the key.
const LENGTH: usize = 32;
/// Bytes in a block of SHA-256.
const BLOCK: usize = 64;
/// Bytes of a version: long enough to tell values apart, short enough to read.
const VERSION: usize = 6;

/// The key.
pub struct Key([u8; LENGTH]);

impl std::fmt::Debug for Key {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Key(…)")
    }
}

impl Key {
    /// This user's key on this host; a new one if there is none yet.
    pub fn of_host() -> Result<Self, Failure> {
        let folder = folder().ok_or_else(|| {
            let message = "there is no folder for the key that secrets are hashed by";
            Failure::new(Exit::Other, message)
                .hint("set HOME or XDG_STATE_HOME to a folder of yours")
        })?;
        let path = folder.join("secrets.key");
        Key::at(&path).map_err(|error| {
            let message = format!("cannot use the key that secrets are hashed by: {error}");
            Failure::new(Exit::Other, message).hint(format!(
                "remove {}; the next deployment makes another, and replaces the agents that have secrets",
                path.display()
            ))
        })
    }

    /// The key, if there is one already.
    pub fn known() -> Option<Self> {
        Key::read(&folder()?.join("secrets.key")).ok()
    }

    pub fn at(path: &Path) -> io::Result<Self> {
        match Key::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Key::make(path)?;
                Key::read(path)
            }
            result => result,
        }
    }

    /// What others could have written or read is no key.
    fn read(path: &Path) -> io::Result<Self> {
        let open = OpenOptions::new()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(path);
        let mut file = open?;
        let meta = file.metadata()?;
        if meta.uid() != rustix::process::geteuid().as_raw() || meta.mode() & 0o077 != 0 {
            let why = format!("{} is not this user's alone", path.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        let mut key = [0; LENGTH];
        file.read_exact(&mut key)?;
        Ok(Key(key))
    }

    /// Another run may make one at the same time: the first one counts, and none is
    /// seen before it is whole.
    fn make(path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let mut key = [0; LENGTH];
        File::open("/dev/urandom")?.read_exact(&mut key)?;
        let draft = path.with_extension(format!("{}.new", std::process::id()));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        let made = file
            .write_all(&key)
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::hard_link(&draft, path));
        fs::remove_file(&draft)?;
        match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            result => result,
        }
    }

    /// What tells this value of `name` from others, in hexadecimal.
    pub fn version(&self, name: &str, value: &[u8]) -> String {
        let message = [name.as_bytes(), b"\0", value].concat();
        let code = hmac(&self.0, &message);
        code[..VERSION]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// HMAC with SHA-256 (RFC 2104).
fn hmac(key: &[u8; LENGTH], message: &[u8]) -> [u8; 32] {
    let pad = |with: u8| {
        let mut block = [with; BLOCK];
        for (byte, key) in block.iter_mut().zip(key) {
            *byte ^= key;
        }
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message);
    let outer = Sha256::new().chain_update(pad(0x5c));
    outer.chain_update(inner.finalize()).finalize().into()
}

/// Folder of this user for what cannot be made anew.
fn folder() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let home = || absolute("HOME").map(|home| home.join(".local/state"));
    // A service of the system has no home, and its root has this.
    let root = || {
        rustix::process::geteuid()
            .is_root()
            .then(|| PathBuf::from("/var/lib"))
    };
    let state = absolute("XDG_STATE_HOME").or_else(home).or_else(root)?;
    Some(state.join("ai-system-xtask"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_code_is_that_of_the_standard() {
        // Checked with Python's `hmac`.
        let key: [u8; LENGTH] = std::array::from_fn(|index| index as u8);
        let hex: String = hmac(&key, b"what do ya want for nothing?")
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            hex,
            "099805f4ac310786968565c098db515cc50862b420ae31e20238312344bed36a"
        );
    }

    #[test]
    fn a_key_is_made_once_and_for_its_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/secrets.key");
        let version = || Key::at(&path).map(|key| key.version("KEY", b"value"));
        let first = version().unwrap();
        assert_eq!(version().unwrap(), first);
        assert_eq!(first.len(), 12);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(
            version()
                .unwrap_err()
                .to_string()
                .contains("this user's alone")
        );
        fs::remove_file(&path).unwrap();
        assert_ne!(version().unwrap(), first);
    }

    #[test]
    fn versions_tell_names_and_values_apart() {
        let key = Key([7; LENGTH]);
        let versions =
            [("A", "bc"), ("Ab", "c"), ("A", "bd")].map(|(n, v)| key.version(n, v.as_bytes()));
        assert!(versions[0] != versions[1] && versions[0] != versions[2]);
        assert_ne!(Key([8; LENGTH]).version("A", b"bc"), versions[0]);
    }
}
