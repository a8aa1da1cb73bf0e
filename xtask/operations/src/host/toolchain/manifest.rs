//! Findings about what the manifest asks of this host.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use model::{
    plan::{State, local_tag, pointer_tag},
    system::{Agent, BaseSource, MountSource, System, naming::looks_secret},
};

use super::super::findings::{HostFinding, HostSeverity};

pub fn base_sources(
    system: &System,
    state: &State,
    installed: &dyn Fn(&str) -> bool,
) -> Option<HostFinding> {
    let allowed = |source| system.base.sources.contains(&source);
    let base = &system.base.name;
    let tags = [pointer_tag(system, base), local_tag(base)];
    let present = tags.iter().any(|tag| state.images.contains_key(tag));
    let bootstrap = allowed(BaseSource::Bootstrap) && installed("mmdebstrap");
    if present || bootstrap {
        return None;
    }
    if !allowed(BaseSource::Pull) {
        return Some(HostFinding::new(
            "base-image",
            HostSeverity::Error,
            "the base image does not exist and cannot be made here",
            "of its sources in the manifest none works on this host",
            "allow `pull` or `bootstrap` in `sources` of [base]; `cargo xtask up --install` installs mmdebstrap",
        ));
    }
    Some(HostFinding::new(
        "base-image",
        HostSeverity::Warning,
        "the base image must be pulled from a registry",
        "it is not present, and it cannot be bootstrapped with mmdebstrap",
        "`cargo xtask up --install` installs mmdebstrap",
    ))
}

pub fn relaxations(agents: &[&Agent]) -> Vec<HostFinding> {
    let relaxed = agents.iter().flat_map(|agent| {
        let relax = &agent.relax;
        let writable = relax
            .writable_root
            .iter()
            .map(|why| ("a writable root".to_owned(), why));
        let root = relax
            .root_user
            .iter()
            .map(|why| ("the root user".to_owned(), why));
        let capabilities = relax
            .capabilities
            .iter()
            .map(|(name, why)| (format!("the capability {name}"), why));
        writable
            .chain(root)
            .chain(capabilities)
            .map(move |(what, why)| (agent, what, why))
    });
    relaxed
        .map(|(agent, what, why)| {
            HostFinding::new(
                "relaxed-security",
                HostSeverity::Info,
                format!("{} has {what}", agent.name),
                format!("reason given in the manifest: {why}"),
                "remove it from `relax` in the manifest if it is no longer needed",
            )
        })
        .collect()
}

/// Variables that hold secrets by the look of their names, in the manifest for all to
/// read: one finding for each, with the agents that have it.
pub fn plain_secrets(agents: &[&Agent]) -> Vec<HostFinding> {
    let mut plain: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for agent in agents {
        for (name, value) in &agent.env {
            // A switch or a number is none.
            let telling = value.len() >= 4
                && value.parse::<f64>().is_err()
                && value != "false"
                && value != "true";
            if looks_secret(name) && telling {
                plain.entry(name).or_default().push(&agent.name);
            }
        }
    }
    plain
        .into_iter()
        .map(|(name, agents)| {
            HostFinding::new(
                "plain-secret",
                HostSeverity::Warning,
                format!("the variable {name} looks like a secret, and its value is in the manifest"),
                format!(
                    "{} has it in `env`, from where it is in podman's command line and in `podman inspect`",
                    agents.join(", ")
                ),
                format!(
                    "add `{name} = {{ file = \"…\" }}` to [secrets], and to the agent \
                     `secrets = [\"{name}\"]`, which makes it the file /run/secrets/{name}, or \
                     `secrets = [{{ secret = \"{name}\", env = \"{name}\" }}]`"
                ),
            )
        })
        .collect()
}

/// Folders of the host that agents are given, each with its SELinux label.
/// Where rules are enforced, a container may read only what is labelled for
/// containers.
pub fn labels(mounts: &[(PathBuf, Option<String>)]) -> Vec<HostFinding> {
    // Types that containers may read (container-selinux).
    const READABLE: &[&str] = &[
        "container_file_t",
        "container_ro_file_t",
        "container_share_t",
        "container_var_lib_t",
        "svirt_sandbox_file_t",
    ];
    let kind = |label: &str| label.split(':').nth(2).map(str::to_owned);
    mounts
        .iter()
        .filter_map(|(path, label)| {
            let label = label.as_deref()?;
            let kind = kind(label)?;
            (!READABLE.contains(&kind.as_str())).then(|| {
                let path = path.display();
                HostFinding::new(
                    "selinux-label",
                    HostSeverity::Warning,
                    format!("SELinux will keep agents from reading {path}"),
                    format!("its label is {label}, and rules are enforced"),
                    format!("chcon --recursive --type container_file_t {path}"),
                )
            })
        })
        .collect()
}

/// Folders of the host that agents have mounted, none twice.
pub fn host_mounts(agents: &[&Agent]) -> Vec<PathBuf> {
    let mounts = agents.iter().flat_map(|agent| &agent.mounts);
    let mut paths: Vec<PathBuf> = mounts
        .filter_map(|mount| match &mount.source {
            MountSource::Host(path) => Some(path.clone()),
            MountSource::Volume(_) => None,
        })
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

/// The label of a file, where the file system keeps any.
pub fn label(path: &Path) -> Option<String> {
    let mut bytes = [0_u8; 256];
    let length = rustix::fs::getxattr(path, "security.selinux", &mut bytes[..]).ok()?;
    let text = String::from_utf8_lossy(bytes.get(..length)?);
    Some(text.trim_end_matches('\0').to_owned())
}
