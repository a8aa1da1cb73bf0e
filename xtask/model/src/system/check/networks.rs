//! Networks and addresses: overlaps, reserved and doubled addresses, and
//! settings that only a bridge network has.

use std::{collections::BTreeMap, net::Ipv4Addr};

use diagnostics::located::problem::{Problems, Span};

use crate::system::{
    effective::{Member, View},
    manifest::{GroupTable, NetworkTable},
    model::NetworkMode,
    subnet::Reserved,
};

/// Reports what the header of this file lists.
pub fn check(view: &View<'_>, problems: &mut Problems) {
    subnets(view, problems);
    for group in &view.manifest.groups {
        match view.mode(group) {
            Some(NetworkMode::Bridge) => bridge_group(problems, group),
            Some(NetworkMode::Host | NetworkMode::Pod) => plain_group(problems, group),
            None => {}
        }
    }
    addresses(view, problems);
}

fn subnets(view: &View<'_>, problems: &mut Problems) {
    let networks = &view.manifest.networks;
    for (index, network) in networks.iter().enumerate() {
        let Some(subnet) = &network.subnet else {
            continue;
        };
        if let Some(range) = &network.ip_range
            && !subnet.includes(range)
        {
            problems.report_pair(
                &range.at,
                format!(
                    "ip_range `{}` is not inside the subnet `{}`",
                    range.value, subnet.value
                ),
                "choose a part of the subnet",
                (&subnet.at, "the subnet"),
            );
        }
        for earlier in &networks[..index] {
            let Some(other) = &earlier.subnet else {
                continue;
            };
            if subnet.overlaps(other) {
                problems.report_pair(
                    &subnet.at,
                    format!(
                        "subnet `{}` of network `{}` overlaps `{}` of network `{}`",
                        subnet.value, network.name.value, other.value, earlier.name.value
                    ),
                    "choose a subnet of its own for each network",
                    (&other.at, "the other subnet"),
                );
            }
        }
    }
}

fn bridge_group(problems: &mut Problems, group: &GroupTable) {
    let name = &group.name.value;
    match (&group.network, &group.backbone) {
        (None, _) if !group.broken.contains("network") => problems.report(
            &group.name.at,
            format!("group `{name}` has no `network`"),
            "add `network = ...`, or set `network_mode` to \"host\" or \"pod\"",
        ),
        (Some(network), Some(backbone)) if network.value == backbone.value => problems.report(
            &backbone.at,
            format!("the backbone of group `{name}` is its own network"),
            "remove `backbone`, or give the group a network of its own",
        ),
        _ => {}
    }
    if let Some(offset) = &group.backbone_offset
        && group.backbone.is_none()
        && !group.broken.contains("backbone")
    {
        problems.report(
            &offset.at,
            format!("group `{name}` has a `backbone_offset` but no `backbone`"),
            "add `backbone = ...` or remove the offset",
        );
    }
}

/// Without a bridge there are no networks and no addresses to set.
fn plain_group(problems: &mut Problems, group: &GroupTable) {
    let name = &group.name.value;
    let fields = [
        ("network", group.network.as_ref().map(|network| &network.at)),
        (
            "backbone",
            group.backbone.as_ref().map(|network| &network.at),
        ),
        (
            "backbone_offset",
            group.backbone_offset.as_ref().map(|offset| &offset.at),
        ),
    ];
    let help = "remove it, or set `network_mode = \"bridge\"` for the group";
    for (key, at) in fields {
        if let Some(at) = at {
            problems.report(
                at,
                format!("group `{name}` has `{key}` but no bridge"),
                help,
            );
        }
    }
    for agent in &group.agents {
        if let Some(ip) = &agent.ip {
            let message = format!("agent `{}` has an `ip` but no bridge", agent.name.value);
            problems.report(&ip.at, message, help);
        }
    }
}

/// Who has an address on a network, and where that is written.
type Holders<'m> = BTreeMap<(&'m str, Ipv4Addr), (&'m str, &'m Span)>;

