//! Findings about podman and this host, measured against the manifest.

use std::{collections::BTreeSet, fs, net::Ipv4Addr, path::Path};

use super::{
    findings::{Finding, Severity},
    ports,
};
use crate::{
    plan::{State, image_tag},
    podman::{
        Engine,
        caps::{FEATURES, Version},
        engine::Facts,
        quirks::Proof,
    },
    system::{BaseSource, Subnet, System},
};

/// Free space below which the large images will not fit: torch with its CUDA
/// libraries alone takes 5.3 GB, and a build holds it twice for a moment.
const ROOMY_BYTES: u64 = 25_000_000_000;
/// Below this not even the small images fit.
const TIGHT_BYTES: u64 = 2_000_000_000;
/// vfs copies the whole image for every layer.
const VFS_ROOMY_BYTES: u64 = 120_000_000_000;

/// Everything that can be said without running a container; memory and ports
/// are looked at for the `chosen` agents only.
pub fn findings(
    engine: &Engine,
    system: &System,
    state: &State,
    chosen: &BTreeSet<String>,
) -> Vec<Finding> {
    let facts = &engine.facts;
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let mut found = vec![version(&engine.podman.program, facts)];
    found.extend(features(facts.version));
    found.extend(network_backend(facts));
    if !facts.remote {
        found.extend(network_tools(&on_path));
    }
    if facts.rootless {
        found.extend(limits(facts));
        let uid = rustix::process::getuid().as_raw().to_string();
        let name = user_name(&read("/etc/passwd"), &uid).unwrap_or_else(|| uid.clone());
        for file in ["/etc/subuid", "/etc/subgid"] {
            found.extend(subids(file, &read(file), &name, &uid));
        }
    }
    found.extend(vfs(facts));
    if let Some(free) = free_bytes(&facts.storage_root) {
        found.push(space(facts, free));
    }
    found.extend(memory(system, chosen, &read("/proc/meminfo")));
    found.extend(ports_taken(system, state, chosen));
    found.extend(routes(system, state, &read("/proc/net/route")));
    found.extend(base_sources(system, state, &on_path));
    found.extend(relaxations(system));
    found
}

/// The proof that containers run, and what it took.
pub fn proof(engine: &Engine) -> Vec<Finding> {
    engine.proof.as_ref().map(proven).unwrap_or_default()
}

fn proven(proof: &Proof) -> Vec<Finding> {
    let ran = format!(
        "a container ran in {:.2} s with {}",
        proof.run_ms as f64 / 1e3,
        proof.quirks
    );
    let mut found = vec![Finding::ok("engine-runs", "podman runs containers", ran)];
    if !proof.rejected.is_empty() {
        let reasons: Vec<String> = proof
            .rejected
            .iter()
            .map(|(set, why)| format!("{set}: {why}"))
            .collect();
        found.push(Finding::new(
            "engine-quirks",
            Severity::Info,
            "podman's defaults do not work here; every call carries explicit options",
            reasons.join("; "),
            format!(
                "nothing to do; to use podman by hand, add: {}",
                proof.quirks
            ),
        ));
    }
    found
}

fn version(program: &Path, facts: &Facts) -> Finding {
    let mode = if facts.rootless {
        "rootless"
    } else {
        "rootful"
    };
    Finding::ok(
        "podman-version",
        format!("podman {}, {mode}", facts.version),
        format!(
            "{}; runtime {}, cgroups {} through {}, storage {} at {}",
            program.display(),
            facts.runtime,
            facts.cgroup_version,
            facts.cgroup_manager,
            facts.storage_driver,
            facts.storage_root.display(),
        ),
    )
}

fn features(version: Version) -> impl Iterator<Item = Finding> {
    FEATURES
        .iter()
        .filter(move |feature| !version.has(feature))
        .map(move |feature| {
            Finding::new(
                "podman-feature",
                Severity::Info,
                format!(
                    "podman {version} lacks {} (since {})",
                    feature.name, feature.since
                ),
                feature.without,
                "nothing to do; a newer podman has it",
            )
        })
}

fn network_backend(facts: &Facts) -> Option<Finding> {
    let backend = &facts.network_backend;
    (backend != "netavark").then(|| {
        Finding::new(
            "network-backend",
            Severity::Error,
            format!("podman's network backend is `{backend}`, not netavark"),
            "CNI refuses fixed addresses outside the dynamic range (podman issue 12922)",
            "install netavark and aardvark-dns, set network_backend = \"netavark\" in the [network] section of /etc/containers/containers.conf, then `podman system reset`",
        )
    })
}

