//! What holds for each agent once its group's settings, the system's and the
//! defaults are applied. Both `check` and `build` look through these eyes, so
//! that they cannot disagree about a default.
//!
//! Reports nothing and reads no files.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    path::{Component, Path, PathBuf},
};

use diagnostics::located::{problem::Span, reader::At};

use super::{
    manifest::{
        AgentTable, GroupTable, ImageTable, Manifest, MountTable, NetworkTable, Publish, Shared,
    },
    model::NetworkMode,
    naming::kebab_case,
    secrets::UseTable,
};

/// Where relative paths of the manifest lead.
#[derive(Debug)]
pub struct Places {
    /// The manifest itself, absolute.
    pub manifest: PathBuf,
    /// The folder that holds it: Containerfiles and inputs are found from here.
    pub folder: PathBuf,
    /// The folder above.
    pub root: PathBuf,
    /// The tree of the agents' code; `None` if nobody named one.
    pub monorepo: Option<PathBuf>,
    /// The manifest's `monorepo` was overridden by the caller.
    pub overridden: bool,
    /// The locks are there, or the manifest is wrong.
    pub locked: bool,
}

/// The manifest with every agent beside its group.
#[derive(Debug)]
pub struct View<'m> {
    pub manifest: &'m Manifest,
    pub places: &'m Places,
    /// The file itself, for the lines that things stand in.
    pub text: &'m str,
    /// In the order of the file.
    pub members: Vec<Member<'m>>,
    by_name: BTreeMap<&'m str, usize>,
}

/// An agent and its group.
#[derive(Debug, Clone, Copy)]
pub struct Member<'m> {
    pub group: &'m GroupTable,
    pub agent: &'m AgentTable,
    /// `None` if it was given but could not be read.
    pub mode: Option<NetworkMode>,
}

impl<'m> View<'m> {
    /// Those of groups and of agents, each once.
    pub fn mounts(&self) -> impl Iterator<Item = &'m At<MountTable>> + use<'m> {
        self.manifest.groups.iter().flat_map(|group| {
            let own = group.agents.iter().flat_map(|agent| &agent.shared.mounts);
            group.shared.mounts.iter().chain(own)
        })
    }

    /// Pairs every agent with its group.
    pub fn new(manifest: &'m Manifest, places: &'m Places, text: &'m str) -> Self {
        let mut view = View {
            manifest,
            places,
            text,
            members: Vec::new(),
            by_name: BTreeMap::new(),
        };
        for group in &manifest.groups {
            let mode = view.mode(group);
            for agent in &group.agents {
                view.by_name
                    .entry(&agent.name.value)
                    .or_insert(view.members.len());
                view.members.push(Member { group, agent, mode });
            }
        }
        view
    }

    /// Where agents import from, below the monorepo.
    pub fn search_roots(&self) -> Vec<String> {
        const DEFAULT: [&str; 3] = [".", "main_pc_code", "main_pc_code/src"];
        match &self.manifest.system.search_roots {
            Some(roots) => roots.iter().map(|root| root.value.clone()).collect(),
            None => DEFAULT.map(str::to_owned).to_vec(),
        }
    }

    /// The group's network mode, else the system's, else `bridge`.
    pub fn mode(&self, group: &GroupTable) -> Option<NetworkMode> {
        let system = &self.manifest.system;
        if group.broken.contains("network_mode") {
            return None;
        }
        match (&group.network_mode, &system.network_mode) {
            (Some(mode), _) | (None, Some(mode)) => Some(mode.value),
            (None, None) if system.broken.contains("network_mode") => None,
            (None, None) => Some(NetworkMode::Bridge),
        }
    }

    /// The network of that name.
    pub fn network(&self, name: &str) -> Option<&'m NetworkTable> {
        self.manifest
            .networks
            .iter()
            .find(|network| network.name.value == name)
    }

    /// The image of that name.
    pub fn image(&self, name: &str) -> Option<&'m ImageTable> {
        self.manifest
            .images
            .iter()
            .find(|image| image.name.value == name)
    }

    /// The first agent of that name; a second one is a problem of its own.
    pub fn member(&self, name: &str) -> Option<Member<'m>> {
        self.by_name.get(name).map(|&index| self.members[index])
    }

    /// The agent's address on the backbone, which follows from its own.
    pub fn backbone_ip(&self, member: &Member<'_>) -> Option<Ipv4Addr> {
        let own = self
            .network(member.group.network.as_ref()?)?
            .subnet
            .as_ref()?
            .value;
        let backbone = self
            .network(member.group.backbone.as_ref()?)?
            .subnet
            .as_ref()?
            .value;
        let offset = member
            .group
            .backbone_offset
            .as_ref()
            .map_or(0, |offset| offset.value);
        own.project(member.agent.ip.as_ref()?.value, &backbone, offset)
    }

    /// Host and port at which `from` reaches the main port of `to`, if it can.
    pub fn route(&self, from: &Member<'_>, to: &Member<'_>) -> Option<(String, u16)> {
        use NetworkMode::{Bridge, Host, Pod};
        const LOOPBACK: &str = "127.0.0.1";
        let port = to.agent.port.as_ref()?.value;
        match (from.mode?, to.mode?) {
            (Bridge, Bridge) => Some((self.bridge_address(from, to)?, port)),
            (Host, Host) => Some((LOOPBACK.to_owned(), port)),
            (Pod, Pod) if from.group.name.value == to.group.name.value => {
                Some((LOOPBACK.to_owned(), port))
            }
            // Published ports are bound to the host's loopback address.
            (Host, Bridge | Pod) => Some((LOOPBACK.to_owned(), to.host_port()?.value)),
            (Bridge | Pod, Host) => Some(("host.containers.internal".to_owned(), port)),
            (Bridge | Pod, Pod) | (Pod, Bridge) => None,
        }
    }

    /// Address of `to` on a network that both have joined, its own one first.
    fn bridge_address(&self, from: &Member<'_>, to: &Member<'_>) -> Option<String> {
        let joined: Vec<&str> = [&from.group.network, &from.group.backbone]
            .into_iter()
            .flatten()
            .map(|name| name.as_str())
            .collect();
        let shared = |name: &Option<At<String>>| {
            name.as_ref()
                .is_some_and(|name| joined.contains(&name.as_str()))
        };
        let ip = if shared(&to.group.network) {
            to.agent.ip.as_ref().map(|ip| ip.value)
        } else if shared(&to.group.backbone) {
            self.backbone_ip(to)
        } else {
            return None;
        };
        Some(ip.map_or_else(|| to.container(), |ip| ip.to_string()))
    }
}

