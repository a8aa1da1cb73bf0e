//! Findings about podman as an ordinary user.

use super::super::{
    capacity::read::AGENT_UID,
    findings::{HostFinding, HostSeverity},
};
use crate::podman::facts::Facts;

pub fn limits(facts: &Facts) -> Option<HostFinding> {
    (facts.cgroup_version == "v1").then(|| {
        HostFinding::new(
            "rootless-limits",
            HostSeverity::Warning,
            "memory, cpu and process limits are ignored",
            "rootless podman cannot set limits on cgroups v1",
            "boot with systemd.unified_cgroup_hierarchy=1, or run as root",
        )
    })
}

/// `text` is that of `/etc/subuid` or `/etc/subgid`: `name:first:count` lines.
pub fn subids(file: &str, text: &str, name: &str, uid: &str) -> Option<HostFinding> {
    let own = text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let owner = fields.next()?;
        let count: u64 = fields
            .nth(1)
            .and_then(|count| count.trim().parse().ok())
            .unwrap_or(0);
        (owner == name || owner == uid).then_some(count)
    });
    let counts: Vec<u64> = own.collect();
    let ids: u64 = counts.iter().sum();
    // Id 0 inside is the user; the range holds those from 1 on.
    let needed = u64::from(AGENT_UID);
    let (title, evidence) = if counts.is_empty() {
        let why = "rootless containers cannot have an unprivileged user without one";
        (
            format!("user `{name}` has no range in {file}"),
            why.to_owned(),
        )
    } else if ids < needed {
        let why = format!("it has {ids} ids, and agents run as user {AGENT_UID}");
        (
            format!("the range of user `{name}` in {file} is too small"),
            why,
        )
    } else {
        return None;
    };
    Some(HostFinding::new(
        "rootless-subids",
        HostSeverity::Error,
        title,
        evidence,
        format!(
            "as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}; then `podman system migrate`"
        ),
    ))
}

/// `passwd` is the text of `/etc/passwd`.
pub fn user_name(passwd: &str, uid: &str) -> Option<String> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.get(2) == Some(&uid)).then(|| fields[0].to_owned())
    })
}

/// Controllers that agents' limits need and a user is not given. Without `cpu`
/// podman refuses `--cpus`.
pub fn controllers(facts: &Facts) -> Option<HostFinding> {
    const NEEDED: &[&str] = &["cpu", "memory", "pids"];
    // On v1 there are none at all, which `limits` tells.
    if facts.cgroup_version != "v2" || facts.cgroup_controllers.is_empty() {
        return None;
    }
    let given = &facts.cgroup_controllers;
    let missing: Vec<&str> = NEEDED
        .iter()
        .copied()
        .filter(|name| !given.iter().any(|given| given == name))
        .collect();
    (!missing.is_empty()).then(|| {
        HostFinding::new(
            "rootless-controllers",
            HostSeverity::Error,
            format!("this user may not set limits on {}", missing.join(", ")),
            format!("cgroup controllers of this user: {}", given.join(", ")),
            "as root: mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' > /etc/systemd/system/user@.service.d/delegate.conf && systemctl daemon-reload; then log in again",
        )
    })
}

/// With systemd, what a user has started ends with the last session, unless
/// the user lingers.
pub fn linger(systemd: bool, lingers: bool, name: &str) -> Option<HostFinding> {
    (systemd && !lingers).then(|| {
        HostFinding::new(
            "rootless-linger",
            HostSeverity::Warning,
            format!("the agents end when `{name}` logs out"),
            format!("systemd runs and /var/lib/systemd/linger/{name} does not exist"),
            format!("loginctl enable-linger {name}"),
        )
    })
}
