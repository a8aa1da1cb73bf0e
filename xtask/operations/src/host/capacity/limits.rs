//! What one agent more takes of each limit. Pure: from readings, the engine's
//! state and the demand to limits with their room.
//!
//! The numbers are what an agent takes at the least: a limit that is said to
//! end must really end. They were measured with podman 4.3.1, conmon 2.1.6 and
//! runc 1.1.5 on the eight agents of the reference, deployed and idle.

use model::{plan::State, system::System};

use super::{
    Counts, Demand, HostLimit, Remedy,
    read::{Readings, key_settings},
};
use crate::host::capacity::quota::Quota;

/// A session keyring for each container, made by the runtime: 3 keys without
/// containers, 11 with eight.
const KEYS: f64 = 1.0;
/// What these keys count: 48 bytes without containers, 608 with eight. It is the
/// keyring's name, `_ses.` and 64 letters, and what ends it.
const KEY_BYTES: f64 = 70.0;
/// conmon watches `memory.events` of its container on cgroups v2
/// (`setup_oom_handling_cgroup_v2` in conmon's `cgroup.c`). Not measured.
const INOTIFY: f64 = 1.0;
/// conmon and the init have one each; Python with ZeroMQ has 6 to 15.
const TASKS: f64 = 8.0;
/// Of these, those that are the agent's own user: all but conmon.
const OWN_TASKS: f64 = 7.0;
/// conmon holds 21, the init 3, Python 25 to 31.
const FILES: f64 = 49.0;
/// In MiB: Python's own share is 30 to 44, conmon has 2.
const MEMORY_MB: f64 = 32.0;
/// podman's record of a container, and its log: `--log-opt max-size=10mb`.
const DISK_MB: f64 = 10.0;
/// Ports of a Linux bridge are numbers of ten bits, and 0 is none
/// (`BR_MAX_PORTS` in the kernel's `br_private.h`).
const BRIDGE_PORTS: u64 = 1023;
/// Entries for each network that an agent is on: its own at the host, and the
/// gateway's at the agent. With those of its peers that makes 7 for an agent of
/// the reference; 10 to 12 were counted, some of which the kernel may drop.
const NEIGHBOURS: f64 = 2.0;

/// All limits that are known of.
pub fn limits(
    system: &System,
    state: &State,
    demand: &Demand,
    read: &Readings,
    root: bool,
) -> Vec<HostLimit> {
    let mut limits = keys(read, root);
    limits.extend(processes(read));
    limits.extend(engine(read));
    limits.extend(host(read, demand));
    limits.extend(networks(system, state, demand));
    limits
}

fn keys(read: &Readings, root: bool) -> Vec<HostLimit> {
    let (count, bytes) = key_settings(root);
    let limit = |quota: Quota, name: &'static str, each: f64| HostLimit {
        beyond: "the runtime says `unable to join session keyring: disk quota exceeded`",
        remedy: Remedy::Sysctl(name),
        ..HostLimit::new("capacity-keys", name, quota, each)
    };
    let count = read.keys.map(|quota| limit(quota, count, KEYS));
    let bytes = read.key_bytes.map(|quota| limit(quota, bytes, KEY_BYTES));
    count.into_iter().chain(bytes).collect()
}

fn processes(read: &Readings) -> Vec<HostLimit> {
    const BEYOND: &str = "nothing can be started: `resource temporarily unavailable`";
    let global = [
        ("kernel.pid_max", read.pids),
        ("kernel.threads-max", read.threads),
    ];
    let global = global.into_iter().filter_map(|(name, quota)| {
        Some(HostLimit {
            beyond: BEYOND,
            remedy: Remedy::Sysctl(name),
            ..HostLimit::new("capacity-processes", name, quota?, TASKS)
        })
    });
    let groups = read.cgroups.iter().map(|group| HostLimit {
        beyond: BEYOND,
        remedy: Remedy::Words(tasks_max(&group.path)),
        ..HostLimit::new(
            "capacity-processes",
            format!("pids.max of {}", group.path),
            group.tasks,
            TASKS,
        )
    });
    let own = read.nproc.map(|quota| HostLimit {
        beyond: "agents cannot start threads; all of them are one user, whose processes are counted together",
        remedy: Remedy::Words(
            "raise the hard limit on processes (nproc in /etc/security/limits.conf), log in again, and `cargo xtask check-toolchain`".into(),
        ),
        ..HostLimit::new("capacity-processes", "nproc of the agents' user", quota, OWN_TASKS)
    });
    global.chain(groups).chain(own).collect()
}

/// systemd's setting for a slice or service; by hand for what is neither.
fn tasks_max(path: &str) -> String {
    let unit = path.rsplit('/').next().unwrap_or(path);
    if unit.ends_with(".slice") || unit.ends_with(".service") || unit.ends_with(".scope") {
        return format!("as root: systemctl set-property {unit} TasksMax=infinity");
    }
    format!("as root: echo max > pids.max, in the cgroup {path}")
}

