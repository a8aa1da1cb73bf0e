//! Where a container is not what it was made as, or not what it should be: what
//! a planner replaces it for.
//!
//! What every listing tells is compared always; what only `podman container
//! inspect` tells, where somebody has asked for it. Compared is what the
//! specification sets and nothing else, since each version of podman adds
//! defaults of its own. What could not be found out is no difference.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    label,
    observed::{Observed, ObservedMount, Publication, capability},
    spec::{self, ContainerNet, ContainerSpec, MountSpec},
    state::Container,
};

/// One setting of a container that is not as its specification has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Difference {
    /// In a word or two: `networks`, `memory`.
    pub setting: &'static str,
    /// What is and what should be.
    pub text: String,
}

/// Why `current` is to be replaced by one made from `wanted`, whose hash is
/// `hash`, and the image with the id `image`; `None`: it is as it should be.
pub fn cause(
    wanted: &ContainerSpec,
    hash: &str,
    image: &str,
    current: &Container,
) -> Option<String> {
    if current.label(label::SPEC) != Some(hash) {
        let files = changed_files(wanted, current);
        if !files.is_empty() && only_files_changed(wanted, current) {
            return summary(&files);
        }
        return Some("its configuration changed".to_owned());
    }
    if current.image_id != image {
        return Some("its image changed".to_owned());
    }
    let found = differences(wanted, current);
    let texts: Vec<String> = found.into_iter().map(|found| found.text).collect();
    summary(&texts)
}

fn only_files_changed(wanted: &ContainerSpec, current: &Container) -> bool {
    let mut before = wanted.clone();
    before.files = files_of(current);
    current.label(label::SPEC) == Some(&spec::hash_of_container(&before))
}

fn summary(texts: &[String]) -> Option<String> {
    match texts {
        [] => None,
        [one] => Some(one.clone()),
        [first, rest @ ..] => Some(format!("{first}; and {} more", rest.len())),
    }
}

/// What the label `label::FILES` says; none without files.
pub fn files_label(files: &BTreeMap<String, String>) -> Option<String> {
    let text = serde_json::to_string(files).expect("texts only");
    Some(text).filter(|_| !files.is_empty())
}

fn files_of(container: &Container) -> BTreeMap<String, String> {
    let text = container.label(label::FILES).unwrap_or_default();
    serde_json::from_str(text).unwrap_or_default()
}

/// None where no file counted for the container, or none does any more: then the
/// manifest has changed, and no file.
fn changed_files(wanted: &ContainerSpec, current: &Container) -> Vec<String> {
    let before = files_of(current);
    if before.is_empty() || wanted.files.is_empty() {
        return Vec::new();
    }
    let words = |name: &String| match (before.get(name), wanted.files.get(name)) {
        (was, is) if was == is => None,
        (Some(_), Some(_)) => Some(format!("{name} changed")),
        (None, _) => Some(format!("{name} is new")),
        (_, None) => Some(format!("{name} is gone")),
    };
    let names: BTreeSet<&String> = before.keys().chain(wanted.files.keys()).collect();
    names.into_iter().filter_map(words).collect()
}

/// All that is known to differ, the networks first.
pub fn differences(wanted: &ContainerSpec, current: &Container) -> Vec<Difference> {
    let mut found = Vec::new();
    attachments(&mut found, wanted, &current.networks);
    for text in changed_files(wanted, current) {
        add(&mut found, "files", text);
    }
    if let Some(observed) = &current.observed {
        places(&mut found, wanted, observed);
        limits(&mut found, wanted, observed);
        settings(&mut found, wanted, observed);
        environment(&mut found, wanted, observed);
        mounts(&mut found, wanted, observed);
        devices(&mut found, wanted, observed);
    }
    found
}

fn attachments(found: &mut Vec<Difference>, wanted: &ContainerSpec, joined: &BTreeSet<String>) {
    // What podman lists of a container without networks of its own differs by
    // version, and nothing can be connected to it.
    let ContainerNet::Bridge(networks) = &wanted.network else {
        return;
    };
    for (network, _) in networks {
        if !joined.contains(network) {
            let text = format!("was disconnected from network `{network}`");
            add(found, "networks", text);
        }
    }
    for network in joined {
        if !networks.iter().any(|(name, _)| name == network) {
            let text = format!("was connected to network `{network}`");
            add(found, "networks", text);
        }
    }
}

