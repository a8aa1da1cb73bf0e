//! What the processes of a container take, against its limits, from the
//! kernel's control groups.
//!
//! Read on the host, not inside: a container that is out of memory or processes
//! has none to spare for the question. Understands cgroups v1 and v2.

use std::{
    fs,
    path::{Path, PathBuf},
};

use model::plan::observed::ResourceLimits;
use serde::Serialize;

/// Memory and processes of one control group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Without the file cache that the kernel would give back, in MiB.
    pub memory_mb: u64,
    /// The most that it ever was, file cache included; a kernel before 5.19
    /// does not know with cgroups v2.
    pub memory_peak_mb: Option<u64>,
    /// `None`: no limit.
    pub memory_limit_mb: Option<u64>,
    pub pids: u64,
    pub pids_limit: Option<u64>,
    /// Processes that the kernel has killed because memory ran out, since the
    /// container was started.
    pub oom_kills: u64,
}

/// The control group of a process, by its id on this host; `None` where it
/// cannot be read: another host, another user, no such process.
pub fn of_process(pid: u32) -> Option<Usage> {
    let table = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    read(&table, Path::new("/sys/fs/cgroup"))
}

/// The limits that the kernel holds a container to, by its first process on this
/// host and its id. None is known where the process is in no group of the
/// container's own, since podman could not make one.
pub fn limits_of(pid: u32, id: &str) -> ResourceLimits {
    let table = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    limits(&table, Path::new("/sys/fs/cgroup"), id)
}

fn limits(table: &str, root: &Path, id: &str) -> ResourceLimits {
    let own = |controller: &str| {
        let path = path_of(table, controller)?;
        // crun has a group of its own below the container's.
        let named = |folder: &&Path| {
            let name = folder.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.contains(id))
        };
        let folder = Path::new(&path).ancestors().find(named)?.to_owned();
        Some(root.join(controller).join(folder))
    };
    if let Some(memory) = own("memory") {
        let cpu = own("cpu").and_then(|folder| {
            let quota = number(&folder, "cpu.cfs_quota_us")?;
            Some(quota as f64 / number(&folder, "cpu.cfs_period_us")? as f64)
        });
        return ResourceLimits {
            memory: number(&memory, "memory.limit_in_bytes").filter(|limit| *limit < NONE),
            cpus: cpu,
            pids: own("pids").and_then(|folder| number(&folder, "pids.max")),
        };
    }
    let Some(folder) = own("") else {
        return ResourceLimits::default();
    };
    let cpu = fs::read_to_string(folder.join("cpu.max")).unwrap_or_default();
    let cpu = cpu
        .trim()
        .split_once(' ')
        .and_then(|(quota, period)| Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?));
    ResourceLimits {
        memory: number(&folder, "memory.max"),
        cpus: cpu,
        pids: number(&folder, "pids.max"),
    }
}

/// `table` is `/proc/PID/cgroup`, see cgroups(7): a line for each hierarchy,
/// `4:memory:/path`, and `0::/path` for v2.
fn read(table: &str, root: &Path) -> Option<Usage> {
    match (path_of(table, "memory"), path_of(table, "pids")) {
        (Some(memory), Some(pids)) => first(
            &root.join("memory").join(memory),
            &root.join("pids").join(pids),
        ),
        _ => second(&root.join(path_of(table, "")?), root),
    }
}

/// The path of a process's group of that controller; `""` is v2.
fn path_of(table: &str, controller: &str) -> Option<String> {
    table.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let controllers = fields.next()?;
        let known = controllers.split(',').any(|name| name == controller);
        let path = fields.next()?.trim_start_matches('/');
        known.then(|| path.to_owned())
    })
}

/// A limit of cgroups v1 above this, in bytes, is none: the kernel prints its
/// largest.
const NONE: u64 = 1 << 60;

/// cgroups v1: Documentation/admin-guide/cgroup-v1/memory.rst of the kernel.
fn first(memory: &Path, pids: &Path) -> Option<Usage> {
    let used = number(memory, "memory.usage_in_bytes")?;
    let cache = field(memory, "memory.stat", "total_inactive_file").unwrap_or(0);
    let limit = number(memory, "memory.limit_in_bytes").filter(|limit| *limit < NONE);
    Some(Usage {
        memory_mb: used.saturating_sub(cache) >> 20,
        memory_peak_mb: number(memory, "memory.max_usage_in_bytes").map(|bytes| bytes >> 20),
        memory_limit_mb: limit.map(|bytes| bytes >> 20),
        pids: number(pids, "pids.current").unwrap_or(0),
        pids_limit: number(pids, "pids.max"),
        oom_kills: field(memory, "memory.oom_control", "oom_kill").unwrap_or(0),
    })
}