fn engine(read: &Readings) -> Vec<HostLimit> {
    let locks = read.locks.map(|quota| HostLimit {
        beyond: "podman says `allocation failed; exceeded num_locks`",
        counts: Counts::Created,
        remedy: Remedy::Words(
            "num_locks = 8192 in the [engine] section of /etc/containers/containers.conf; stop all containers, then `podman system renumber`".into(),
        ),
        ..HostLimit::new("capacity-locks", "podman's locks (num_locks)", quota, 1.0)
    });
    let namespaces = read.net_namespaces.map(|quota| HostLimit {
        beyond: "podman cannot make a network namespace",
        remedy: Remedy::Sysctl("user.max_net_namespaces"),
        ..HostLimit::new("capacity-namespaces", "user.max_net_namespaces", quota, 1.0)
    });
    // conmon only warns, and the container runs.
    let inotify = read.inotify.map(|quota| HostLimit {
        beyond: "conmon cannot tell that a container ran out of memory, and other programs cannot watch files",
        hard: false,
        remedy: Remedy::Sysctl("fs.inotify.max_user_instances"),
        ..HostLimit::new("capacity-inotify", "fs.inotify.max_user_instances", quota, INOTIFY)
    });
    locks.into_iter().chain(namespaces).chain(inotify).collect()
}

fn host(read: &Readings, demand: &Demand) -> Vec<HostLimit> {
    let files = read.files.map(|quota| HostLimit {
        beyond: "nothing can be opened: `too many open files in system`",
        remedy: Remedy::Sysctl("fs.file-max"),
        ..HostLimit::new("capacity-files", "fs.file-max", quota, FILES)
    });
    let memory = read.memory_mb.map(|quota| HostLimit {
        beyond: "the host swaps or kills processes",
        hard: false,
        remedy: Remedy::Words("end what else runs, or deploy fewer agents".into()),
        ..HostLimit::new("capacity-memory", "memory in MB", quota, MEMORY_MB)
    });
    let disk = read.disk_mb.map(|quota| HostLimit {
        beyond: "logs fill the disk",
        hard: false,
        remedy: Remedy::Words("free some space; `podman system df` shows what podman holds".into()),
        ..HostLimit::new("capacity-disk", "free disk in MB", quota, DISK_MB)
    });
    let attached: u64 = demand
        .networks
        .values()
        .map(|on| on.fixed + on.dynamic)
        .sum();
    let neighbours = NEIGHBOURS * demand.share(attached) + demand.share(demand.peers);
    let table = read.neighbours.map(|quota| HostLimit {
        beyond: "connections fail now and then: `neighbour table overflow` in the kernel's log",
        hard: false,
        remedy: Remedy::Sysctl("net.ipv4.neigh.default.gc_thresh3"),
        ..HostLimit::new(
            "capacity-neighbours",
            "net.ipv4.neigh.default.gc_thresh3",
            quota,
            neighbours,
        )
    });
    files
        .into_iter()
        .chain(memory)
        .chain(disk)
        .chain(table)
        .collect()
}

/// Addresses and ports of each network that the agents attach to.
fn networks(system: &System, state: &State, demand: &Demand) -> Vec<HostLimit> {
    let mut limits = Vec::new();
    for (name, attached) in &demand.networks {
        let Some(network) = system.networks.get(name) else {
            continue;
        };
        let on = |ours: bool| {
            let here = state.containers.values().filter(|found| {
                found.running()
                    && found.networks.contains(name)
                    && found.belongs_to(&system.name) == ours
            });
            here.count() as u64
        };
        let (ours, others) = (on(true), on(false));
        // Without the network's own, the gateway's and the broadcast address.
        let hosts = (1_u64 << (32 - network.subnet.prefix)) - 3;
        let range = network.ip_range.map(|range| 1_u64 << (32 - range.prefix));
        let quotas = [
            (
                attached.fixed,
                hosts - range.unwrap_or(0).min(hosts),
                ours,
                "fixed",
            ),
            (attached.dynamic, range.unwrap_or(hosts), others, "dynamic"),
        ];
        for (agents, allows, used, kind) in quotas {
            let quota = Quota { allows, used };
            limits.push(HostLimit {
                beyond: "there is no address left to give",
                remedy: Remedy::Words(format!("a larger subnet for `{name}` in the manifest")),
                ..HostLimit::new(
                    "capacity-addresses",
                    format!("{kind} addresses of {name}"),
                    quota,
                    demand.share(agents),
                )
            });
        }
        let quota = Quota {
            allows: BRIDGE_PORTS,
            used: ours + others,
        };
        limits.push(HostLimit {
            beyond: "netavark cannot attach a container: `Exchange full`",
            remedy: Remedy::Words(format!("another network beside `{name}` in the manifest")),
            ..HostLimit::new(
                "capacity-bridge",
                format!("ports of the bridge of {name}"),
                quota,
                demand.share(attached.fixed + attached.dynamic),
            )
        });
    }
    limits
}
