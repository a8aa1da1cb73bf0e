//! Which limit ends first, where warnings begin, and what each file of the
//! kernel says.

use model::{
    plan::state::{Container, Status},
    system,
};

use super::{
    read::{Cgroup, Readings, Whose, readings},
    *,
};
use crate::host::{capacity::quota::Quota, look::Look};

fn quota(allows: u64, used: u64) -> Quota {
    Quota { allows, used }
}

fn demand(agents: u64) -> Demand {
    Demand {
        of: 1,
        ..Demand::default()
    }
    .new_agents(agents)
}

fn limit(name: &str, quota: Quota, each: f64) -> HostLimit {
    HostLimit::new("capacity-files", name, quota, each)
}

#[test]
fn the_first_to_run_out_is_named() {
    let limits = vec![
        limit("wide", quota(1000, 0), 1.0),
        limit("narrow", quota(100, 50), 4.0),
        limit("not used", quota(0, 0), 0.0),
    ];
    let capacity = Capacity::new(limits, &demand(3));
    assert_eq!(capacity.room, Some(12));
    let line = capacity.line().expect("limits");
    assert_eq!(
        line,
        "room for 12 more agents: narrow is the first to run out"
    );
    let names: Vec<&str> = capacity
        .limits
        .iter()
        .map(|limit| limit.name.as_str())
        .collect();
    assert_eq!(names, ["narrow", "wide"]);
    assert_eq!(Capacity::new(Vec::new(), &demand(3)).line(), None);
}

#[test]
fn a_warning_comes_when_a_fifth_of_the_room_would_be_left() {
    let judged = |agents: u64, hard: bool| {
        let limit = HostLimit {
            hard,
            ..limit("files", quota(20, 0), 2.0)
        };
        limit.judge(&demand(agents)).map(|finding| finding.severity)
    };
    assert_eq!(judged(0, true), None);
    assert_eq!(judged(8, true), None);
    assert_eq!(judged(9, true), Some(HostSeverity::Warning));
    assert_eq!(judged(10, true), Some(HostSeverity::Warning));
    assert_eq!(judged(11, true), Some(HostSeverity::Error));
    assert_eq!(judged(11, false), Some(HostSeverity::Warning));
    // More used than allowed, as after the setting was lowered.
    let over = limit("files", quota(10, 20), 1.0);
    assert_eq!(over.room, 0);
}

#[test]
fn the_fix_would_do_for_twice_as_many() {
    let limit = HostLimit {
        remedy: Remedy::Sysctl("kernel.keys.maxkeys"),
        ..limit("keys", quota(200, 190), 1.0)
    };
    let finding = limit.judge(&demand(192)).expect("an error");
    let fix = finding.fix.expect("a fix");
    assert!(
        fix.contains("'kernel.keys.maxkeys = 1024' > /etc/sysctl.d/90-kernel-keys-maxkeys.conf"),
        "{fix}"
    );
    assert!(
        finding
            .evidence
            .starts_with("190 of 200 used, an agent takes 1; beyond that")
    );
}

/// The plan's manifest: a group's network has a share of the agents, the
/// backbone has all of them.
#[test]
fn networks_are_counted_by_the_mixture_of_agents() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let source = system::Source {
        manifest: root.join("containers/system.toml"),
        monorepo: None,
    };
    let system = system::load(&source).expect("the real manifest");
    let agents: Vec<&Agent> = system
        .agents
        .iter()
        .filter(|agent| !agent.optional)
        .collect();
    let mut state = State::default();
    let running = Container {
        status: Status::Running,
        networks: ["ai-system-network".to_owned()].into(),
        ..Container::default()
    };
    state.containers.insert("somebody-elses".into(), running);
    let ours = Container {
        status: Status::Running,
        ..Container::default()
    };
    state.containers.insert(agents[0].container.clone(), ours);
    let demand = Demand::of(&system, &state, &agents);
    assert_eq!((demand.created, demand.started), (7, 7));
    let limits = limits::limits(&system, &state, &demand, &Readings::default(), true);
    let found = |name: &str| {
        let limit = limits
            .iter()
            .find(|limit| limit.name == name)
            .expect("a limit");
        (limit.allows, limit.used, limit.each)
    };
    let backbone = "ports of the bridge of ai-system-network";
    assert_eq!(found(backbone), (1023, 1, 1.0));
    // Half of a /16 is the range that others get addresses from.
    assert_eq!(
        found("fixed addresses of core-services-network"),
        (32_765, 0, 0.5)
    );
    assert_eq!(found("dynamic addresses of ai-system-network").1, 1);
}

