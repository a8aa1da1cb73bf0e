//! What this host allows, and what of it is used now.
//!
//! Reads the kernel's files and counts processes; nothing is judged here. What
//! cannot be read is left out.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use model::plan::State;

use super::locks;
use crate::host::{
    capacity::quota::Quota,
    look::{Look, free_bytes},
};

/// Whose limits count, and where podman keeps its things.
#[derive(Debug, Clone)]
pub struct Whose {
    /// The user of a rootless podman; `None` for root's.
    pub rootless: Option<u32>,
    pub cgroups_v2: bool,
    pub storage_root: PathBuf,
    /// Processes that podman allows the user in its containers, if it says so.
    pub nproc: Option<u64>,
}

/// A group of processes that may have so many.
#[derive(Debug, Clone, PartialEq)]
pub struct Cgroup {
    pub path: String,
    pub tasks: Quota,
}

/// Everything that has been read.
#[derive(Debug, Clone, Default)]
pub struct Readings {
    pub keys: Option<Quota>,
    pub key_bytes: Option<Quota>,
    /// Only where conmon takes any, which is on cgroups v2.
    pub inotify: Option<Quota>,
    pub pids: Option<Quota>,
    pub threads: Option<Quota>,
    pub cgroups: Vec<Cgroup>,
    /// Processes of the user that agents are, over all containers.
    pub nproc: Option<Quota>,
    pub locks: Option<Quota>,
    pub files: Option<Quota>,
    pub net_namespaces: Option<Quota>,
    pub neighbours: Option<Quota>,
    pub memory_mb: Option<Quota>,
    pub disk_mb: Option<Quota>,
}

/// The user that agents are inside their containers.
pub const AGENT_UID: u32 = 10_001;

/// Reads everything; takes some milliseconds, and a few microseconds for each
/// process of the host.
pub fn readings(look: &Look, whose: &Whose, state: &State) -> Readings {
    let uid = whose.rootless.unwrap_or(0);
    let (keys, key_bytes) = keys(look, uid);
    let tasks = tasks(&look.text("/proc/loadavg"));
    let against = |name: &str| {
        let (allows, used) = (look.sysctl(name)?, tasks?);
        Some(Quota { allows, used })
    };
    // Volumes hold a lock, too, but listing them is one more call of podman;
    // they are counted only where the locks themselves can be read.
    let holders = state.containers.len() as u64;
    Readings {
        keys,
        key_bytes,
        inotify: whose.cgroups_v2.then(|| inotify(look, uid)).flatten(),
        pids: against("kernel.pid_max"),
        threads: against("kernel.threads-max"),
        cgroups: cgroups(look, whose),
        nproc: nproc(look, whose),
        locks: Some(locks::locks(look, whose.rootless, holders)),
        files: files(&look.text("/proc/sys/fs/file-nr")),
        net_namespaces: net_namespaces(look, whose),
        neighbours: neighbours(look),
        memory_mb: memory(&look.text("/proc/meminfo")),
        disk_mb: free_bytes(&look.path(&whose.storage_root.display().to_string())).map(|free| {
            Quota {
                allows: free / 1_000_000,
                used: 0,
            }
        }),
    }
}

/// A line of `/proc/key-users` is `UID: usage nkeys/nikeys keys/limit
/// bytes/limit` (proc(5), keyrings(7)). A user without keys has none.
fn keys(look: &Look, uid: u32) -> (Option<Quota>, Option<Quota>) {
    let text = look.text("/proc/key-users");
    let line = text.lines().find_map(|line| {
        let (owner, rest) = line.split_once(':')?;
        (owner.trim() == uid.to_string()).then(|| rest.split_whitespace().collect::<Vec<_>>())
    });
    let (count, bytes) = key_settings(uid == 0);
    let quota = |setting: &str, field: usize| {
        let allows = look.sysctl(setting)?;
        let used = line
            .as_ref()
            .and_then(|fields| fields.get(field)?.split('/').next()?.parse().ok());
        Some(Quota {
            allows,
            used: used.unwrap_or(0),
        })
    };
    (quota(count, 2), quota(bytes, 3))
}

/// Root has limits of its own (keyrings(7)).
pub fn key_settings(root: bool) -> (&'static str, &'static str) {
    match root {
        true => ("kernel.keys.root_maxkeys", "kernel.keys.root_maxbytes"),
        false => ("kernel.keys.maxkeys", "kernel.keys.maxbytes"),
    }
}

/// Tasks of the whole host: the fourth word of `/proc/loadavg` is
/// `running/all`.
fn tasks(loadavg: &str) -> Option<u64> {
    let (_, all) = loadavg.split_whitespace().nth(3)?.split_once('/')?;
    all.parse().ok()
}

/// `allocated free maximum`; the second number is always 0 (proc(5)).
fn files(text: &str) -> Option<Quota> {
    let mut numbers = text.split_whitespace().map(|number| number.parse().ok());
    let used = numbers.next()??;
    Some(Quota {
        allows: numbers.nth(1)??,
        used,
    })
}

