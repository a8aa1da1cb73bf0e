//! Ports that clash: inside an agent, inside a shared network namespace, and
//! on the host.

use std::collections::BTreeMap;

use diagnostics::located::problem::{Problems, Span};

use crate::system::{
    effective::{Member, View},
    model::NetworkMode,
};

/// Reports what the header of this file lists.
pub fn check(view: &View<'_>, problems: &mut Problems) {
    for member in &view.members {
        own_ports(problems, member);
        host_mode(problems, member);
    }
    pods(view, problems);
    host(view, problems);
}

fn own_ports(problems: &mut Problems, member: &Member<'_>) {
    let agent = member.agent;
    let Some(port) = &agent.port else { return };
    if port.value == u16::MAX && agent.health_port.is_none() {
        problems.report(
            &port.at,
            format!(
                "agent `{}` has no health port after port {}",
                member.name(),
                port.value
            ),
            "set `health_port = ...`",
        );
    }
    if let Some(health) = &agent.health_port
        && health.value == port.value
    {
        problems.report_pair(
            &health.at,
            format!(
                "agent `{}` has one port, {}, for work and health",
                member.name(),
                port.value
            ),
            "set another `health_port`",
            (&port.at, "the main port"),
        );
    }
}

/// On the host's network ports cannot be moved or hidden.
fn host_mode(problems: &mut Problems, member: &Member<'_>) {
    if member.mode != Some(NetworkMode::Host) {
        return;
    }
    let agent = member.agent;
    let fields = [
        ("host_port", agent.host_port.as_ref().map(|port| &port.at)),
        (
            "host_health_port",
            agent.host_health_port.as_ref().map(|port| &port.at),
        ),
        ("publish", agent.publish.as_ref().map(|publish| &publish.at)),
    ];
    for (key, at) in fields {
        if let Some(at) = at {
            problems.report(
                at,
                format!("`{key}` has no effect on the host's network"),
                "remove it, or set `network_mode = \"bridge\"` for the group",
            );
        }
    }
}

/// A port, what it is of whom, and where it was written.
struct Claim<'m> {
    port: u16,
    owner: &'m str,
    /// The field that set it, for the remedy.
    field: &'static str,
    what: &'static str,
    at: Span,
}

/// Reports every port that is claimed twice.
fn clashes(problems: &mut Problems, place: &str, claims: Vec<Claim<'_>>) {
    let mut taken: BTreeMap<u16, Claim<'_>> = BTreeMap::new();
    for claim in claims {
        let Some(first) = taken.get(&claim.port) else {
            taken.insert(claim.port, claim);
            continue;
        };
        if first.owner == claim.owner {
            continue;
        }
        problems.report_pair(
            &claim.at,
            format!(
                "port {} {place} is the {} of `{}` and the {} of `{}`",
                claim.port, first.what, first.owner, claim.what, claim.owner
            ),
            remedy(first, &claim),
            (&first.at, format!("{} of `{}`", first.what, first.owner)),
        );
    }
}

fn remedy(first: &Claim<'_>, second: &Claim<'_>) -> String {
    let mut help = format!("set another `{}` for `{}`", second.field, second.owner);
    if let Some(hidden) = [second, first]
        .into_iter()
        .find(|claim| claim.field == "host_port")
    {
        help += &format!(
            ", or `publish = \"health\"` for `{}` if the host need not see its main port",
            hidden.owner
        );
    }
    help
}

fn namespace_claims<'m>(member: &Member<'m>) -> Vec<Claim<'m>> {
    let owner = member.name();
    let main = member.agent.port.clone().map(|port| Claim {
        port: port.value,
        owner,
        field: "port",
        what: "main port",
        at: port.at,
    });
    let health = member.health_port().map(|port| Claim {
        port: port.value,
        owner,
        field: "health_port",
        what: "health port",
        at: port.at,
    });
    main.into_iter().chain(health).collect()
}

fn pods(view: &View<'_>, problems: &mut Problems) {
    for group in &view.manifest.groups {
        if view.mode(group) != Some(NetworkMode::Pod) {
            continue;
        }
        let members = view
            .members
            .iter()
            .filter(|m| m.group.name.value == group.name.value);
        let place = format!("inside pod `{}`", group.name.value);
        clashes(
            problems,
            &place,
            members.flat_map(namespace_claims).collect(),
        );
    }
}

/// Published ports and those of agents on the host's network share the host.
fn host(view: &View<'_>, problems: &mut Problems) {
    let mut claims = Vec::new();
    for member in &view.members {
        if member.mode == Some(NetworkMode::Host) {
            claims.extend(namespace_claims(member));
            continue;
        }
        let owner = member.name();
        claims.extend(member.host_port().map(|port| Claim {
            port: port.value,
            owner,
            field: "host_port",
            what: "main port",
            at: port.at,
        }));
        claims.extend(member.host_health_port().map(|port| Claim {
            port: port.value,
            owner,
            field: "host_health_port",
            what: "health port",
            at: port.at,
        }));
        same_host_port(problems, member);
    }
    clashes(problems, "of the host", claims);
}

fn same_host_port(problems: &mut Problems, member: &Member<'_>) {
    let (Some(main), Some(health)) = (member.host_port(), member.host_health_port()) else {
        return;
    };
    let agent = member.agent;
    let moved = agent.host_port.is_some() || agent.host_health_port.is_some();
    if main.value == health.value && moved {
        let at = agent
            .host_health_port
            .as_ref()
            .map_or(&main.at, |port| &port.at);
        problems.report(
            at,
            format!(
                "agent `{}` publishes both its ports as host port {}",
                member.name(),
                main.value
            ),
            "set another `host_health_port`",
        );
    }
}
