//! Reads the engine's state: one bulk call per kind of thing, side by side.
//!
//! Reading per container would be slow, and podman stalls on it during bulk
//! changes (podman issue 11940).

use std::collections::{BTreeMap, BTreeSet};

use model::plan::{
    handover::addresses_of,
    label,
    secret::ObservedSecret,
    state::{Container, ObservedImage, ObservedNetwork, State, Status},
};
use serde::Deserialize;

use super::run::{Call, Podman, PodmanError};

/// What to ask for; every field is one podman call.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ask {
    pub containers: bool,
    pub images: bool,
    pub networks: bool,
    pub volumes: bool,
    /// Secrets; looked for in any case where a container of ours has some.
    pub secrets: bool,
}

/// The engine's part of the state; the host's part stays empty.
pub fn observe(podman: &Podman, ask: Ask) -> Result<State, PodmanError> {
    std::thread::scope(|scope| {
        let containers = ask
            .containers
            .then(|| scope.spawn(|| with_half_made(podman)));
        let images = ask.images.then(|| scope.spawn(|| listed_images(podman)));
        let networks = ask.networks.then(|| scope.spawn(|| networks(podman)));
        let volumes = ask.volumes.then(|| scope.spawn(|| volumes(podman)));
        let secrets = ask.secrets.then(|| scope.spawn(|| secrets(podman)));
        let (images, replaced) = joined(images)?;
        let (containers, half_made) = joined(containers)?;
        let ours = |container: &Container| {
            container.belongs_to(&podman.system) && container.label(label::SECRETS).is_some()
        };
        let secrets = match secrets {
            None if containers.values().any(ours) => self::secrets(podman)?,
            asked => joined(asked)?,
        };
        Ok(State {
            containers,
            half_made,
            secrets,
            images,
            replaced,
            networks: joined(networks)?,
            volumes: joined(volumes)?,
            now_s: now_s(),
            ..State::default()
        })
    })
}

fn joined<T: Default>(
    thread: Option<std::thread::ScopedJoinHandle<'_, Result<T, PodmanError>>>,
) -> Result<T, PodmanError> {
    thread.map_or_else(
        || Ok(T::default()),
        |thread| thread.join().expect("observers do not panic"),
    )
}

fn now_s() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs() as i64)
}

/// What a listing calls a container that is in podman's storage only.
const HALF_MADE: &str = "storage";

/// Every container on the engine, by name, and the names of those that are in
/// podman's storage only. A creation that goes on looks like one that was cut
/// short, so that this is for the look before the first of them.
fn with_half_made(
    podman: &Podman,
) -> Result<(BTreeMap<String, Container>, BTreeSet<String>), PodmanError> {
    let args = ["ps", "--all", "--external", "--format", "json"];
    let listed: Vec<ListedContainer> = podman.json(&Call::look("list containers", &args))?;
    let (half_made, whole): (Vec<_>, Vec<_>) = listed
        .into_iter()
        .partition(|found| found.state == HALF_MADE);
    let half_made = half_made.into_iter().flat_map(|found| found.names);
    Ok((by_name(podman, whole), half_made.collect()))
}

/// Every container on the engine, by name.
pub fn containers(podman: &Podman) -> Result<BTreeMap<String, Container>, PodmanError> {
    let call = Call::look("list containers", &["ps", "--all", "--format", "json"]);
    Ok(by_name(podman, podman.json(&call)?))
}

fn by_name(podman: &Podman, listed: Vec<ListedContainer>) -> BTreeMap<String, Container> {
    // Process ids of another host say nothing about this one.
    let gone = |pid| !podman.remote && process::has_ended(pid);
    listed
        .into_iter()
        .filter_map(|listed| {
            let name = listed.names.first()?.clone();
            let status = match listed.state.as_str() {
                "created" | "configured" => Status::Created,
                "initialized" => Status::Initialized,
                "running" if gone(listed.pid) => Status::Lost,
                "running" => Status::Running,
                "paused" => Status::Paused,
                "stopping" if gone(listed.pid) => Status::Lost,
                "stopping" => Status::Stopping,
                "exited" | "stopped" => Status::Exited,
                _ => Status::Other,
            };
            let labels = listed.labels.unwrap_or_default();
            let container = Container {
                image: listed.image,
                image_id: plain_id(&listed.image_id),
                status,
                exit_code: if status == Status::Lost {
                    -1
                } else {
                    listed.exit_code
                },
                started_at_s: listed.started_at.max(0),
                pid: listed.pid,
                networks: listed.networks.unwrap_or_default(),
                host_ports: published(listed.ports.unwrap_or_default()),
                addresses: labels
                    .get(label::ADDRESSES)
                    .map(|text| addresses_of(text))
                    .unwrap_or_default(),
                observed: None,
                labels,
            };
            Some((name, container))
        })
        .collect()
}