fn places(found: &mut Vec<Difference>, wanted: &ContainerSpec, observed: &Observed) {
    if matches!(wanted.network, ContainerNet::Host) && !observed.host_network {
        add(found, "networks", "does not use the host's network");
    }
    let ContainerNet::Bridge(networks) = &wanted.network else {
        return;
    };
    if observed.host_network {
        add(found, "networks", "uses the host's network");
    }
    for (network, address) in networks {
        let Some(place) = observed.attachments.get(network) else {
            continue;
        };
        let within = format!("in network `{network}`");
        if let (Some(address), Some(is)) = (address, place.address)
            && *address != is
        {
            let text = is_not(&format!("address {within}"), &is, address);
            add(found, "address", text);
        }
        if let (Some(address), Some(is)) = (address, &place.hardware_address) {
            let should = spec::hardware_address(*address);
            if *is != should {
                let what = format!("hardware address {within}");
                add(found, "address", is_not(&what, is, &should));
            }
        }
        let aliases = &place.aliases;
        if !aliases.is_empty() && !aliases.contains(&wanted.hostname) {
            let text = format!("name `{}` is not known {within}", wanted.hostname);
            add(found, "name", text);
        }
    }
    let publish = wanted.publish.iter().map(|(host_port, port)| Publication {
        address: spec::LOOPBACK.to_owned(),
        host_port: *host_port,
        port: *port,
    });
    let publish: BTreeSet<Publication> = publish.collect();
    if publish != observed.publish {
        let text = are_not("published ports", &observed.publish, &publish);
        add(found, "ports", text);
    }
}

fn limits(found: &mut Vec<Difference>, wanted: &ContainerSpec, observed: &Observed) {
    let (told, held) = (&observed.limits, &observed.in_force);
    let memory = wanted.memory_mb << 20;
    // What podman was told is not changed by `podman update` before 5.2.
    let other = [told.memory, held.memory].into_iter().flatten();
    if let Some(is) = other.into_iter().find(|is| *is != memory) {
        let text = is_not("memory limit", &megabytes(is), &megabytes(memory));
        add(found, "memory", text);
    } else if let Some(is) = observed.memory_swap.filter(|is| *is > memory) {
        let swap = megabytes(is - memory);
        add(found, "swap", is_not("swap limit", &swap, &megabytes(0)));
    }
    // The kernel keeps it as a share of 0.1 s in whole microseconds.
    let differs = |is: &f64| (is - wanted.cpus).abs() > 0.001;
    let other = [told.cpus, held.cpus].into_iter().flatten();
    if let Some(is) = other.into_iter().find(differs) {
        let is = (is * 1000.0).round() / 1000.0;
        add(found, "cpus", is_not("CPU limit", &is, &wanted.cpus));
    }
    let other = [told.pids, held.pids].into_iter().flatten();
    if let Some(is) = other.into_iter().find(|is| *is != u64::from(wanted.pids)) {
        add(found, "pids", is_not("process limit", &is, &wanted.pids));
    }
}

fn settings(found: &mut Vec<Difference>, wanted: &ContainerSpec, observed: &Observed) {
    if let Some(is) = &observed.hostname
        && *is != wanted.hostname
    {
        add(found, "name", is_not("host name", is, &wanted.hostname));
    }
    if observed.restart != wanted.restart {
        let text = is_not("restart policy", &observed.restart, &wanted.restart);
        add(found, "restart", text);
    }
    if let Some(is) = observed.stop_timeout_s
        && is != wanted.stop_timeout_s
    {
        let (is, should) = (format!("{is} s"), format!("{} s", wanted.stop_timeout_s));
        let text = is_not("stop timeout", &is, &should);
        add(found, "stop timeout", text);
    }
    let capabilities = wanted.relax.capabilities.iter();
    let capabilities: BTreeSet<String> = capabilities.map(|name| capability(name)).collect();
    if observed.capabilities != capabilities {
        let text = are_not("capabilities", &observed.capabilities, &capabilities);
        add(found, "capabilities", text);
    }
    if !observed.no_new_privileges {
        add(found, "privileges", "may gain new privileges");
    }
    match (observed.read_only_root, wanted.relax.writable_root) {
        (false, false) => add(found, "root", "root file system can be written to"),
        (true, true) => add(found, "root", "root file system cannot be written to"),
        _ => {}
    }
    // Otherwise it is the image's, which nobody has asked for here.
    if wanted.relax.root_user && !ROOT.contains(&observed.user.as_str()) {
        add(found, "user", is_not("user", &observed.user, &"root"));
    }
    if observed.command != wanted.command {
        add(found, "command", "command is another one");
    }
}

