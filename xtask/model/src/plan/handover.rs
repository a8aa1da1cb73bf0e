//! Ports and addresses that pass from one container to another: whoever holds
//! one has to stop before its next holder starts.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use super::{
    label,
    request::gate,
    spec::{ContainerNet, ContainerSpec},
    state::{Container, State, Status},
    step::Gate,
};
use crate::system::Agent;

/// What only one running container can have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// Ports of the host's 127.0.0.1.
    ports: BTreeSet<u16>,
    /// Fixed addresses, each in its network.
    addresses: BTreeSet<(String, Ipv4Addr)>,
}

/// A running container of the system that has what another one needs.
#[derive(Debug)]
pub struct Holder<'s> {
    /// Of the container.
    pub name: &'s str,
    /// What it holds, in words.
    pub what: String,
}

impl Claims {
    /// What a container of this specification needs once it is started.
    pub fn of(spec: &ContainerSpec) -> Self {
        let addresses = match &spec.network {
            ContainerNet::Bridge(joined) => joined.clone(),
            ContainerNet::Host | ContainerNet::Pod(_) => Vec::new(),
        };
        Claims {
            ports: spec.publish.iter().map(|(host, _)| *host).collect(),
            addresses: addresses
                .into_iter()
                .filter_map(|(network, address)| Some((network, address?)))
                .collect(),
        }
    }
}

/// What the running containers of a system hold, and who holds it.
#[derive(Debug, Default)]
pub struct Held<'s> {
    ports: BTreeMap<u16, &'s str>,
    addresses: BTreeMap<(&'s str, Ipv4Addr), &'s str>,
}

impl<'s> Held<'s> {
    /// Addresses are known of those containers that carry the label.
    pub fn by_running(system: &str, state: &'s State) -> Self {
        let mut held = Held::default();
        for (name, container) in &state.containers {
            let alive = !matches!(container.status, Status::Created | Status::Exited);
            if !alive || !container.belongs_to(system) {
                continue;
            }
            held.ports.extend(
                container
                    .host_ports
                    .iter()
                    .map(|port| (*port, name.as_str())),
            );
            let addresses = container.addresses.iter();
            held.addresses
                .extend(addresses.map(|(net, at)| ((net.as_str(), *at), name.as_str())));
        }
        held
    }

    /// The containers that hold something of `wanted`, but for those of `own`,
    /// each once.
    pub fn holders(&self, wanted: &Claims, own: &[String]) -> Vec<Holder<'s>> {
        let ports = wanted.ports.iter().filter_map(|port| {
            let name = *self.ports.get(port)?;
            let what = format!("port {port}");
            Some(Holder { name, what })
        });
        let addresses = wanted.addresses.iter().filter_map(|(network, at)| {
            let name = *self.addresses.get(&(network.as_str(), *at))?;
            let what = format!("address {at}");
            Some(Holder { name, what })
        });
        let mut all: Vec<Holder<'s>> = Vec::new();
        for holder in ports.chain(addresses) {
            let known = all.iter().any(|other| other.name == holder.name);
            if !known && !own.iter().any(|own| own == holder.name) {
                all.push(holder);
            }
        }
        all
    }
}

/// Where a container of this specification is asked for its health, as the label
/// `label::HEALTH` has it; `None` where no port is published.
pub fn health_label(spec: &ContainerSpec) -> Option<String> {
    // The last one, `spec::publications` says.
    let (host, port) = spec.publish.last()?;
    Some(format!("{host}:{port}"))
}

/// The condition that an agent's former container has to meet, which may answer
/// elsewhere than the manifest says by now; `None` if that is not known.
pub fn former_gate(agent: &Agent, container: &Container) -> Option<Gate> {
    let gate = gate(agent);
    let ports = container.label(label::HEALTH).and_then(|label| {
        let (host, port) = label.split_once(':')?;
        Some((host.parse().ok()?, port.parse().ok()?))
    });
    let known = container.host_ports.is_empty();
    match ports {
        Some((host_health_port, health_port)) => Some(Gate {
            host_health_port,
            health_port,
            ..gate
        }),
        None if known || container.host_ports.contains(&gate.host_health_port) => Some(gate),
        None => None,
    }
}

/// Addresses as the label `label::ADDRESSES` has them: `net=10.1.0.3,other=10.2.0.3`.
pub fn addresses_label(spec: &ContainerSpec) -> String {
    let claims = Claims::of(spec);
    let pairs = claims.addresses.iter();
    let pairs: Vec<String> = pairs
        .map(|(network, address)| format!("{network}={address}"))
        .collect();
    pairs.join(",")
}

/// The addresses in such a label; what is not one is passed over.
pub fn addresses_of(label: &str) -> BTreeSet<(String, Ipv4Addr)> {
    label
        .split(',')
        .filter_map(|pair| {
            let (network, address) = pair.split_once('=')?;
            Some((network.to_owned(), address.parse().ok()?))
        })
        .collect()
}
