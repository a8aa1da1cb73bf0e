//! Every finding of `check-gpu`: its situation is made on a host in a temporary
//! folder, and the finding appears with evidence and fix. A healthy host shows
//! none, and no finding is left out.

mod host;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use host::Host;
use table::TABLE;

use crate::{host::findings::HostSeverity, podman::caps::Version};

/// `gpu-proof` is about a container; its own test stands below.
const APART: [&str; 1] = ["gpu-proof"];

#[test]
fn every_situation_shows_its_finding() {
    for (id, severity, change, words) in TABLE {
        let mut host = Host::healthy();
        change(&mut host);
        let found = host.findings();
        let all: Vec<String> = found.iter().map(|finding| format!("{finding:?}")).collect();
        let hit = found.iter().find(|finding| {
            let same = finding.id == *id && finding.severity == *severity;
            same && (finding.evidence.contains(words) || finding.title.contains(words))
        });
        let hit = hit.unwrap_or_else(|| panic!("{severity:?} {id} `{words}`\n{}", all.join("\n")));
        assert!(!hit.evidence.is_empty(), "{id}");
        let fixable = *severity != HostSeverity::Ok;
        assert_eq!(
            hit.fix.as_ref().is_some_and(|fix| !fix.is_empty()),
            fixable,
            "{id}"
        );
    }
}

#[test]
fn a_healthy_host_shows_nothing_bad() {
    for version in [
        Version::new(4, 3, 1),
        Version::new(4, 9, 3),
        Version::new(5, 4, 2),
        Version::new(5, 7, 0),
    ] {
        for rootless in [false, true] {
            let mut host = Host::healthy();
            host.podman.version = version;
            host.podman.rootless = rootless;
            host.cuda = Some((12, 6));
            host.agents(&[
                "gpu_count = 1\nvram_mb = 4000",
                "gpu_count = 1\nvram_mb = 4000",
            ]);
            let bad: Vec<String> = host
                .findings()
                .iter()
                .filter(|finding| finding.severity > HostSeverity::Info)
                .map(|finding| format!("{finding:?}"))
                .collect();
            assert!(bad.is_empty(), "podman {version}: {bad:#?}");
        }
    }
}

/// Every id of the sources is in the table, with each of its severities that
/// matters, and the table has no other.
#[test]
fn the_table_is_complete() {
    let sources = [
        include_str!("../diagnose.rs"),
        include_str!("../diagnose/access.rs"),
        include_str!("../diagnose/hardware.rs"),
        include_str!("../diagnose/manifest.rs"),
        include_str!("../diagnose/proof.rs"),
        include_str!("../diagnose/specs.rs"),
    ];
    let mut used = BTreeSet::new();
    for text in sources {
        for (at, _) in text.match_indices("\"gpu-") {
            used.extend(text[at + 1..].split('"').next());
        }
    }
    let listed: BTreeSet<&str> = TABLE.iter().map(|(id, ..)| *id).chain(APART).collect();
    assert_eq!(used, listed);
    assert!(used.len() > 30, "{}", used.len());
}

/// The row of the broken host and no other one: what is well is not called bad.
#[test]
fn one_fault_is_one_finding() {
    let mut several = BTreeMap::new();
    for (id, severity, change, _) in TABLE.iter().filter(|row| row.1 > HostSeverity::Info) {
        let mut host = Host::healthy();
        change(&mut host);
        let found = host.findings();
        let bad = found.iter().filter(|finding| finding.severity >= *severity);
        let others: BTreeSet<&str> = bad
            .map(|finding| finding.id)
            .filter(|other| other != id)
            .collect();
        if !others.is_empty() {
            several.entry(*id).or_insert(others);
        }
    }
    // What belongs together: a file that is not read leaves nothing offered,
    // and one that is not made has a reason.
    let expected = BTreeMap::from([
        ("gpu-driver-565", BTreeSet::from(["gpu-spec-missing"])),
        ("gpu-driver-old", BTreeSet::from(["gpu-spec-stale"])),
        ("gpu-spec-malformed", BTreeSet::from(["gpu-spec-missing"])),
        ("gpu-spec-unreadable", BTreeSet::from(["gpu-spec-missing"])),
        ("gpu-toolkit-missing", BTreeSet::from(["gpu-spec-missing"])),
        ("gpu-uvm", BTreeSet::from(["gpu-spec-path-gone"])),
        ("gpu-nodes", BTreeSet::from(["gpu-spec-path-gone"])),
    ]);
    assert_eq!(several, expected);
}

#[test]
fn what_a_container_shows_is_judged() {
    use super::diagnose::proof::{Expected, judge, not_run};
    use crate::podman::gpu::Seen;
    let expected = Expected {
        device: "0".into(),
        uuid: Some("GPU-0".into()),
        nodes: ["/dev/nvidia0".to_owned()].into(),
    };
    let seen = |smi: Option<&[&str]>, nodes: &[&str]| Seen {
        smi: smi.map(|lines| lines.iter().map(|line| (*line).to_owned()).collect()),
        nodes: nodes.iter().map(|node| (*node).to_owned()).collect(),
    };
    let node: &[&str] = &["/dev/nvidia0"];
    for (smi, nodes, severity, words) in [
        (Some(&["GPU-0"][..]), node, HostSeverity::Ok, "GPU-0"),
        (None, node, HostSeverity::Ok, "/dev/nvidia0"),
        (
            Some(&["GPU-1"]),
            node,
            HostSeverity::Error,
            "asked for GPU-0, it sees GPU-1",
        ),
        (
            Some(&["GPU-0", "GPU-1"]),
            node,
            HostSeverity::Error,
            "GPU-0, GPU-1",
        ),
        (
            Some(&["Failed to initialize NVML"]),
            node,
            HostSeverity::Error,
            "Failed to",
        ),
        (
            Some(&["GPU-0"]),
            &["/dev/nvidia0", "/dev/nvidia1"],
            HostSeverity::Error,
            "it has /dev/nvidia0, /dev/nvidia1",
        ),
        (None, &[], HostSeverity::Error, "neither"),
    ] {
        let finding = judge(&expected, "image", &seen(smi, nodes));
        assert_eq!(
            (finding.id, finding.severity),
            ("gpu-proof", severity),
            "{finding:?}"
        );
        assert!(finding.evidence.contains(words), "{finding:?}");
    }
    let failed = not_run("0", "unresolvable CDI devices nvidia.com/gpu=0");
    assert_eq!(failed.severity, HostSeverity::Error);
    assert!(failed.evidence.contains("unresolvable"));
}

#[test]
fn cuda_is_found_in_locks() {
    use super::cuda_in_lock;
    let lock = "filelock==4.2 \\\n    --hash=x\nnvidia-cuda-runtime-cu12==12.6.77 \\\n";
    assert_eq!(cuda_in_lock(lock), Some((12, 6)));
    assert_eq!(
        cuda_in_lock("nvidia-cuda-runtime==13.0.48 \\"),
        Some((13, 0))
    );
    assert_eq!(cuda_in_lock("nvidia-cudnn-cu12==9.5.1"), None);
}