impl<'m> Member<'m> {
    /// The agent's name.
    pub fn name(&self) -> &'m str {
        &self.agent.name.value
    }

    /// Where its name stands.
    pub fn at(&self) -> &'m Span {
        &self.agent.name.at
    }

    /// The agent's value of a setting, else its group's.
    pub fn setting<T>(&self, pick: impl Fn(&'m Shared) -> Option<&'m At<T>>) -> Option<&'m At<T>> {
        pick(&self.agent.shared).or_else(|| pick(&self.group.shared))
    }

    /// The service image.
    pub fn image(&self) -> Option<&'m At<String>> {
        self.setting(|shared| shared.image.as_ref())
    }

    /// Started only when named.
    pub fn optional(&self) -> bool {
        self.setting(|shared| shared.optional.as_ref())
            .is_some_and(|flag| flag.value)
    }

    /// The container's name, by default made from the agent's.
    pub fn container(&self) -> String {
        self.agent
            .container
            .as_ref()
            .map_or_else(|| kebab_case(self.name()), |c| c.value.clone())
    }

    /// The health port, by default the one behind the main port. `None` if it
    /// is unknown, which was reported.
    pub fn health_port(&self) -> Option<At<u16>> {
        if self.agent.broken.contains("health_port") {
            return None;
        }
        self.agent.health_port.clone().or_else(|| {
            let port = self.agent.port.as_ref()?;
            Some(At {
                at: port.at.clone(),
                value: port.value.checked_add(1)?,
            })
        })
    }

    /// Port of the host that leads to the main port, if one does.
    pub fn host_port(&self) -> Option<At<u16>> {
        let hidden = self
            .agent
            .publish
            .as_ref()
            .is_some_and(|p| p.value == Publish::Health);
        if self.mode == Some(NetworkMode::Host) {
            return self.agent.port.clone();
        }
        if hidden || self.agent.broken.contains("host_port") {
            return None;
        }
        self.agent
            .host_port
            .clone()
            .or_else(|| self.agent.port.clone())
    }

    /// Port of the host at which health is asked.
    pub fn host_health_port(&self) -> Option<At<u16>> {
        if self.agent.broken.contains("host_health_port") {
            return None;
        }
        self.agent
            .host_health_port
            .clone()
            .or_else(|| self.health_port())
    }

    /// The group's mounts, then its own.
    pub fn mounts(&self) -> impl Iterator<Item = &'m At<MountTable>> + use<'m> {
        self.group
            .shared
            .mounts
            .iter()
            .chain(&self.agent.shared.mounts)
    }

    /// The group's secrets, then its own.
    pub fn secret_uses(&self) -> impl Iterator<Item = &'m At<UseTable>> + use<'m> {
        let group = &self.group.shared.secrets.uses;
        group.iter().chain(&self.agent.shared.secrets.uses)
    }

    /// The group's variables; its own win.
    pub fn env(&self) -> BTreeMap<&'m str, &'m At<String>> {
        let pairs = self.group.shared.env.iter().chain(&self.agent.shared.env);
        pairs.map(|(name, value)| (name.as_str(), value)).collect()
    }

    /// `peers` of the group and its own, without itself.
    pub fn listed_peers(&self) -> impl Iterator<Item = &'m At<String>> + use<'m> {
        let own = self.name();
        let all = self
            .group
            .shared
            .peers
            .iter()
            .chain(&self.agent.shared.peers);
        all.filter(move |peer| peer.value != own)
    }

    /// All agents whose address it is given.
    pub fn peers(&self) -> BTreeSet<&'m str> {
        let dependencies = self
            .agent
            .depends_on
            .iter()
            .filter(|d| d.value != self.name());
        self.listed_peers()
            .chain(dependencies)
            .map(|peer| peer.as_str())
            .collect()
    }
}

/// `base` joined with `path`, with `.` and `..` resolved by their letters: the
/// repository's root is defined that way too.
pub fn join(base: &Path, path: &str) -> PathBuf {
    let mut joined = PathBuf::new();
    for component in base.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                joined.pop();
            }
            other => joined.push(other),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_by_their_letters() {
        let join = |path| {
            join(Path::new("/repo/containers"), path)
                .display()
                .to_string()
        };
        assert_eq!(join("images/a"), "/repo/containers/images/a");
        assert_eq!(join("../scripts/./x"), "/repo/scripts/x");
        assert_eq!(join("/srv/tree/"), "/srv/tree");
        assert_eq!(join("../../../../x"), "/x");
    }
}