/// Instances that the user's processes hold; those of other users do not count.
fn inotify(look: &Look, uid: u32) -> Option<Quota> {
    let allows = look.sysctl("fs.inotify.max_user_instances")?;
    let own = processes(look).filter(|(_, owner)| *owner == uid);
    let used = own.map(|(process, _)| inotify_of(&process)).sum();
    Some(Quota { allows, used })
}

fn inotify_of(process: &Path) -> u64 {
    let open = fs::read_dir(process.join("fd")).into_iter().flatten();
    let links = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links
        .filter(|link| link.as_os_str() == "anon_inode:inotify")
        .count() as u64
}

/// The folder of each process, and its user.
fn processes(look: &Look) -> impl Iterator<Item = (PathBuf, u32)> {
    let names = look.names("/proc").into_iter();
    let proc = look.path("/proc");
    names
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .filter_map(move |name| {
            let folder = proc.join(name);
            let uid = fs::metadata(&folder).ok()?.uid();
            Some((folder, uid))
        })
}

/// The limit on processes holds for a user over all containers, and all agents
/// are one user. Rootless it is one of the user's subordinate ids.
fn nproc(look: &Look, whose: &Whose) -> Option<Quota> {
    let allows = whose.nproc?;
    let uid = match whose.rootless {
        None => AGENT_UID,
        Some(_) => return None,
    };
    let own = processes(look).filter(|(_, owner)| *owner == uid);
    let used = own.map(|(process, _)| threads(&process)).sum();
    Some(Quota { allows, used })
}

fn threads(process: &Path) -> u64 {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"));
    line.and_then(|count| count.trim().parse().ok())
        .unwrap_or(1)
}

/// The groups that containers and their monitors will be in, and those above,
/// as far as they have a limit (`TasksMax` of systemd). Rootless containers
/// stay in the user's slice; root's are in `machine.slice` or, without
/// systemd, in `libpod_parent`.
fn cgroups(look: &Look, whose: &Whose) -> Vec<Cgroup> {
    let own = own_cgroup(&look.text("/proc/self/cgroup"), whose.cgroups_v2);
    let mut paths = match whose.rootless {
        Some(_) => own,
        None => vec!["/machine.slice".to_owned(), "/libpod_parent".to_owned()],
    };
    paths.dedup();
    let root = if whose.cgroups_v2 {
        "/sys/fs/cgroup"
    } else {
        "/sys/fs/cgroup/pids"
    };
    let limited = paths.into_iter().filter_map(|path| {
        let number = |file: &str| look.number(&format!("{root}{path}/{file}"));
        let tasks = Quota {
            allows: number("pids.max")?,
            used: number("pids.current").unwrap_or(0),
        };
        Some(Cgroup { path, tasks })
    });
    limited.collect()
}

/// The group of this process and all above, from `/proc/self/cgroup`.
fn own_cgroup(text: &str, v2: bool) -> Vec<String> {
    let path = text.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let wanted = match v2 {
            true => controllers.is_empty(),
            false => controllers.split(',').any(|name| name == "pids"),
        };
        wanted.then_some(path)
    });
    let path = Path::new(path.unwrap_or("/"));
    let above = path.ancestors().filter(|path| *path != Path::new("/"));
    above.map(|path| path.display().to_string()).collect()
}

/// netavark keeps a name for each namespace of a container below `/run/netns`.
fn net_namespaces(look: &Look, whose: &Whose) -> Option<Quota> {
    let folder = match whose.rootless {
        None => "/run/netns".to_owned(),
        Some(uid) => format!("/run/user/{uid}/netns"),
    };
    Some(Quota {
        allows: look.sysctl("user.max_net_namespaces")?,
        used: look.names(&folder).len() as u64,
    })
}

/// The table is one for all namespaces. The first column of the second line of
/// its statistics is the number of entries, in hexadecimal.
fn neighbours(look: &Look) -> Option<Quota> {
    let statistics = look.text("/proc/net/stat/arp_cache");
    let entries = statistics
        .lines()
        .nth(1)
        .and_then(|line| line.split_whitespace().next());
    Some(Quota {
        allows: look.sysctl("net.ipv4.neigh.default.gc_thresh3")?,
        used: entries
            .and_then(|number| u64::from_str_radix(number, 16).ok())
            .unwrap_or(0),
    })
}

/// Memory and what of it cannot be given to anybody.
fn memory(meminfo: &str) -> Option<Quota> {
    let (total, available) = (
        meminfo_mb(meminfo, "MemTotal")?,
        meminfo_mb(meminfo, "MemAvailable")?,
    );
    Some(Quota {
        allows: total,
        used: total.saturating_sub(available),
    })
}

/// A line of `/proc/meminfo`, in MiB.
pub fn meminfo_mb(text: &str, name: &str) -> Option<u64> {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(value.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
}