const ROOT: [&str; 5] = ["", "0", "0:0", "root", "root:root"];

/// Names only: a value may be a secret.
fn environment(found: &mut Vec<Difference>, wanted: &ContainerSpec, observed: &Observed) {
    for (name, value) in &wanted.env {
        match observed.env.get(name) {
            None => add(
                found,
                "environment",
                format!("variable `{name}` is missing"),
            ),
            Some(is) if is != value => {
                add(
                    found,
                    "environment",
                    format!("variable `{name}` has another value"),
                );
            }
            Some(_) => {}
        }
    }
}

fn mounts(found: &mut Vec<Difference>, wanted: &ContainerSpec, observed: &Observed) {
    for mount in &wanted.mounts {
        let MountSpec {
            source,
            target,
            read_only,
            ..
        } = mount;
        let at = |is: &&ObservedMount| is.target.trim_end_matches('/') == target;
        let Some(is) = observed.mounts.iter().find(at) else {
            add(found, "mounts", format!("nothing is mounted at {target}"));
            continue;
        };
        let plain = |path: &str| path.trim_end_matches('/').to_owned();
        if plain(&is.source) != plain(source) {
            let what = format!("mount at {target}");
            add(found, "mounts", is_not(&what, &is.source, source));
        } else if is.read_only != *read_only {
            let can = if *read_only { "can" } else { "cannot" };
            add(
                found,
                "mounts",
                format!("mount at {target} {can} be written to"),
            );
        }
    }
}

fn devices(found: &mut Vec<Difference>, wanted: &ContainerSpec, observed: &Observed) {
    let (gpus, devices): (Vec<&String>, Vec<&String>) =
        wanted.devices.iter().partition(|name| name.contains('='));
    if let Some(is) = &observed.devices {
        for device in devices {
            // podman puts what is in a folder in its place.
            let inside = format!("{device}/");
            if !is
                .iter()
                .any(|path| path == device || path.starts_with(&inside))
            {
                add(found, "devices", format!("device {device} is missing"));
            }
        }
    }
    let gpus: BTreeSet<String> = gpus.into_iter().cloned().collect();
    if let Some(is) = &observed.gpus
        && *is != gpus
    {
        add(found, "devices", are_not("GPUs", is, &gpus));
    }
    for group in &wanted.groups {
        if !observed.groups.contains(&group.to_string()) {
            add(found, "groups", format!("group {group} is missing"));
        }
    }
}

fn add(found: &mut Vec<Difference>, setting: &'static str, text: impl Into<String>) {
    let text = text.into();
    found.push(Difference { setting, text });
}

fn is_not(what: &str, is: &impl std::fmt::Display, should: &impl std::fmt::Display) -> String {
    format!("{what} is {is}, should be {should}")
}

/// The same for what there may be several of.
fn are_not<T: std::fmt::Display>(what: &str, is: &BTreeSet<T>, should: &BTreeSet<T>) -> String {
    format!("{what} are {}, should be {}", listed(is), listed(should))
}

fn megabytes(bytes: u64) -> String {
    match bytes % (1 << 20) {
        0 => format!("{} MB", bytes >> 20),
        _ => format!("{:.2} MB", bytes as f64 / f64::from(1 << 20)),
    }
}

fn listed<T: std::fmt::Display>(items: &BTreeSet<T>) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    match items.is_empty() {
        true => "none".to_owned(),
        false => items.join(", "),
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.text)
    }
}
