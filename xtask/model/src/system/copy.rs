//! A second copy of a system that can stand beside the first: names, networks,
//! addresses, published ports and volumes of its own.
//!
//! The change is made to the decoded manifest, before anything is derived from
//! it, so that peers' addresses and whatever else follows is the copy's.

use std::net::Ipv4Addr;

use diagnostics::located::reader::At;

use super::{
    manifest::{AgentTable, Manifest, MountTable},
    naming::kebab_case,
    subnet::Subnet,
};

/// What follows each name of the original in that of the copy.
const SUFFIX: &str = "-test";
/// Where free subnets are looked for: private networks that are not those of
/// podman's own pool (10.88 and up) and seldom those of a home.
const POOLS: [(u8, u8); 3] = [(172, 24), (172, 28), (10, 160)];
/// Subnets of 16 bits looked at in each pool.
const POOL_SIZE: u8 = 64;

/// What the copy must keep clear of, and where its ports come from.
pub struct Copy<'a> {
    /// Subnets that others use.
    pub taken: Vec<Subnet>,
    /// A port of the host that nobody listens on, another one each time.
    pub free_port: &'a dyn Fn() -> Option<u16>,
}

impl std::fmt::Debug for Copy<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = out.debug_struct("Copy");
        shown.field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl Copy<'_> {
    /// Changes the manifest to that of the copy; what cannot be changed is left
    /// for `check` to find.
    pub fn apply(&self, manifest: &mut Manifest) {
        let mut taken = self.taken.clone();
        taken.extend(
            manifest
                .networks
                .iter()
                .filter_map(|network| network.subnet.as_ref().map(|subnet| subnet.value)),
        );
        if let Some(name) = &mut manifest.system.name {
            rename(name);
        }
        let mut moved: Vec<(Subnet, Subnet)> = Vec::new();
        for network in &mut manifest.networks {
            rename(&mut network.name);
            let Some(subnet) = &mut network.subnet else {
                continue;
            };
            let Some(free) = free_subnet(subnet.value.prefix, &taken) else {
                continue;
            };
            taken.push(free);
            let way = (subnet.value, free);
            subnet.value = free;
            if let Some(range) = &mut network.ip_range {
                range.value.base = shifted(range.value.base, way);
            }
            moved.push(way);
        }
        let fills: Vec<(At<String>, String)> = manifest
            .tests
            .iter()
            .flat_map(|tests| &tests.fill)
            .filter_map(|fill| Some((fill.name.clone(), fill.target.as_ref()?.value.clone())))
            .collect();
        for group in &mut manifest.groups {
            for network in [&mut group.network, &mut group.backbone]
                .into_iter()
                .flatten()
            {
                rename(network);
            }
            volumes_instead_of_folders(&mut group.shared.mounts, &fills);
            for agent in &mut group.agents {
                self.agent(agent, &moved, &fills);
            }
        }
    }

    fn agent(
        &self,
        agent: &mut AgentTable,
        moved: &[(Subnet, Subnet)],
        fills: &[(At<String>, String)],
    ) {
        let at = agent.name.at.clone();
        let container = agent.container.as_ref().map(|name| name.value.clone());
        let container = container.unwrap_or_else(|| kebab_case(&agent.name.value));
        agent.container = Some(At {
            at: at.clone(),
            value: format!("{container}{SUFFIX}"),
        });
        let port = || {
            let value = (self.free_port)()?;
            let at = at.clone();
            Some(At { at, value })
        };
        agent.host_port = port();
        agent.host_health_port = port();
        if let Some(ip) = &mut agent.ip
            && let Some(way) = moved.iter().find(|(from, _)| from.contains(ip.value))
        {
            ip.value = shifted(ip.value, *way);
        }
        volumes_instead_of_folders(&mut agent.shared.mounts, fills);
    }
}

fn rename(name: &mut At<String>) {
    name.value.push_str(SUFFIX);
}

/// The same place in another subnet.
fn shifted(ip: Ipv4Addr, (from, to): (Subnet, Subnet)) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(to.base) + (u32::from(ip) - u32::from(from.base)))
}

fn free_subnet(prefix: u8, taken: &[Subnet]) -> Option<Subnet> {
    let pools = POOLS
        .iter()
        .flat_map(|(a, b)| (0..POOL_SIZE).map_while(move |n| Some((*a, b.checked_add(n)?))));
    let private = pools.filter(|(a, b)| *a != 172 || (16..32).contains(b));
    private
        .map(|(a, b)| Subnet {
            base: Ipv4Addr::new(a, b, 0, 0),
            prefix,
        })
        .find(|free| prefix >= 16 && !taken.iter().any(|other| other.overlaps(free)))
}

/// What the original's agents write must not be changed by those of the copy:
/// a folder of the host that is not read-only becomes a volume, empty at first.
/// So does one that is to be filled for the copy.
fn volumes_instead_of_folders(mounts: &mut [At<MountTable>], fills: &[(At<String>, String)]) {
    for mount in mounts {
        let Some(target) = &mount.value.target else {
            continue;
        };
        let filled = fills.iter().find(|(_, folder)| *folder == target.value);
        if mount.value.host.is_none() || (mount.value.read_only && filled.is_none()) {
            continue;
        }
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let own = || At {
            at: target.at.clone(),
            value: target.value.trim_matches('/').chars().map(plain).collect(),
        };
        mount.value.volume = Some(filled.map_or_else(own, |(name, _)| name.clone()));
        mount.value.host = None;
        mount.value.restart_on_change = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        let (base, prefix) = text.split_once('/').expect("a prefix");
        Subnet {
            base: base.parse().expect("an address"),
            prefix: prefix.parse().expect("a number"),
        }
    }

    #[test]
    fn free_subnets_keep_clear_of_the_others() {
        let taken = [subnet("172.24.0.0/15"), subnet("172.26.7.0/24")];
        let free = |prefix| free_subnet(prefix, &taken).map(|free| free.to_string());
        assert_eq!(free(16).as_deref(), Some("172.27.0.0/16"));
        assert_eq!(free(24).as_deref(), Some("172.26.0.0/24"));
        assert_eq!(free(8), None);
        let all = [subnet("172.16.0.0/12"), subnet("10.0.0.0/9")];
        assert_eq!(
            free_subnet(16, &all).map(|free| free.base),
            Some(Ipv4Addr::new(10, 160, 0, 0))
        );
        let all = [subnet("172.16.0.0/12"), subnet("10.0.0.0/8")];
        assert_eq!(free_subnet(16, &all), None);
    }

    #[test]
    fn addresses_keep_their_place() {
        let way = (subnet("172.21.0.0/16"), subnet("10.160.0.0/16"));
        let moved = shifted(Ipv4Addr::new(172, 21, 128, 9), way);
        assert_eq!(moved, Ipv4Addr::new(10, 160, 128, 9));
    }
}
