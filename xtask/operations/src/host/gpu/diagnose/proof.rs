//! What a container with a GPU has shown, as a finding.

use std::collections::BTreeSet;

use crate::{
    host::findings::{HostFinding, HostSeverity},
    podman::gpu::Seen,
};

/// What a container that is given a device should see.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// CDI name.
    pub device: String,
    /// UUID of the GPU; absent for slices and where `nvidia-smi` is silent.
    pub uuid: Option<String>,
    /// `/dev/nvidia0` and the like, by the specification.
    pub nodes: BTreeSet<String>,
}

/// Compares both.
pub fn judge(expected: &Expected, image: &str, seen: &Seen) -> HostFinding {
    let device = &expected.device;
    let lines = seen.smi.as_deref().unwrap_or_default();
    let uuid = |line: &&String| line.starts_with("GPU-") || line.starts_with("MIG-");
    let uuids: Vec<&str> = lines.iter().filter(uuid).map(String::as_str).collect();
    let nodes: BTreeSet<String> = seen.nodes.iter().cloned().collect();
    if let Some(complaint) = lines.iter().find(|line| !uuid(line)) {
        return wrong(
            format!("nvidia-smi fails in a container that is given {device}"),
            complaint.clone(),
        );
    }
    if seen.smi.is_none() && nodes.is_empty() {
        return wrong(
            format!("a container that is given {device} sees no GPU"),
            format!("in {image} there is neither nvidia-smi nor a file /dev/nvidia0"),
        );
    }
    let right = match &expected.uuid {
        Some(uuid) => uuids == [uuid],
        None => uuids.len() == 1,
    };
    if seen.smi.is_some() && !right {
        let asked = expected.uuid.as_deref().unwrap_or("one GPU");
        return wrong(
            format!("a container that is given {device} sees another GPU"),
            format!("asked for {asked}, it sees {}", list(&uuids)),
        );
    }
    if !expected.nodes.is_empty() && nodes != expected.nodes {
        let names =
            |nodes: &BTreeSet<String>| list(&nodes.iter().map(String::as_str).collect::<Vec<_>>());
        return wrong(
            format!("a container that is given {device} has other devices"),
            format!(
                "it should have {}, it has {}",
                names(&expected.nodes),
                names(&nodes)
            ),
        );
    }
    let what = match uuids.as_slice() {
        [] => list(&seen.nodes.iter().map(String::as_str).collect::<Vec<_>>()),
        uuids => list(uuids),
    };
    HostFinding::ok(
        "gpu-proof",
        format!("a container that is given {device} sees exactly that GPU"),
        format!("{what}, in {image}"),
    )
}

/// podman did not run the container.
pub fn not_run(device: &str, error: &str) -> HostFinding {
    wrong(
        format!("no container starts that is given {device}"),
        error.to_owned(),
    )
}

fn wrong(title: String, evidence: String) -> HostFinding {
    HostFinding::new(
        "gpu-proof",
        HostSeverity::Error,
        title,
        evidence,
        format!(
            "fix what stands above; if nothing does, make the specification again: {}",
            super::wanted::GENERATE
        ),
    )
}

fn list(words: &[&str]) -> String {
    match words {
        [] => "none".into(),
        words => words.join(", "),
    }
}