/// Root's folders are not on every user's PATH.
fn on_path(program: &str) -> bool {
    which::which(program).is_ok() || Path::new("/usr/sbin").join(program).exists()
}

fn network_tools(installed: &dyn Fn(&str) -> bool) -> Option<Finding> {
    let any = ["iptables", "nft"].into_iter().any(installed);
    (!any).then(|| {
        Finding::new(
            "firewall-tool",
            Severity::Error,
            "neither iptables nor nft is installed",
            "netavark calls one of them to publish ports; without it podman says only `netavark: No such file or directory` (podman issue 22261)",
            "install iptables or nftables",
        )
    })
}

fn limits(facts: &Facts) -> Option<Finding> {
    (facts.cgroup_version == "v1").then(|| {
        Finding::new(
            "rootless-limits",
            Severity::Warning,
            "memory, cpu and process limits are ignored",
            "rootless podman cannot set limits on cgroups v1",
            "boot with systemd.unified_cgroup_hierarchy=1, or run as root",
        )
    })
}

/// `text` is that of `/etc/subuid` or `/etc/subgid`: `name:first:count` lines.
fn subids(file: &str, text: &str, name: &str, uid: &str) -> Option<Finding> {
    let mut owners = text.lines().filter_map(|line| line.split(':').next());
    (!owners.any(|owner| owner == name || owner == uid)).then(|| {
        Finding::new(
            "rootless-subids",
            Severity::Error,
            format!("user `{name}` has no range in {file}"),
            "rootless containers cannot have an unprivileged user without one",
            format!("usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}"),
        )
    })
}

/// `passwd` is the text of `/etc/passwd`.
fn user_name(passwd: &str, uid: &str) -> Option<String> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.get(2) == Some(&uid)).then(|| fields[0].to_owned())
    })
}

fn vfs(facts: &Facts) -> Option<Finding> {
    (facts.storage_driver == "vfs").then(|| {
        Finding::new(
            "storage-vfs",
            Severity::Warning,
            "the storage driver is vfs: every layer is a full copy",
            "the gpu and audio images hold 6 to 8 GB in about ten layers each, so they will take more than 100 GB",
            "make /dev/fuse available and install fuse-overlayfs, or use a kernel with rootless overlay (5.13 or later)",
        )
    })
}

fn space(facts: &Facts, free: u64) -> Finding {
    let evidence = format!(
        "{} free at {}",
        crate::ui::bytes(free),
        facts.storage_root.display()
    );
    let roomy = match facts.storage_driver.as_str() {
        "vfs" => VFS_ROOMY_BYTES,
        _ => ROOMY_BYTES,
    };
    match free {
        0..TIGHT_BYTES => Finding::new(
            "storage-space",
            Severity::Error,
            "the disk is nearly full",
            evidence,
            "free some space; `podman system df` shows what podman holds",
        ),
        _ if free < roomy => Finding::new(
            "storage-space",
            Severity::Warning,
            "the gpu and audio images may not fit on the disk",
            evidence,
            format!(
                "{} free are enough for a first build",
                crate::ui::bytes(roomy)
            ),
        ),
        _ => Finding::ok("storage-space", "enough disk space", evidence),
    }
}

/// Free space for this user on the file system that holds `path` or, where it
/// does not exist yet, its nearest ancestor.
fn free_bytes(path: &Path) -> Option<u64> {
    let existing = path.ancestors().find(|ancestor| ancestor.exists())?;
    let stat = rustix::fs::statvfs(existing).ok()?;
    Some(stat.f_bavail * stat.f_frsize)
}

/// `meminfo` is the text of `/proc/meminfo`.
fn memory(system: &System, chosen: &BTreeSet<String>, meminfo: &str) -> Option<Finding> {
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"))?;
    let total_mb = line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024;
    let agents = system
        .agents
        .iter()
        .filter(|agent| chosen.contains(&agent.name));
    let limits_mb: u64 = agents.map(|agent| agent.memory_mb).sum();
    let evidence = format!("limits add up to {limits_mb} MB, the host has {total_mb} MB");
    Some(if limits_mb > total_mb {
        Finding::new(
            "memory-budget",
            Severity::Warning,
            "the agents may together use more memory than there is",
            evidence,
            "lower memory_mb in the manifest, or deploy fewer agents",
        )
    } else {
        Finding::ok("memory-budget", "the agents' memory limits fit", evidence)
    })
}