fn addresses(view: &View<'_>, problems: &mut Problems) {
    let mut holders = Holders::new();
    for member in &view.members {
        if member.mode != Some(NetworkMode::Bridge) {
            continue;
        }
        own_address(view, problems, &mut holders, member);
        backbone_address(view, problems, &mut holders, member);
    }
}

fn own_address<'m>(
    view: &View<'m>,
    problems: &mut Problems,
    holders: &mut Holders<'m>,
    member: &Member<'m>,
) {
    let Some(ip) = &member.agent.ip else { return };
    let Some(network) = member
        .group
        .network
        .as_ref()
        .and_then(|name| view.network(name))
    else {
        return;
    };
    let what = format!("address `{}` of `{}`", ip.value, member.name());
    let help = "choose another `ip`";
    if usable(problems, &ip.at, &what, help, network, ip.value) {
        hold(
            problems,
            holders,
            &what,
            help,
            (network, ip.value, member, &ip.at),
        );
    }
}

fn backbone_address<'m>(
    view: &View<'m>,
    problems: &mut Problems,
    holders: &mut Holders<'m>,
    member: &Member<'m>,
) {
    let Some(ip) = &member.agent.ip else { return };
    let own = member
        .group
        .network
        .as_ref()
        .and_then(|name| view.network(name));
    let backbone = member
        .group
        .backbone
        .as_ref()
        .and_then(|name| view.network(name));
    let (Some(own), Some(backbone)) = (own, backbone) else {
        return;
    };
    let (Some(subnet), Some(_)) = (&own.subnet, &backbone.subnet) else {
        return;
    };
    let same = own.name.value == backbone.name.value;
    // An address outside its own network has no host part to move.
    if same || !subnet.contains(ip.value) || member.group.broken.contains("backbone_offset") {
        return;
    }
    let help = "choose another `ip`, or another `backbone_offset` for the group";
    let Some(address) = view.backbone_ip(member) else {
        let message = format!(
            "the backbone address of `{}` is past the last one",
            member.name()
        );
        problems.report(&ip.at, message, help);
        return;
    };
    let what = format!("backbone address `{address}` of `{}`", member.name());
    if usable(problems, &ip.at, &what, help, backbone, address) {
        hold(
            problems,
            holders,
            &what,
            help,
            (backbone, address, member, &ip.at),
        );
    }
}

/// Whether `address` may be a container's fixed address on `network`.
fn usable(
    problems: &mut Problems,
    at: &Span,
    what: &str,
    help: &str,
    network: &NetworkTable,
    address: Ipv4Addr,
) -> bool {
    let Some(subnet) = &network.subnet else {
        return false;
    };
    let name = &network.name.value;
    let reason = match subnet.reserved(address) {
        Some(Reserved::Outside) => {
            format!(
                "{what} is outside `{}`, the subnet of `{name}`",
                subnet.value
            )
        }
        Some(Reserved::Network) => format!("{what} is the network `{name}` itself"),
        Some(Reserved::Gateway) => format!("{what} is the gateway of `{name}`"),
        Some(Reserved::Broadcast) => format!("{what} is the broadcast address of `{name}`"),
        None => match &network.ip_range {
            Some(range) if range.contains(address) => {
                let message = format!(
                    "{what} is inside `{}`, where `{name}` takes dynamic addresses from",
                    range.value
                );
                problems.report_pair(at, message, help, (&range.at, "dynamic addresses"));
                return false;
            }
            _ => return true,
        },
    };
    problems.report_pair(at, reason, help, (&subnet.at, "the subnet"));
    false
}

fn hold<'m>(
    problems: &mut Problems,
    holders: &mut Holders<'m>,
    what: &str,
    help: &str,
    (network, address, member, at): (&'m NetworkTable, Ipv4Addr, &Member<'m>, &'m Span),
) {
    let key = (network.name.as_str(), address);
    match holders.get(&key) {
        Some((other, _)) if *other == member.name() => {}
        Some((other, first)) => problems.report_pair(
            at,
            format!("{what} is the address of `{other}` already"),
            help,
            (first, format!("address of `{other}`")),
        ),
        None => {
            holders.insert(key, (member.name(), at));
        }
    }
}
