//! What the kernel's log says about processes that were killed for want of
//! memory.
//!
//! podman before 5.0 does not tell (podman pull request 21523), and the control
//! group that counted it is gone with its container. The log may be closed to
//! this user; that is an answer, too.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{ErrorKind, Read},
    os::unix::fs::OpenOptionsExt,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// More than any kernel keeps; a bound on a log that is written all the time.
const RECORDS_MAX: usize = 200_000;
const TIME_MAX: Duration = Duration::from_millis(800);
/// What stands before a container's id in the name of its control group.
const GROUP: &str = "libpod-";
/// Hexadecimal digits of a container's id.
const ID_LENGTH: usize = 64;

/// Ids of containers to the time of their last kill, in seconds since 1970.
pub type Kills = BTreeMap<String, i64>;

/// The kills that the log remembers, of any container of this host.
///
/// # Errors
/// Why the log cannot be read, in words.
pub fn memory_kills() -> Result<Kills, String> {
    let mut log = OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
        .open("/dev/kmsg")
        .map_err(|error| format!("the kernel's log: {error}"))?;
    let boot_s = boot_s().ok_or("the time of the boot is not known")?;
    let mut kills = Kills::new();
    let end = Instant::now() + TIME_MAX;
    // One read returns one record; those that were overwritten meanwhile end in
    // EPIPE, the end of the log in EAGAIN (Documentation/ABI/testing/dev-kmsg).
    let mut record = vec![0; 8192];
    for _ in 0..RECORDS_MAX {
        match log.read(&mut record) {
            Ok(0) => break,
            Ok(length) => {
                let text = String::from_utf8_lossy(&record[..length]);
                if let Some((id, uptime_s)) = kill(&text) {
                    kills.insert(id.to_owned(), boot_s + uptime_s);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(error) => return Err(format!("the kernel's log: {error}")),
        }
        if Instant::now() > end {
            break;
        }
    }
    Ok(kills)
}

/// `6,812,5099000,-;oom-kill:constraint=CONSTRAINT_MEMCG,…,oom_memcg=/…/libpod-ID,…`:
/// the container and the seconds since the boot.
fn kill(record: &str) -> Option<(&str, i64)> {
    let (head, text) = record.split_once(';')?;
    let limited = text.contains("CONSTRAINT_MEMCG");
    if !text.starts_with("oom-kill:") || !limited {
        return None;
    }
    let at = text.find(GROUP)? + GROUP.len();
    let id = text.get(at..at + ID_LENGTH)?;
    let microseconds: i64 = head.split(',').nth(2)?.parse().ok()?;
    let valid = id.bytes().all(|byte| byte.is_ascii_hexdigit());
    valid.then_some((id, microseconds / 1_000_000))
}

fn boot_s() -> Option<i64> {
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let uptime_s: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(now_s as i64 - uptime_s as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_names_its_container() {
        let id = "0a".repeat(32);
        let record = format!(
            "6,812,5099000,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,\
             mems_allowed=0,oom_memcg=/libpod_parent/libpod-{id},task_memcg=/libpod_parent/libpod-{id},\
             task=python3,pid=77,uid=1000\n"
        );
        assert_eq!(kill(&record), Some((id.as_str(), 5)));
    }

    #[test]
    fn other_records_say_nothing() {
        for record in [
            "",
            "6,1,2,-;usb 1-1: new device",
            "6,1,2,-;oom-kill:constraint=CONSTRAINT_NONE,task=python3",
            "6,1,2,-;oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/libpod-12,task=x",
            "6,1,x,-;oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/libpod-é",
        ] {
            assert_eq!(kill(record), None, "{record}");
        }
    }

    #[test]
    fn the_real_log_is_read_or_refused_in_time() {
        let started = Instant::now();
        let _ = memory_kills();
        assert!(started.elapsed() < 3 * TIME_MAX);
    }
}