/// Ports that agents without a running container publish and others hold.
fn ports_taken(system: &System, state: &State, chosen: &BTreeSet<String>) -> Vec<Finding> {
    let idle = system.agents.iter().filter(|agent| {
        let found = state.containers.get(&agent.container);
        chosen.contains(&agent.name) && !found.is_some_and(|found| found.running())
    });
    idle.flat_map(|agent| {
        let published = agent.host_port.into_iter().chain([agent.host_health_port]);
        published.map(move |port| (agent, port))
    })
    .filter(|(_, port)| std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_err())
    .map(|(agent, port)| {
        let owner = ports::owner(port).map_or_else(
            || "by another user's process".to_owned(),
            |(name, pid)| format!("by `{name}` (process {pid})"),
        );
        Finding::new(
            "port-taken",
            Severity::Error,
            format!("port {port}, which {} publishes, is taken", agent.name),
            format!("127.0.0.1:{port} is held {owner}"),
            "end that process, or set host_port or host_health_port in the manifest",
        )
    })
    .collect()
}

/// Routes of the host that the manifest's networks would hide. `table` is the
/// text of `/proc/net/route`.
fn routes(system: &System, state: &State, table: &str) -> Vec<Finding> {
    let routes: Vec<(String, Subnet)> = table.lines().skip(1).filter_map(route).collect();
    let missing = system
        .networks
        .iter()
        .filter(|(name, _)| !state.networks.contains_key(*name));
    missing
        .flat_map(|(name, network)| {
            let clash = routes
                .iter()
                .find(|(_, subnet)| subnet.overlaps(&network.subnet));
            clash.map(|(interface, subnet)| {
                Finding::new(
                    "subnet-overlap",
                    Severity::Error,
                    format!(
                        "network `{name}` ({}) overlaps a route of this host",
                        network.subnet
                    ),
                    format!("{subnet} goes through {interface}"),
                    "choose another subnet in the manifest",
                )
            })
        })
        .collect()
}

/// A line of `/proc/net/route`: addresses are little-endian hexadecimal. The
/// default route covers everything and clashes with nothing.
pub fn route(line: &str) -> Option<(String, Subnet)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let number = |text: &str| u32::from_str_radix(text, 16).ok().map(u32::swap_bytes);
    let base = number(fields.get(1)?)?;
    let mask = number(fields.get(7)?)?;
    (mask != 0).then(|| {
        let subnet = Subnet {
            base: Ipv4Addr::from(base),
            prefix: mask.count_ones() as u8,
        };
        (fields[0].to_owned(), subnet)
    })
}

fn base_sources(
    system: &System,
    state: &State,
    installed: &dyn Fn(&str) -> bool,
) -> Option<Finding> {
    let allowed = |source| system.base.sources.contains(&source);
    let present = state.images.contains_key(&image_tag(&system.base.name));
    let bootstrap = allowed(BaseSource::Bootstrap) && installed("mmdebstrap");
    if present || bootstrap {
        return None;
    }
    if !allowed(BaseSource::Pull) {
        return Some(Finding::new(
            "base-image",
            Severity::Error,
            "the base image does not exist and cannot be made here",
            "of its sources in the manifest none works on this host",
            "allow `pull` or `bootstrap` in `sources` of [base]; `cargo xtask up --install` installs mmdebstrap",
        ));
    }
    Some(Finding::new(
        "base-image",
        Severity::Warning,
        "the base image must be pulled from a registry",
        "it is not present, and it cannot be bootstrapped with mmdebstrap",
        "`cargo xtask up --install` installs mmdebstrap",
    ))
}

fn relaxations(system: &System) -> Vec<Finding> {
    let relaxed = system.agents.iter().flat_map(|agent| {
        let relax = &agent.relax;
        let writable = relax
            .writable_root
            .iter()
            .map(|why| ("a writable root".to_owned(), why));
        let root = relax
            .root_user
            .iter()
            .map(|why| ("the root user".to_owned(), why));
        let capabilities = relax
            .capabilities
            .iter()
            .map(|(name, why)| (format!("the capability {name}"), why));
        writable
            .chain(root)
            .chain(capabilities)
            .map(move |(what, why)| (agent, what, why))
    });
    relaxed
        .map(|(agent, what, why)| {
            Finding::new(
                "relaxed-security",
                Severity::Info,
                format!("{} has {what}", agent.name),
                format!("reason given in the manifest: {why}"),
                "remove it from `relax` in the manifest if it is no longer needed",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests;
