//! Who may use the devices: permissions, SELinux, and what is left of the ways
//! before CDI.

use crate::{
    host::{
        findings::{HostFinding, HostSeverity},
        gpu::{
            diagnose::wanted::PodmanFacts,
            facts::{DevNode, GpuFacts},
        },
    },
    podman::caps::Version,
};

/// `--device` takes CDI names.
const CDI_SINCE: Version = Version::new(4, 1, 0);
/// `--gpus` does something.
const GPUS_SINCE: Version = Version::new(5, 0, 0);

pub(super) fn findings(facts: &GpuFacts, podman: &PodmanFacts) -> Vec<HostFinding> {
    let mut found = Vec::new();
    found.extend(version(podman));
    found.extend(modes(facts, podman));
    found.extend(selinux(facts));
    found.extend(legacy(facts, podman));
    found.extend(char_links(facts, podman));
    found
}

fn version(podman: &PodmanFacts) -> Option<HostFinding> {
    let version = podman.version;
    if version < CDI_SINCE {
        return Some(HostFinding::new(
            "gpu-podman",
            HostSeverity::Error,
            format!("podman {version} does not know CDI"),
            "it takes nvidia.com/gpu=0 for a file: `stat nvidia.com/gpu=0: no such file`",
            format!("install podman {CDI_SINCE} or later"),
        ));
    }
    (version < GPUS_SINCE).then(|| {
        HostFinding::new(
            "gpu-podman",
            HostSeverity::Info,
            format!("podman {version} ignores `--gpus`"),
            format!("it came with {GPUS_SINCE}; this tool asks for `--device nvidia.com/gpu=NAME`, which works"),
            "nothing to do; by hand, use --device as well",
        )
    })
}

/// Agents are no root, in the container or out of it, and CDI changes no
/// permissions: the device must be open to all, or to a group that they have.
fn modes(facts: &GpuFacts, podman: &PodmanFacts) -> Option<HostFinding> {
    let closed: Vec<String> = facts
        .nodes
        .iter()
        .filter(|(path, _)| used(path))
        .filter(|(_, node)| node.mode & 0o006 != 0o006)
        .map(|(path, node)| format!("{path} has mode {:04o}, group {}", node.mode, node.gid))
        .collect();
    let by_group =
        |node: &DevNode| node.mode & 0o060 == 0o060 && facts.own_groups.contains(&node.gid);
    let groups = facts
        .nodes
        .values()
        .all(|node| node.mode & 0o006 == 0o006 || by_group(node));
    let driver = "options nvidia NVreg_DeviceFileMode=0666";
    let fix = if podman.rootless && groups && podman.runtime == "crun" {
        format!(
            "give the containers this user's groups (`--group-add keep-groups`, crun only), or open the devices: `{driver}` in /etc/modprobe.d/nvidia.conf, then restart the host"
        )
    } else {
        format!(
            "open the devices: `{driver}` in /etc/modprobe.d/nvidia.conf, then restart the host"
        )
    };
    (!closed.is_empty()).then(|| {
        HostFinding::new(
            "gpu-access",
            HostSeverity::Error,
            "agents may not open the GPU's devices: they do not run as root",
            format!(
                "{}; in the container it would be `NVML: Insufficient Permissions`",
                closed.join(", ")
            ),
            fix,
        )
    })
}

/// What CUDA opens.
fn used(path: &str) -> bool {
    super::super::is_gpu_node(path) || ["/dev/nvidiactl", "/dev/nvidia-uvm"].contains(&path)
}

fn selinux(facts: &GpuFacts) -> Option<HostFinding> {
    let denied = facts.selinux.enforcing && facts.selinux.use_devices != Some(true);
    denied.then(|| {
        HostFinding::new(
            "gpu-selinux",
            HostSeverity::Warning,
            "SELinux keeps containers from devices",
            match facts.selinux.use_devices {
                Some(_) => "it is enforcing, and the boolean container_use_devices is off",
                None => "it is enforcing, and its policy has no boolean container_use_devices",
            },
            "sudo setsebool -P container_use_devices 1; without that boolean update the package container-selinux",
        )
    })
}

/// The hook from before CDI runs beside it, and fails rootless unless it is
/// told to leave cgroups alone.
fn legacy(facts: &GpuFacts, podman: &PodmanFacts) -> Vec<HostFinding> {
    let hooks: Vec<String> = facts
        .legacy_hooks
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    if hooks.is_empty() {
        return Vec::new();
    }
    let mut found = vec![HostFinding::new(
        "gpu-legacy-hook",
        HostSeverity::Warning,
        "a hook from before CDI injects GPUs, too",
        hooks.join(", "),
        format!("CDI replaces it: sudo rm {}", hooks.join(" ")),
    )];
    if podman.rootless && facts.no_cgroups != Some(true) {
        found.push(HostFinding::new(
            "gpu-no-cgroups",
            HostSeverity::Error,
            "that hook fails in rootless containers",
            "no-cgroups is not true in /etc/nvidia-container-runtime/config.toml",
            "remove the hook; setting no-cgroups = true instead breaks GPUs in Docker's containers (nvidia-container-toolkit issue 580)",
        ));
    }
    found
}

/// systemd writes the rules for devices anew at `daemon-reload`, from what it
/// finds in `/dev/char`; a GPU without a link there is lost to containers that
/// run (nvidia-container-toolkit issue 48). crun asks the kernel, not systemd.
fn char_links(facts: &GpuFacts, podman: &PodmanFacts) -> Option<HostFinding> {
    if podman.runtime != "runc" || podman.cgroup_manager != "systemd" {
        return None;
    }
    let missing: Vec<&str> = facts
        .nodes
        .iter()
        .filter(|(path, _)| used(path))
        .filter(|(_, node)| {
            !facts
                .char_links
                .contains(&format!("{}:{}", node.major, node.minor))
        })
        .map(|(path, _)| path.as_str())
        .collect();
    (!missing.is_empty()).then(|| {
        HostFinding::new(
            "gpu-char-links",
            HostSeverity::Warning,
            "containers lose the GPU at the next `systemctl daemon-reload` (`NVML: Unknown Error`)",
            format!("no link in /dev/char for {}; the runtime is runc with cgroups through systemd", missing.join(", ")),
            "sudo nvidia-ctk system create-dev-char-symlinks --create-all, at every start of the host; or use crun. `cargo xtask deploy --recreate NAME` brings a lost GPU back",
        )
    })
}
