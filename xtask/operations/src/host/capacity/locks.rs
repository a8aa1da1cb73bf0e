//! How many locks podman has and how many are taken.
//!
//! podman 4.3 does not tell (`freeLocks` in `podman info` is newer), but its
//! locks are a file of shared memory whose head says it. A file that does not
//! look as expected is not believed; then the configuration and a count of what
//! holds a lock have to do.

use crate::host::{capacity::quota::Quota, look::Look};

/// Locks where nothing else is configured (containers.conf(5), `num_locks`).
const DEFAULT: u64 = 2048;
/// First two bytes of the file (podman, `libpod/lock/shm/shm_lock.h`).
const MAGIC: u64 = 0x87d1;
/// A mutex of the C library on 64-bit Linux.
const MUTEX_BYTES: usize = 40;
/// Locks behind one bitmap.
const GROUP: usize = 32;

/// Locks of this user's podman. `holders` counts the containers, pods and
/// volumes that there are; each holds one.
pub fn locks(look: &Look, rootless: Option<u32>, holders: u64) -> Quota {
    let file = match rootless {
        None => "/dev/shm/libpod_lock".to_owned(),
        Some(uid) => format!("/dev/shm/libpod_rootless_lock_{uid}"),
    };
    let counted = look.bytes(&file).as_deref().and_then(in_memory);
    counted.unwrap_or_else(|| Quota {
        allows: configured(look).unwrap_or(DEFAULT),
        used: holders,
    })
}

/// The head: magic, a mutex, the number of groups and of locks; then groups of
/// a bitmap, padded, and its mutexes. Tried with podman 4.3.1 on x86-64.
fn in_memory(bytes: &[u8]) -> Option<Quota> {
    let number = |at: usize, length: usize| -> Option<u64> {
        let bytes = bytes.get(at..at + length)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    };
    let head = 8 + MUTEX_BYTES;
    let (groups, locks) = (number(head, 4)? as usize, number(head + 4, 4)?);
    let group_bytes = 8 + GROUP * MUTEX_BYTES;
    let start = head + 8;
    let sound = number(0, 2)? == MAGIC
        && groups > 0
        && locks == (groups * GROUP) as u64
        && bytes.len() == start + groups * group_bytes;
    if !sound {
        return None;
    }
    let bitmaps = (0..groups).map(|group| number(start + group * group_bytes, 4));
    let used = bitmaps
        .map(|bits| bits.map(|bits| u64::from(bits.count_ones())))
        .sum::<Option<u64>>()?;
    Some(Quota {
        allows: locks,
        used,
    })
}

/// `num_locks` of the configuration files, the last of which wins.
fn configured(look: &Look) -> Option<u64> {
    let mut files = vec![
        "/usr/share/containers/containers.conf".to_owned(),
        "/etc/containers/containers.conf".to_owned(),
    ];
    let folder = "/etc/containers/containers.conf.d";
    let extra = look
        .names(folder)
        .into_iter()
        .filter(|name| name.ends_with(".conf"));
    files.extend(extra.map(|name| format!("{folder}/{name}")));
    files
        .iter()
        .rev()
        .find_map(|file| num_locks(&look.text(file)))
}

fn num_locks(text: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, value) = line.split('#').next()?.split_once('=')?;
        (name.trim() == "num_locks").then(|| value.trim().parse().ok())?
    })
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A file of locks as podman makes it.
    pub fn file(groups: u32, used: u32) -> Vec<u8> {
        let mut bytes = vec![0; 8 + MUTEX_BYTES];
        bytes[..2].copy_from_slice(&[0xd1, 0x87]);
        bytes.extend(groups.to_le_bytes());
        bytes.extend((groups * 32).to_le_bytes());
        for group in 0..groups {
            let here = used.saturating_sub(group * 32).min(32);
            let bits = if here == 32 {
                u32::MAX
            } else {
                (1 << here) - 1
            };
            bytes.extend(bits.to_le_bytes());
            bytes.extend(vec![0; 4 + GROUP * MUTEX_BYTES]);
        }
        bytes
    }

    #[test]
    fn the_head_of_the_file_is_read_and_nothing_else_believed() {
        assert_eq!(file(64, 0).len(), 82_488, "as podman 4.3.1 makes it");
        let found = in_memory(&file(64, 77)).expect("a file of locks");
        assert_eq!((found.allows, found.used), (2048, 77));
        let mut other = file(64, 77);
        other[0] = 0;
        assert!(in_memory(&other).is_none());
        for length in [0, 1, 50, 60, 82_487] {
            assert!(in_memory(&file(64, 77)[..length]).is_none(), "{length}");
        }
    }

    #[test]
    fn without_the_file_the_configuration_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let look = Look::below(folder.path());
        let found = locks(&look, None, 5);
        assert_eq!((found.allows, found.used), (DEFAULT, 5));
        let etc = folder.path().join("etc/containers/containers.conf.d");
        std::fs::create_dir_all(&etc).expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(etc.join(name), text).expect("a file");
        write(
            "10.conf",
            "[engine]\n# num_locks = 7\nnum_locks = 64 # few\n",
        );
        write("20.conf", "[containers]\n");
        assert_eq!(locks(&look, None, 5).allows, 64);
        write("20.conf", "num_locks=4096");
        assert_eq!(locks(&look, Some(1000), 5).allows, 4096);
    }
}
