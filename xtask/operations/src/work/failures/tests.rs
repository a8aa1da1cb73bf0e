//! The catalogue of messages: the full text of every way in which a command
//! can fail before a plan is carried out.

use super::*;
use crate::{podman::run::How, work::outcome::tests::text};

#[track_caller]
fn check(failure: &Failure, expected: &str) {
    assert_eq!(text(failure), expected);
}

fn podman_error(how: How, stderr: &[&str]) -> PodmanError {
    PodmanError::Failed {
        purpose: "start `alpha`".into(),
        command: "podman start alpha".into(),
        how,
        stderr: stderr.iter().map(|line| (*line).to_owned()).collect(),
    }
}

#[test]
fn podman_fails_outside_a_plan() {
    check(
        &podman_failure(podman_error(
            How::Code(125),
            &["Error: no space left on device"],
        )),
        "4 error: failed to start `alpha`: exit code 125
  $ podman start alpha
  Error: no space left on device
hint: free disk space; `podman system df` shows what podman holds",
    );
    check(
        &podman_failure(PodmanError::Interrupted),
        "130 error: interrupted
hint: nothing was changed",
    );
}

#[test]
fn podman_answers_nonsense() {
    let error = PodmanError::Garbage {
        purpose: "list containers".into(),
        command: "podman ps".into(),
        problem: "expected value at line 1 column 1".into(),
        answer: "oops".into(),
    };
    check(
        &podman_failure(error),
        "4 error: failed to list containers: podman's answer could not be understood: expected value at line 1 column 1
  $ podman ps
  answer: oops
hint: is the `podman` on PATH really podman?",
    );
}

#[test]
fn a_file_cannot_be_read() {
    let error = Unreadable {
        path: "/repo/requirements.txt".into(),
        error: std::io::Error::from_raw_os_error(2),
    };
    check(
        &unreadable(&error),
        "5 error: cannot read /repo/requirements.txt: No such file or directory (os error 2)",
    );
}

#[test]
fn reasons_why_no_plan_can_be_made() {
    let alpha = || "Alpha".to_owned();
    let one = |error: PlanError| plan_failure(&[error]);
    check(
        &one(PlanError::ImageMissing {
            agent: alpha(),
            image: "demo-code".into(),
        }),
        "5 error: Alpha needs the image `demo-code`, which has not been built
hint: run `cargo xtask build-images`",
    );
    check(
        &one(PlanError::ContainerTaken {
            agent: alpha(),
            container: "alpha".into(),
        }),
        "11 error: Alpha needs the container name `alpha`, and a container that this tool did not create has it
hint: rename or remove it (`podman rename alpha …`), or set `container` in the manifest",
    );
    let differs = |differences: &[&str], ours| PlanError::NetworkDiffers {
        network: "left".into(),
        differences: differences.iter().map(|words| (*words).into()).collect(),
        ours,
    };
    check(
        &one(differs(&[], true)),
        "11 error: network `left` was created from other settings than the manifest's
hint: run `cargo xtask down`, then `cargo xtask create-networks --recreate`",
    );
    check(
        &one(differs(&["is open", "has a leak"], true)),
        "11 error: network `left` is not as the manifest has it: it is open, has a leak
hint: run `cargo xtask down`, then `cargo xtask create-networks --recreate`",
    );
    check(
        &one(differs(&["is open"], false)),
        "11 error: network `left`, which this tool did not create, is not as the manifest has it: it is open
hint: run `cargo xtask down` and `podman network rm left`, and `cargo xtask deploy` creates it; or let `[networks.left]` say what it is",
    );
    check(
        &one(PlanError::NetworkOverlaps {
            network: "left".into(),
            subnet: "10.1.0.0/16".into(),
            other: "vpn".into(),
            other_subnet: "10.0.0.0/8".into(),
        }),
        "11 error: network `left` (10.1.0.0/16) overlaps podman's network `vpn` (10.0.0.0/8)
hint: choose another subnet in the manifest, or remove the other network",
    );
    check(
        &one(PlanError::NotImplemented {
            agent: alpha(),
            script: "a.py".into(),
        }),
        "3 error: Alpha has no implementation in this monorepo: a.py does not exist
hint: leave it out, or write its script",
    );
    check(
        &one(PlanError::PodMode { group: "one".into() }),
        "3 error: group `one` asks for network_mode `pod`, which can be described but not deployed yet
hint: use `bridge` or `host`",
    );
    check(
        &one(PlanError::GpuMissing { agent: alpha() }),
        "9 error: Alpha needs a GPU (gpu = \"required\"), and no CDI specification offers nvidia.com/gpu
hint: `cargo xtask check-gpu` says why; or set gpu = \"auto\"",
    );
    let offered = || ["0", "1"].map(str::to_owned).to_vec();
    check(
        &one(PlanError::GpusTooFew {
            agent: alpha(),
            asked: 3,
            offered: offered(),
        }),
        "9 error: Alpha asks for 3 GPUs (gpu_count), and this host offers 2: 0, 1
hint: lower `gpu_count`; `cargo xtask check-gpu` shows what there is",
    );
    check(
        &one(PlanError::GpuUnknown {
            agent: alpha(),
            device: "7".into(),
            offered: offered(),
        }),
        "9 error: Alpha asks for nvidia.com/gpu=7, which no CDI specification of this host lists
hint: set `gpu_device` to one of 0, 1; `cargo xtask check-gpu` shows which is which",
    );
    check(
        &one(PlanError::DeviceMissing {
            agent: alpha(),
            device: "/dev/snd".into(),
        }),
        "9 error: Alpha needs the device /dev/snd, which this host does not have
hint: set `optional = true` on it, or attach the device",
    );
}

#[test]
fn several_reasons_come_at_once() {
    let gpu = |agent: &str| PlanError::GpuMissing {
        agent: agent.into(),
    };
    let failure = plan_failure(&[
        PlanError::PodMode {
            group: "one".into(),
        },
        gpu("Alpha"),
        gpu("Beta"),
    ]);
    assert_eq!((failure.exit, failure.detail.len()), (Exit::Manifest, 2));
    assert!(failure.detail[1].starts_with("Beta needs a GPU"));
}