fn published(listed: Vec<ListedPorts>) -> BTreeSet<u16> {
    let ports = listed.into_iter().filter(|ports| ports.host_port > 0);
    ports
        .flat_map(|ports| {
            let last = ports.host_port.saturating_add(ports.range.max(1) - 1);
            ports.host_port..=last
        })
        .collect()
}

/// Images by tag, those whose tags are `wanted` with their layers.
pub fn images_with_layers(
    podman: &Podman,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<BTreeMap<String, ObservedImage>, PodmanError> {
    let (mut images, _) = listed_images(podman)?;
    add_layers(podman, &mut images, wanted)?;
    Ok(images)
}

/// Images by tag, and the systems that have some without.
fn listed_images(
    podman: &Podman,
) -> Result<(BTreeMap<String, ObservedImage>, BTreeSet<String>), PodmanError> {
    let call = Call::look("list images", &["images", "--format", "json"]);
    let listed: Vec<ListedImage> = podman.json(&call)?;
    let mut images: BTreeMap<String, ObservedImage> = BTreeMap::new();
    let mut replaced = BTreeSet::new();
    for listed in listed {
        let image = ObservedImage {
            id: plain_id(&listed.id),
            labels: listed.labels.unwrap_or_default(),
            size_bytes: listed.size,
            created_s: listed.created,
            layers: Vec::new(),
        };
        let names = listed.names.unwrap_or_default();
        if names.is_empty() {
            replaced.extend(image.labels.get(label::SYSTEM).cloned());
        }
        images.extend(names.into_iter().map(|name| (name, image.clone())));
    }
    Ok((images, replaced))
}

fn add_layers(
    podman: &Podman,
    images: &mut BTreeMap<String, ObservedImage>,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<(), PodmanError> {
    let ids: BTreeSet<&str> = images
        .iter()
        .filter(|(tag, _)| wanted(tag))
        .map(|(_, image)| image.id.as_str())
        .collect();
    if ids.is_empty() {
        return Ok(());
    }
    let mut args = vec!["image", "inspect"];
    args.extend(ids);
    let inspected: Vec<InspectedImage> = podman.json(&Call::look("inspect images", &args))?;
    let layers: BTreeMap<String, Vec<String>> = inspected
        .into_iter()
        .map(|image| (plain_id(&image.id), image.root_fs.layers))
        .collect();
    for image in images.values_mut() {
        image.layers = layers.get(&image.id).cloned().unwrap_or_default();
    }
    Ok(())
}

/// Addresses of running containers: network to address, by container.
pub fn addresses(
    podman: &Podman,
    names: &[&str],
) -> Result<BTreeMap<String, BTreeMap<String, String>>, PodmanError> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut args = vec!["container", "inspect"];
    args.extend(names);
    let inspected: Vec<InspectedContainer> =
        podman.json(&Call::look("inspect containers", &args))?;
    let all = inspected.into_iter().map(|container| {
        let networks = container.settings.networks.unwrap_or_default().into_iter();
        let addressed = networks.filter(|(_, network)| !network.address.is_empty());
        let addresses = addressed.map(|(name, network)| (name, network.address));
        (container.name, addresses.collect())
    });
    Ok(all.collect())
}

fn networks(podman: &Podman) -> Result<BTreeMap<String, ObservedNetwork>, PodmanError> {
    let call = Call::look("list networks", &["network", "ls", "--format", "json"]);
    let listed: Vec<ListedNetwork> = podman.json(&call)?;
    Ok(listed
        .into_iter()
        .map(|network| {
            let subnets = network.subnets.unwrap_or_default();
            let options = network.options.unwrap_or_default();
            let found = ObservedNetwork {
                subnets: subnets.into_iter().map(|subnet| subnet.subnet).collect(),
                isolated: options
                    .get("isolate")
                    .is_some_and(|isolate| isolate != "false"),
                internal: network.internal,
                labels: network.labels.unwrap_or_default(),
            };
            (network.name, found)
        })
        .collect())
}

fn volumes(podman: &Podman) -> Result<BTreeSet<String>, PodmanError> {
    let call = Call::look("list volumes", &["volume", "ls", "--format", "json"]);
    let listed: Vec<ListedVolume> = podman.json(&call)?;
    Ok(listed.into_iter().map(|volume| volume.name).collect())
}

/// All secrets by name. The listing of podman 4.3 has no labels and cannot be had as
/// JSON; those of the system's name are looked at more closely.
fn secrets(podman: &Podman) -> Result<BTreeMap<String, ObservedSecret>, PodmanError> {
    let args = ["secret", "ls", "--format", "{{.ID}} {{.Name}}"];
    let listed = podman.run(&Call::look("list secrets", &args))?.stdout;
    let mut secrets: BTreeMap<String, ObservedSecret> = listed
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(id, name)| {
            let found = ObservedSecret {
                id: id.to_owned(),
                system: None,
            };
            (name.trim().to_owned(), found)
        })
        .collect();
    // Names of long systems are cut.
    let start: String = podman.system.chars().take(16).collect();
    let alike: Vec<String> = secrets
        .keys()
        .filter(|name| name.starts_with(&start))
        .cloned()
        .collect();
    if alike.is_empty() {
        return Ok(secrets);
    }
    let mut args = vec!["secret", "inspect"];
    args.extend(alike.iter().map(String::as_str));
    // One that is gone meanwhile makes this fail, and the others are told all the same.
    let answer = podman.probe(&Call::look("inspect secrets", &args))?;
    let inspected: Vec<InspectedSecret> = serde_json::from_str(&answer.stdout).unwrap_or_default();
    for found in inspected {
        let system = found
            .spec
            .labels
            .and_then(|mut labels| labels.remove(label::SYSTEM));
        if let Some(secret) = secrets.get_mut(&found.spec.name) {
            secret.system = system;
        }
    }
    Ok(secrets)
}