#[test]
fn stopped_containers_are_started_and_not_created() {
    let locks = HostLimit {
        counts: Counts::Created,
        ..limit("locks", quota(10, 10), 1.0)
    };
    let demand = Demand {
        created: 0,
        started: 5,
        of: 5,
        ..Demand::default()
    };
    assert!(locks.judge(&demand).is_none());
    assert!(limit("tasks", quota(10, 10), 1.0).judge(&demand).is_some());
}

#[test]
fn a_rootless_podman_on_cgroups_v2() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    };
    write(
        "proc/key-users",
        "    0: 9 8/8 3/1000000 48/25000000\n 1000: 2 2/2 7/200 280/20000\n",
    );
    write("proc/sys/kernel/keys/maxkeys", "200\n");
    write("proc/sys/kernel/keys/maxbytes", "20000\n");
    write("proc/sys/fs/inotify/max_user_instances", "128\n");
    write(
        "proc/self/cgroup",
        "0::/user.slice/user-1000.slice/session-3.scope\n",
    );
    let slice = "sys/fs/cgroup/user.slice/user-1000.slice";
    write(&format!("{slice}/pids.max"), "10000\n");
    write(&format!("{slice}/pids.current"), "321\n");
    write(&format!("{slice}/session-3.scope/pids.max"), "max\n");
    write("proc/loadavg", "0.52 0.31 0.20 2/512 4242\n");
    write("proc/sys/kernel/pid_max", "32768\n");
    write("proc/sys/fs/file-nr", "2048\t0\t65536\n");
    write(
        "proc/net/stat/arp_cache",
        "entries allocs\n0000001f 0\n0000001f 0\n",
    );
    write("proc/sys/net/ipv4/neigh/default/gc_thresh3", "1024\n");
    write(
        "proc/meminfo",
        "MemTotal: 2097152 kB\nMemFree: 1 kB\nMemAvailable: 1048576 kB\n",
    );
    let whose = Whose {
        rootless: Some(1000),
        cgroups_v2: true,
        storage_root: "/home/alice".into(),
        nproc: None,
    };
    let read = readings(&Look::below(folder.path()), &whose, &State::default());
    assert_eq!(read.keys, Some(quota(200, 7)));
    assert_eq!(read.key_bytes, Some(quota(20_000, 280)));
    assert_eq!(read.inotify, Some(quota(128, 0)));
    let path = "/user.slice/user-1000.slice".to_owned();
    let tasks = quota(10_000, 321);
    assert_eq!(read.cgroups, [Cgroup { path, tasks }]);
    assert_eq!(read.pids, Some(quota(32_768, 512)));
    assert_eq!(read.threads, None);
    assert_eq!(read.files, Some(quota(65_536, 2048)));
    assert_eq!(read.neighbours, Some(quota(1024, 31)));
    assert_eq!(read.memory_mb, Some(quota(2048, 1024)));
    assert_eq!(read.locks, Some(quota(2048, 0)));
    let root = Whose {
        rootless: None,
        ..whose
    };
    let read = readings(&Look::below(folder.path()), &root, &State::default());
    assert_eq!(read.keys, None, "root's setting is another file");
}

#[test]
fn this_hosts_inotify_instances_are_counted() {
    let whose = Whose {
        rootless: Some(rustix::process::getuid().as_raw()),
        cgroups_v2: true,
        storage_root: "/".into(),
        nproc: None,
    };
    let read = readings(&Look::below("/"), &whose, &State::default());
    assert!(read.inotify.expect("a limit").allows > 0);
}
