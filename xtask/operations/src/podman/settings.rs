//! The settings of many containers in one call, reduced to what a planner
//! compares.

use std::collections::{BTreeMap, BTreeSet};

use model::plan::observed::{
    Attachment, Observed, ObservedMount, Publication, ResourceLimits, capability,
};
use serde::Deserialize;

use super::run::{Call, Podman, PodmanError};

/// One container.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// In full: control groups are called by it.
    pub id: String,
    /// Process id on the machine that podman works on; 0 if not running.
    pub pid: u32,
    /// Without the limits that the kernel holds it to, of which podman does not
    /// tell.
    pub observed: Observed,
}

/// The settings of `names`, by name; one that is gone by now is left out.
///
/// # Errors
/// podman failed, or none of them exists.
pub fn of(
    podman: &Podman,
    names: &[&str],
    rootless: bool,
) -> Result<BTreeMap<String, Settings>, PodmanError> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut args = vec!["container", "inspect"];
    args.extend(names);
    let call = Call::look("inspect containers", &args);
    let answer = podman.probe(&call)?;
    let inspected: Vec<Inspected> = match serde_json::from_str(&answer.stdout) {
        // podman lists those that it finds, and then complains of the others.
        Ok(inspected) if answer.code == 0 || answer.stdout.contains("\"Id\"") => inspected,
        _ => podman.json(&call)?,
    };
    let settings = |found: Inspected| (found.name.clone(), found.into_settings(rootless));
    Ok(inspected.into_iter().map(settings).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    name: String,
    state: InspectedState,
    bounding_caps: Option<Vec<String>>,
    mounts: Option<Vec<InspectedMount>>,
    network_settings: InspectedNetworks,
    config: InspectedConfig,
    host_config: InspectedHost,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedState {
    #[serde(default)]
    pid: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedMount {
    #[serde(rename = "Type")]
    kind: String,
    /// Of a volume.
    #[serde(default)]
    name: String,
    source: String,
    destination: String,
    #[serde(rename = "RW")]
    writable: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedNetworks {
    networks: Option<BTreeMap<String, InspectedAttachment>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedAttachment {
    #[serde(rename = "IPAddress", default)]
    address: String,
    #[serde(default)]
    mac_address: String,
    aliases: Option<BTreeSet<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedConfig {
    hostname: Option<String>,
    #[serde(default)]
    user: String,
    env: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    create_command: Option<Vec<String>>,
    stop_timeout: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedHost {
    #[serde(default)]
    network_mode: String,
    port_bindings: Option<BTreeMap<String, Option<Vec<InspectedBinding>>>>,
    restart_policy: InspectedRestart,
    group_add: Option<BTreeSet<String>>,
    readonly_rootfs: bool,
    security_opt: Option<Vec<String>>,
    #[serde(default)]
    memory: i64,
    #[serde(default)]
    memory_swap: i64,
    #[serde(default)]
    cpu_period: i64,
    #[serde(default)]
    cpu_quota: i64,
    pids_limit: Option<i64>,
    devices: Option<Vec<InspectedDevice>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedBinding {
    #[serde(default)]
    host_ip: String,
    host_port: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedRestart {
    name: String,
    #[serde(default)]
    maximum_retry_count: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedDevice {
    path_on_host: String,
}

impl Inspected {
    fn into_settings(self, rootless: bool) -> Settings {
        let (config, host) = (self.config, self.host_config);
        let attachments = self.network_settings.networks.unwrap_or_default();
        let capabilities = self.bounding_caps.unwrap_or_default();
        let variables = config.env.unwrap_or_default();
        let created = config.create_command;
        // Without root, podman mounts devices, and does not list them.
        let devices = host.devices.filter(|_| !rootless);
        let devices = devices.map(|devices| {
            devices
                .into_iter()
                .map(|device| device.path_on_host)
                .collect()
        });
        Settings {
            id: self.id,
            pid: self.state.pid,
            observed: Observed {
                hostname: config.hostname,
                attachments: attachments
                    .into_iter()
                    .map(|(network, found)| (network, attachment(found)))
                    .collect(),
                host_network: host.network_mode == "host",
                publish: publications(host.port_bindings.unwrap_or_default()),
                env: variables
                    .iter()
                    .filter_map(|variable| variable.split_once('='))
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
                mounts: self
                    .mounts
                    .unwrap_or_default()
                    .into_iter()
                    .map(mount)
                    .collect(),
                devices,
                // Options are the only place where podman 4.3 has them.
                gpus: created.map(|words| {
                    let gpu = |word: &String| word.starts_with("nvidia.com/gpu=");
                    words.into_iter().filter(gpu).collect()
                }),
                groups: host.group_add.unwrap_or_default(),
                limits: ResourceLimits {
                    memory: positive(host.memory),
                    cpus: positive(host.cpu_quota)
                        .zip(positive(host.cpu_period))
                        .map(|(quota, period)| quota as f64 / period as f64),
                    pids: host.pids_limit.and_then(positive),
                },
                in_force: ResourceLimits::default(),
                memory_swap: positive(host.memory_swap),
                restart: restart(&host.restart_policy),
                stop_timeout_s: config.stop_timeout,
                capabilities: capabilities.iter().map(|name| capability(name)).collect(),
                no_new_privileges: host
                    .security_opt
                    .unwrap_or_default()
                    .iter()
                    .any(|option| option.starts_with("no-new-privileges")),
                read_only_root: host.readonly_rootfs,
                user: config.user,
                command: config.cmd.unwrap_or_default(),
            },
        }
    }
}

/// 0, and -1, say that there is no limit, or none that this host could keep.
fn positive(number: i64) -> Option<u64> {
    u64::try_from(number).ok().filter(|number| *number > 0)
}

fn attachment(found: InspectedAttachment) -> Attachment {
    Attachment {
        address: found.address.parse().ok(),
        hardware_address: match found.mac_address.is_empty() {
            true => None,
            false => Some(found.mac_address.to_lowercase()),
        },
        aliases: found.aliases.unwrap_or_default(),
    }
}

/// `7000/tcp` to the places on the host that lead there.
fn publications(
    bindings: BTreeMap<String, Option<Vec<InspectedBinding>>>,
) -> BTreeSet<Publication> {
    let mut publications = BTreeSet::new();
    for (port, bindings) in bindings {
        let number = port.split('/').next().and_then(|port| port.parse().ok());
        for binding in bindings.unwrap_or_default() {
            let (Some(port), Ok(host_port)) = (number, binding.host_port.parse()) else {
                continue;
            };
            let address = match binding.host_ip.as_str() {
                "" => "0.0.0.0".to_owned(),
                _ => binding.host_ip,
            };
            publications.insert(Publication {
                address,
                host_port,
                port,
            });
        }
    }
    publications
}

fn mount(found: InspectedMount) -> ObservedMount {
    let volume = found.kind == "volume";
    ObservedMount {
        source: if volume { found.name } else { found.source },
        target: found.destination,
        read_only: !found.writable,
    }
}

/// As podman's `--restart` takes it.
fn restart(policy: &InspectedRestart) -> String {
    match (policy.name.as_str(), policy.maximum_retry_count) {
        ("" | "no", _) => "no".to_owned(),
        ("on-failure", times) if times > 0 => format!("on-failure:{times}"),
        (name, _) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