/// podman writes ids with and without `sha256:`, by verb and version.
fn plain_id(id: &str) -> String {
    id.trim_start_matches("sha256:").to_owned()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedContainer {
    names: Vec<String>,
    #[serde(default)]
    image: String,
    #[serde(rename = "ImageID", default)]
    image_id: String,
    state: String,
    #[serde(default)]
    exit_code: i32,
    #[serde(default)]
    started_at: i64,
    #[serde(default)]
    pid: u32,
    networks: Option<BTreeSet<String>>,
    ports: Option<Vec<ListedPorts>>,
    labels: Option<BTreeMap<String, String>>,
}

/// One port, or as many in a row as `range` says.
#[derive(Deserialize)]
struct ListedPorts {
    #[serde(default)]
    host_port: u16,
    #[serde(default)]
    range: u16,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedImage {
    id: String,
    names: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    created: i64,
}

#[derive(Deserialize)]
struct InspectedContainer {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "NetworkSettings")]
    settings: InspectedSettings,
}

#[derive(Deserialize)]
struct InspectedSettings {
    #[serde(rename = "Networks")]
    networks: Option<BTreeMap<String, InspectedAddress>>,
}

#[derive(Deserialize)]
struct InspectedAddress {
    #[serde(rename = "IPAddress", default)]
    address: String,
}

#[derive(Deserialize)]
struct InspectedImage {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "RootFS")]
    root_fs: RootFs,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RootFs {
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct ListedNetwork {
    name: String,
    subnets: Option<Vec<ListedSubnet>>,
    #[serde(default)]
    internal: bool,
    options: Option<BTreeMap<String, String>>,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct ListedSubnet {
    subnet: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedSecret {
    spec: InspectedSecretSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedSecretSpec {
    name: String,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedVolume {
    name: String,
}
