//! Findings about podman itself: what it is, what it lacks, whether it runs
//! containers here.

use std::path::Path;

use super::super::findings::{HostFinding, HostSeverity};
use crate::podman::{
    caps::{BUGS, FEATURES, Version},
    facts::Facts,
    quirks::Proof,
};

pub fn proven(proof: &Proof) -> Vec<HostFinding> {
    let ran = format!(
        "a container ran in {:.2} s with {}",
        proof.run_ms as f64 / 1e3,
        proof.quirks
    );
    let mut found = vec![HostFinding::ok(
        "engine-runs",
        "podman runs containers",
        ran,
    )];
    if !proof.rejected.is_empty() {
        let reasons: Vec<String> = proof
            .rejected
            .iter()
            .map(|(set, why)| format!("{set}: {why}"))
            .collect();
        found.push(HostFinding::new(
            "engine-quirks",
            HostSeverity::Info,
            "podman's defaults do not work here; every call carries explicit options",
            reasons.join("; "),
            format!(
                "nothing to do; to use podman by hand, add: {}",
                proof.quirks
            ),
        ));
    }
    found
}

pub fn version(program: &Path, facts: &Facts) -> HostFinding {
    let mode = if facts.rootless {
        "rootless"
    } else {
        "rootful"
    };
    HostFinding::ok(
        "podman-version",
        format!("podman {}, {mode}", facts.version),
        format!(
            "{}; runtime {}, cgroups {} through {}, storage {} at {}",
            program.display(),
            facts.runtime,
            facts.cgroup_version,
            facts.cgroup_manager,
            facts.storage_driver,
            facts.storage_root.display(),
        ),
    )
}

pub fn features(version: Version) -> impl Iterator<Item = HostFinding> {
    FEATURES
        .iter()
        .filter(move |feature| !version.has(feature))
        .map(move |feature| {
            HostFinding::new(
                "podman-feature",
                HostSeverity::Info,
                format!(
                    "podman {version} lacks {} (since {})",
                    feature.name, feature.since
                ),
                feature.without,
                "nothing to do; a newer podman has it",
            )
        })
}

pub fn network_backend(facts: &Facts) -> Option<HostFinding> {
    let backend = &facts.network_backend;
    (backend != "netavark").then(|| {
        HostFinding::new(
            "network-backend",
            HostSeverity::Error,
            format!("podman's network backend is `{backend}`, not netavark"),
            "CNI refuses fixed addresses outside the dynamic range (podman issue 12922)",
            "install netavark and aardvark-dns, set network_backend = \"netavark\" in the [network] section of /etc/containers/containers.conf, then `podman system reset`",
        )
    })
}

pub fn vfs(facts: &Facts) -> Option<HostFinding> {
    (facts.storage_driver == "vfs").then(|| {
        HostFinding::new(
            "storage-vfs",
            HostSeverity::Warning,
            "the storage driver is vfs: every layer is a full copy",
            "the gpu and audio images hold 6 to 8 GB in about ten layers each, so they will take more than 100 GB",
            "make /dev/fuse available and install fuse-overlayfs, or use a kernel with rootless overlay (5.13 or later)",
        )
    })
}

/// Defects of this version that the tool steps around.
pub fn bugs(version: Version) -> impl Iterator<Item = HostFinding> {
    BUGS.iter()
        .filter(move |bug| bug.has(version))
        .map(move |bug| {
            HostFinding::new(
                "podman-bug",
                HostSeverity::Info,
                format!("podman {version}: {}", bug.what),
                bug.answer,
                format!("nothing to do; it is not known of {} and later", bug.until),
            )
        })
}
