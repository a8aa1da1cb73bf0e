//! Which networks to create, and which differences need a person.

use super::{
    label,
    spec::{self, NetworkSpec},
    step::Action,
};
use crate::{
    plan::{
        refusal::PlanError,
        state::{ObservedNetwork, State},
        step::Plan,
    },
    system::{Network, Subnet, System},
};

/// Steps that create the missing ones among `names`.
///
/// A network that differs is never replaced silently: containers hang on it.
/// `recreate` allows it for our own; podman refuses while any are attached.
pub fn plan(
    system: &System,
    state: &State,
    names: &[String],
    recreate: bool,
) -> Result<Plan, Vec<PlanError>> {
    let mut plan = Plan::default();
    let mut errors = Vec::new();
    for name in names {
        let wanted = network_spec(system, name, &system.networks[name]);
        let hash = spec::hash_of(&wanted);
        let Some(found) = state.networks.get(name) else {
            errors.extend(overlap(system, state, &wanted));
            plan.push(
                name,
                Action::CreateNetwork(wanted),
                Vec::new(),
                "does not exist",
            );
            continue;
        };
        let ours = found.labels.get(label::SYSTEM) == Some(&system.name);
        let differences = differences(&wanted, found);
        let as_made = !ours || found.labels.get(label::SPEC) == Some(&hash);
        if as_made && differences.is_empty() {
            if !ours {
                plan.warnings.push(format!(
                    "network `{name}` was not created by this tool; used as it is"
                ));
            }
            plan.unchanged.push(name.clone());
        } else if ours && recreate {
            errors.extend(overlap(system, state, &wanted));
            let network = name.clone();
            let removed = plan.push(
                name,
                Action::RemoveNetwork { network },
                Vec::new(),
                "differs from the manifest",
            );
            plan.push(
                name,
                Action::CreateNetwork(wanted),
                vec![removed],
                "differs from the manifest",
            );
        } else {
            errors.push(PlanError::NetworkDiffers {
                network: name.clone(),
                differences,
                ours,
            });
        }
    }
    if errors.is_empty() {
        Ok(plan)
    } else {
        Err(errors)
    }
}

/// The networks that these agents are attached to, in name order.
pub fn used_by<'a>(system: &System, agents: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<String> = agents
        .map(|group| system.group(group))
        .flat_map(|group| group.net.joined().cloned())
        .collect();
    names.sort();
    names.dedup();
    names
}

fn network_spec(system: &System, name: &str, network: &Network) -> NetworkSpec {
    NetworkSpec {
        system: system.name.clone(),
        name: name.to_owned(),
        subnet: network.subnet.to_string(),
        ip_range: network.ip_range.map(|range| range.to_string()),
        internal: network.internal,
        isolate: network.isolate,
    }
}

/// What can be seen in the listing, each in words that fit after the network's
/// name.
fn differences(wanted: &NetworkSpec, found: &ObservedNetwork) -> Vec<String> {
    let mut words = Vec::new();
    if found.subnets != [wanted.subnet.clone()] {
        let subnets = found.subnets.join(", ");
        words.push(format!("has the subnet {subnets}, not {}", wanted.subnet));
    }
    let flags = [
        (
            (wanted.isolate, found.isolated),
            "is not kept apart from other networks (`isolate = true`)",
            "is kept apart from other networks (`isolate = false`)",
        ),
        (
            (wanted.internal, found.internal),
            "has a route to the outside (`internal = true`)",
            "has no route to the outside (`internal = false`)",
        ),
    ];
    for (flag, missing, surplus) in flags {
        match flag {
            (true, false) => words.push(missing.to_owned()),
            (false, true) => words.push(surplus.to_owned()),
            _ => {}
        }
    }
    words
}

fn overlap(system: &System, state: &State, wanted: &NetworkSpec) -> Option<PlanError> {
    let subnet = system.networks[&wanted.name].subnet;
    let others = state
        .networks
        .iter()
        .filter(|(name, _)| **name != wanted.name);
    others.into_iter().find_map(|(other, network)| {
        let clash = network
            .subnets
            .iter()
            .find(|text| parse_subnet(text).is_some_and(|found| found.overlaps(&subnet)))?;
        Some(PlanError::NetworkOverlaps {
            network: wanted.name.clone(),
            subnet: wanted.subnet.clone(),
            other: other.clone(),
            other_subnet: clash.clone(),
        })
    })
}

/// An IPv4 subnet as podman prints it; `None` for IPv6.
fn parse_subnet(text: &str) -> Option<Subnet> {
    let (base, prefix) = text.split_once('/')?;
    let subnet = Subnet {
        base: base.parse().ok()?,
        prefix: prefix.parse().ok().filter(|prefix| *prefix <= 32)?,
    };
    Some(Subnet {
        base: std::net::Ipv4Addr::from(u32::from(subnet.base) & subnet.mask()),
        ..subnet
    })
}