/// cgroups v2: Documentation/admin-guide/cgroup-v2.rst. crun puts the processes
/// into a group below the one that has the limits.
fn second(own: &Path, root: &Path) -> Option<Usage> {
    let limited = |folder: &PathBuf| {
        number(folder, "memory.max").is_some() || number(folder, "pids.max").is_some()
    };
    let above = own.ancestors().map(Path::to_path_buf).take(3);
    let folder = above
        .take_while(|folder| folder.starts_with(root) && folder != root)
        .find(limited)
        .unwrap_or_else(|| own.to_path_buf());
    let used = number(&folder, "memory.current")?;
    let cache = field(&folder, "memory.stat", "inactive_file").unwrap_or(0);
    Some(Usage {
        memory_mb: used.saturating_sub(cache) >> 20,
        memory_peak_mb: number(&folder, "memory.peak").map(|bytes| bytes >> 20),
        memory_limit_mb: number(&folder, "memory.max").map(|bytes| bytes >> 20),
        pids: number(&folder, "pids.current").unwrap_or(0),
        pids_limit: number(&folder, "pids.max"),
        oom_kills: field(&folder, "memory.events", "oom_kill").unwrap_or(0),
    })
}

/// The number that a file holds; `None` also for `max`.
fn number(folder: &Path, file: &str) -> Option<u64> {
    let text = fs::read_to_string(folder.join(file)).ok()?;
    text.trim().parse().ok()
}

/// One line `NAME NUMBER` of a file.
fn field(folder: &Path, file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(folder.join(file)).ok()?;
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(key, _)| *key == name)
        .and_then(|(_, value)| value.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, files: &[(&str, &str)]) {
        fs::create_dir_all(folder).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
    }

    #[test]
    fn the_first_version_of_control_groups() {
        let root = tempfile::tempdir().unwrap();
        write(
            &root.path().join("memory/libpod-1"),
            &[
                ("memory.usage_in_bytes", "67108864\n"),
                ("memory.max_usage_in_bytes", "73400320\n"),
                ("memory.limit_in_bytes", "134217728\n"),
                ("memory.stat", "cache 1\ntotal_inactive_file 4194304\n"),
                ("memory.oom_control", "under_oom 0\noom_kill 2\n"),
            ],
        );
        let pids = [("pids.current", "5\n"), ("pids.max", "max\n")];
        write(&root.path().join("pids/libpod-1"), &pids);
        let table = "12:pids:/libpod-1\n4:cpu,cpuacct:/\n3:memory:/libpod-1\n0::/\n";
        let expected = Usage {
            memory_mb: 60,
            memory_peak_mb: Some(70),
            memory_limit_mb: Some(128),
            pids: 5,
            pids_limit: None,
            oom_kills: 2,
        };
        assert_eq!(read(table, root.path()), Some(expected));
    }

    #[test]
    fn the_second_version_with_limits_one_level_up() {
        let root = tempfile::tempdir().unwrap();
        let scope = root.path().join("machine.slice/libpod-1.scope");
        write(
            &scope.join("container"),
            &[("memory.current", "1\n"), ("memory.max", "max\n")],
        );
        write(
            &scope,
            &[
                ("memory.current", "52428800\n"),
                ("memory.max", "67108864\n"),
                ("memory.stat", "inactive_file 10485760\n"),
                ("memory.events", "low 0\noom 1\noom_kill 1\n"),
                ("pids.current", "7\n"),
                ("pids.max", "64\n"),
            ],
        );
        let found = read("0::/machine.slice/libpod-1.scope/container\n", root.path());
        let expected = Usage {
            memory_mb: 40,
            memory_peak_mb: None,
            memory_limit_mb: Some(64),
            pids: 7,
            pids_limit: Some(64),
            oom_kills: 1,
        };
        assert_eq!(found, Some(expected));
    }

    #[test]
    fn what_cannot_be_read_is_not_guessed() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(read("0::/nowhere\n", root.path()), None);
        assert_eq!(read("", root.path()), None);
        assert_eq!(of_process(u32::MAX), None);
    }

    #[test]
    fn limits_are_those_of_the_containers_own_group() {
        let root = tempfile::tempdir().unwrap();
        let at = |below: &str| root.path().join(below);
        write(
            &at("memory/parent/libpod-ab"),
            &[("memory.limit_in_bytes", "134217728\n")],
        );
        let cpu = [
            ("cpu.cfs_quota_us", "150000\n"),
            ("cpu.cfs_period_us", "100000\n"),
        ];
        write(&at("cpu/parent/libpod-ab"), &cpu);
        write(&at("pids/parent/libpod-ab"), &[("pids.max", "64\n")]);
        let table = "3:memory:/parent/libpod-ab\n2:cpu,cpuacct:/parent/libpod-ab\n1:pids:/parent/libpod-ab\n";
        let found = ResourceLimits {
            memory: Some(128 << 20),
            cpus: Some(1.5),
            pids: Some(64),
        };
        assert_eq!(limits(table, root.path(), "ab"), found);
        // Where podman has no rights the process stays in its parent's group.
        assert_eq!(limits(table, root.path(), "cd"), ResourceLimits::default());

        let scope = at("machine.slice/libpod-ef.scope");
        write(&scope.join("container"), &[("memory.max", "max\n")]);
        let files = [
            ("memory.max", "134217728\n"),
            ("cpu.max", "150000 100000\n"),
            ("pids.max", "64\n"),
        ];
        write(&scope, &files);
        let table = "0::/machine.slice/libpod-ef.scope/container\n";
        assert_eq!(limits(table, root.path(), "ef"), found);
        write(
            &scope,
            &[
                ("memory.max", "max\n"),
                ("cpu.max", "max 100000\n"),
                ("pids.max", "max\n"),
            ],
        );
        assert_eq!(limits(table, root.path(), "ef"), ResourceLimits::default());
    }
}
