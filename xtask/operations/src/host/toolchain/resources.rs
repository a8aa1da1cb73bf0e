//! Findings about memory, processors, disk and the clock.

use std::collections::BTreeSet;

use diagnostics::words::bytes;
use model::{
    plan::{State, pointer_tag},
    system::{Agent, Image, System},
};

use super::super::{
    capacity::read::meminfo_mb,
    findings::{HostFinding, HostSeverity},
};
use crate::podman::facts::Facts;

/// What the images of the reference take for themselves, by what they add; the
/// sum of the right-hand column of docs/benchmarks.md, "Images", rounded up.
const LIST_BYTES: &[(&str, u64)] = &[
    ("core", 120_000_000),
    ("shared", 5_100_000_000),
    ("gpu", 800_000_000),
    ("audio", 800_000_000),
    ("test", 50_000_000),
];
/// A list that only this monorepo has.
const OTHER_LIST_BYTES: u64 = 500_000_000;
/// The base image.
const BASE_BYTES: u64 = 250_000_000;
/// Code, and what cannot be known.
const IMAGE_BYTES: u64 = 20_000_000;
/// Below this nothing works for long: logs, layers of containers.
const TIGHT_BYTES: u64 = 2_000_000_000;

/// Disk that building what is missing takes. `free` is what podman's storage
/// has.
pub fn space(
    facts: &Facts,
    free: u64,
    system: &System,
    state: &State,
    agents: &[&Agent],
) -> HostFinding {
    let missing = missing(system, state, agents);
    let needed = needed(system, &missing, facts.storage_driver == "vfs");
    let place = facts.storage_root.display();
    let evidence = match missing.len() {
        0 => format!("{} free at {place}; all images are there", bytes(free)),
        count => format!(
            "{} free at {place}; building {count} images takes about {}: {}",
            bytes(free),
            bytes(needed),
            missing.iter().copied().collect::<Vec<_>>().join(", ")
        ),
    };
    let fix = "free some space: `podman system df` shows what podman holds, `podman image prune` removes what nothing uses";
    if free < TIGHT_BYTES {
        return HostFinding::new(
            "storage-space",
            HostSeverity::Error,
            "the disk is nearly full",
            evidence,
            fix,
        );
    }
    if free < needed {
        let title = "the images may not fit on the disk";
        return HostFinding::new("storage-space", HostSeverity::Warning, title, evidence, fix);
    }
    HostFinding::ok("storage-space", "enough disk space", evidence)
}

/// Images that the agents need and podman does not have, the base included.
fn missing<'s>(system: &'s System, state: &State, agents: &[&'s Agent]) -> BTreeSet<&'s str> {
    let mut found = BTreeSet::new();
    for agent in agents {
        let below = system.chain(&agent.image).filter_map(Image::parent);
        let names = std::iter::once(agent.image.as_str()).chain(below);
        found.extend(names.filter(|name| !state.images.contains_key(&pointer_tag(system, name))));
    }
    found
}

/// The images, what builds download and keep, about as much again, and for a
/// moment the largest twice. vfs keeps a whole copy of all below in each image.
fn needed(system: &System, missing: &BTreeSet<&str>, vfs: bool) -> u64 {
    let own = |name: &str| system.images.get(name).map_or(BASE_BYTES, own_bytes);
    let whole = |name: &str| {
        let below = system.chain(name).filter_map(Image::parent);
        own(name) + below.map(own).sum::<u64>()
    };
    let sizes: Vec<u64> = missing
        .iter()
        .map(|name| if vfs { LAYERS * whole(name) } else { own(name) })
        .collect();
    let downloads: u64 = missing.iter().map(|name| own(name)).sum();
    sizes.iter().sum::<u64>() + downloads + sizes.iter().max().copied().unwrap_or(0)
}

/// Layers that an image adds where each is a full copy.
const LAYERS: u64 = 2;

fn own_bytes(image: &Image) -> u64 {
    let known = |list: &String| LIST_BYTES.iter().find(|(name, _)| name == list);
    let lists = image.lists().iter();
    let lists: u64 = lists
        .map(|list| known(list).map_or(OTHER_LIST_BYTES, |(_, size)| *size))
        .sum();
    IMAGE_BYTES + lists
}

/// The agents' limits against what the host has; `count` agents of this
/// mixture. `meminfo` is the text of `/proc/meminfo`.
pub fn memory(agents: &[&Agent], count: u64, meminfo: &str) -> Option<HostFinding> {
    let total_mb = meminfo_mb(meminfo, "MemTotal")?;
    let limits_mb: u64 = agents.iter().map(|agent| agent.memory_mb).sum();
    let limits_mb = scaled(limits_mb as f64, agents, count) as u64;
    let evidence = format!("limits add up to {limits_mb} MB, the host has {total_mb} MB");
    Some(if limits_mb > total_mb {
        HostFinding::new(
            "memory-budget",
            HostSeverity::Warning,
            "the agents may together use more memory than there is",
            evidence,
            "lower memory_mb in the manifest, or deploy fewer agents",
        )
    } else {
        HostFinding::ok("memory-budget", "the agents' memory limits fit", evidence)
    })
}

/// Processors are shared without harm, so that only a great excess is worth a
/// warning.
pub fn cpus(agents: &[&Agent], count: u64, processors: usize) -> HostFinding {
    const CROWDED: f64 = 8.0;
    let limits: f64 = agents.iter().map(|agent| agent.cpus).sum();
    let limits = scaled(limits, agents, count);
    let evidence = format!("limits add up to {limits:.1} processors, the host has {processors}");
    let fix = "lower cpus in the manifest, or deploy fewer agents; raise start_timeout_s if agents start too slowly";
    let share = limits / processors.max(1) as f64;
    if share > CROWDED {
        let title = "the agents will be short of processor time when all are busy";
        return HostFinding::new("cpu-budget", HostSeverity::Warning, title, evidence, fix);
    }
    if share > 1.0 {
        let title = "the agents share the processors when all are busy";
        return HostFinding::new("cpu-budget", HostSeverity::Info, title, evidence, fix);
    }
    HostFinding::ok("cpu-budget", "the agents' processor limits fit", evidence)
}

/// A sum over `agents` for `count` of the same mixture.
fn scaled(sum: f64, agents: &[&Agent], count: u64) -> f64 {
    sum * count as f64 / agents.len().max(1) as f64
}

/// Seconds since 1970: now, and when this tool was built. A clock that is
/// behind makes certificates "not yet valid".
pub fn clock(now_s: i64, built_s: i64) -> Option<HostFinding> {
    const DAY_S: i64 = 86_400;
    let behind_s = built_s - now_s;
    (behind_s > DAY_S).then(|| {
        HostFinding::new(
            "clock",
            HostSeverity::Warning,
            "this host's clock is wrong",
            format!("it is {} days before this tool was built", behind_s / DAY_S),
            "as root: timedatectl set-ntp true, or date --set; else certificates count as not yet valid and nothing can be downloaded",
        )
    })
}
