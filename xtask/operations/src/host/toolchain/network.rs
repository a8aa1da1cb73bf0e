//! Findings about networks: ports, routes, names, firewalls.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use model::{
    plan::{
        State,
        agents::{next_name, previous_name},
        label, networks,
        state::Status,
    },
    system::{Agent, Subnet, System},
};

use super::super::{
    findings::{HostFinding, HostSeverity},
    ports,
};

pub fn network_tools(installed: &dyn Fn(&str) -> bool) -> Option<HostFinding> {
    let any = ["iptables", "nft"].into_iter().any(installed);
    (!any).then(|| {
        HostFinding::new(
            "firewall-tool",
            HostSeverity::Error,
            "neither iptables nor nft is installed",
            "netavark calls one of them to publish ports; without it podman says only `netavark: No such file or directory` (podman issue 22261)",
            "install iptables or nftables",
        )
    })
}

/// Ports that agents without a running container publish and others hold.
pub fn ports_taken(state: &State, agents: &[&Agent]) -> Vec<HostFinding> {
    // What another of our own containers holds is for the plan, which stops it
    // first or says who it is.
    let ours: BTreeSet<u16> = state
        .containers
        .values()
        .filter(|found| found.running() && found.label(label::SYSTEM).is_some())
        .flat_map(|found| found.host_ports.iter().copied())
        .collect();
    let holds_none = |name: &String| {
        let found = state.containers.get(name);
        found.is_none_or(|found| matches!(found.status, Status::Created | Status::Exited))
    };
    let idle = agents.iter().filter(|agent| {
        let name = &agent.container;
        [name.clone(), next_name(name), previous_name(name)]
            .iter()
            .all(holds_none)
    });
    idle.flat_map(|agent| {
        let published = agent.host_port.into_iter().chain([agent.host_health_port]);
        published.map(move |port| (agent, port))
    })
    .filter(|(_, port)| !ours.contains(port))
    .filter(|(_, port)| std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_err())
    .map(|(agent, port)| {
        let owner = ports::owner(port).map_or_else(
            || "by another user's process".to_owned(),
            |(name, pid)| format!("by `{name}` (process {pid})"),
        );
        HostFinding::new(
            "port-taken",
            HostSeverity::Error,
            format!("port {port}, which {} publishes, is taken", agent.name),
            format!("127.0.0.1:{port} is held {owner}"),
            "end that process, or set host_port or host_health_port in the manifest",
        )
        .of(&agent.name)
    })
    .collect()
}

/// Published ports that the kernel may give to an outgoing connection while
/// the agent does not run. `range` and `reserved` are the kernel's settings.
pub fn ports_lent(
    system: &System,
    agents: &[&Agent],
    range: &str,
    reserved: &str,
) -> Option<HostFinding> {
    let mut edges = range.split_whitespace().map(|edge| edge.parse::<u16>());
    let (first, last) = (edges.next()?.ok()?, edges.next()?.ok()?);
    let kept = |port: u16| reserved.trim().split(',').any(|part| within(part, port));
    let bridged = agents
        .iter()
        .filter(|agent| system.group(&agent.group).net.is_bridge());
    let lent: BTreeMap<u16, &str> = bridged
        .flat_map(|agent| {
            let published = agent.host_port.into_iter().chain([agent.host_health_port]);
            published.map(|port| (port, agent.name.as_str()))
        })
        .filter(|(port, _)| (first..=last).contains(port) && !kept(*port))
        .collect();
    if lent.is_empty() {
        return None;
    }
    let ports: Vec<String> = lent.keys().map(u16::to_string).collect();
    let shown: Vec<String> = lent
        .iter()
        .take(4)
        .map(|(port, agent)| format!("{port} of {agent}"))
        .collect();
    let more = if lent.len() > shown.len() {
        ", …"
    } else {
        ""
    };
    let all = [reserved.trim().to_owned()]
        .into_iter()
        .filter(|kept| !kept.is_empty())
        .chain(ports);
    Some(HostFinding::new(
        "port-range",
        HostSeverity::Warning,
        "outgoing connections may take ports that agents publish",
        format!(
            "net.ipv4.ip_local_port_range is {first} to {last}, and has {} of theirs: {}{more}",
            lent.len(),
            shown.join(", ")
        ),
        format!(
            "as root: echo 'net.ipv4.ip_local_reserved_ports = {}' > /etc/sysctl.d/90-agent-ports.conf && sysctl --system",
            all.collect::<Vec<_>>().join(",")
        ),
    ))
}

/// `5000` or `5000-5010`.
fn within(part: &str, port: u16) -> bool {
    let (first, last) = part.split_once('-').unwrap_or((part, part));
    match (first.trim().parse(), last.trim().parse()) {
        (Ok(first), Ok(last)) => (first..=last).contains(&port),
        _ => false,
    }
}

/// Routes of the host that the manifest's networks would hide. `table` is the
/// text of `/proc/net/route`.
pub fn routes(system: &System, state: &State, agents: &[&Agent], table: &str) -> Vec<HostFinding> {
    let used = networks::used_by(system, agents.iter().map(|agent| agent.group.as_str()));
    let routes: Vec<(String, Subnet)> = table.lines().skip(1).filter_map(route).collect();
    let missing = system
        .networks
        .iter()
        .filter(|(name, _)| used.contains(name) && !state.networks.contains_key(*name));
    missing
        .flat_map(|(name, network)| {
            let clash = routes
                .iter()
                .find(|(_, subnet)| subnet.overlaps(&network.subnet));
            clash.map(|(interface, subnet)| {
                HostFinding::new(
                    "subnet-overlap",
                    HostSeverity::Error,
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
