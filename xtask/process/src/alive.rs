//! Processes as `/proc` shows them.

use std::{io, time::Duration};

/// What the kernel counts times of processes in, for programs (`USER_HZ`).
const TICKS_PER_S: f64 = 100.0;

/// Whether no process of this id runs on this host: there is none, or what is
/// left of it waits for its parent. What cannot be known counts as running.
pub fn has_ended(pid: u32) -> bool {
    let limit = std::fs::read_to_string("/proc/sys/kernel/pid_max");
    let limit: u32 = limit.map_or(0, |text| text.trim().parse().unwrap_or(0));
    // An id that none here can have is one of another host.
    if pid == 0 || pid > limit {
        return false;
    }
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat
            .rsplit_once(')')
            .is_some_and(|(_, rest)| rest.trim_start().starts_with(['Z', 'X'])),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Time since a running process began; none where no process of this id runs.
pub fn age(pid: u32) -> Option<Duration> {
    if pid == 0 || has_ended(pid) {
        return None;
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The 22nd field; the name in parentheses may hold anything.
    let began = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?;
    let began: f64 = began.parse::<f64>().ok()? / TICKS_PER_S;
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_secs_f64((uptime - began).max(0.0)))
}

/// Process id and group of everything below `roots`, from `/proc`.
pub fn descendants(roots: &[i32]) -> Vec<(i32, i32)> {
    let processes: Vec<(i32, i32, i32)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The name in parentheses may hold anything; the rest is plain.
            let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
            let parent = fields.nth(1)?.parse().ok()?;
            let group = fields.next()?.parse().ok()?;
            Some((pid, parent, group))
        })
        .collect();
    let mut found: Vec<(i32, i32)> = Vec::new();
    let mut parents = roots.to_vec();
    while let Some(parent) = parents.pop() {
        let children = processes.iter().filter(|(_, above, _)| *above == parent);
        for (pid, _, group) in children {
            found.push((*pid, *group));
            parents.push(*pid);
        }
    }
    found
}
