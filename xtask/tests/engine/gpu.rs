//! GPUs without a GPU: a hand-written CDI specification, which podman honours,
//! and NVIDIA's programs pretended on this side and inside.
//!
//! The specification stands under a name of its own in /etc/cdi and is removed
//! before and after. On a host that offers real GPUs these tests refuse to run.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::support::{Ended, Small, podman, run, xtask};

const FILE: &str = "/etc/cdi/xtask-engine-test.yaml";
const REFUSED: i32 = 9;

/// Two GPUs by index, in /etc/cdi for as long as this lives.
struct Fake {
    folder: tempfile::TempDir,
    /// The folder did not exist before.
    made_folder: bool,
}

impl Fake {
    fn new() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "this test writes to /etc/cdi"
        );
        let fake = Fake {
            folder: tempfile::tempdir().unwrap(),
            made_folder: !Path::new("/etc/cdi").exists(),
        };
        let _ = fs::remove_file(FILE);
        for folder in ["/etc/cdi", "/var/run/cdi"] {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let text = fs::read_to_string(entry.path()).unwrap_or_default();
                assert!(
                    !text.contains("nvidia.com/gpu"),
                    "{} offers real GPUs; this test would be in their way",
                    entry.path().display()
                );
            }
        }
        fs::create_dir_all("/etc/cdi").unwrap();
        let examples = Path::new(env!("CARGO_BIN_EXE_xtask")).with_file_name("examples");
        for name in ["nvidia-smi", "nvidia-ctk"] {
            let built = examples.join(format!("fake-{name}"));
            assert!(
                built.exists(),
                "plain `cargo test` builds {}",
                built.display()
            );
            symlink(built, fake.folder.path().join(name)).unwrap();
        }
        // What the specification brings into containers: it tells the GPU of
        // its device's environment.
        let inside = fake.inside();
        fs::write(&inside, "#!/bin/sh\necho \"$FAKE_UUID\"\n").unwrap();
        fs::set_permissions(&inside, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(FILE, fake.spec()).unwrap();
        fake
    }

    fn inside(&self) -> PathBuf {
        self.folder.path().join("inside-smi")
    }

    /// Device files of the host stand in for the GPUs'.
    fn spec(&self) -> String {
        let inside = self.inside();
        let inside = inside.display();
        format!(
            "cdiVersion: \"0.5.0\"
kind: nvidia.com/gpu
containerEdits:
  mounts:
  - {{hostPath: {inside}, containerPath: /usr/bin/nvidia-smi, options: [ro, bind]}}
devices:
- name: \"0\"
  containerEdits:
    env: [FAKE_UUID=GPU-1111]
    deviceNodes: [{{path: /dev/nvidia0, hostPath: /dev/null, type: c, major: 1, minor: 3}}]
- name: \"1\"
  containerEdits:
    env: [FAKE_UUID=GPU-2222]
    deviceNodes: [{{path: /dev/nvidia1, hostPath: /dev/zero, type: c, major: 1, minor: 5}}]
"
        )
    }

    /// The tool with these programs in front of `PATH`.
    fn env(&self, mut command: Command) -> Ended {
        let path = std::env::var("PATH").unwrap();
        let gpu = |index: u32, uuid: &str| {
            format!(
                "{index}, {uuid}, NVIDIA GeForce RTX 4090, 24564, 24000, 564, Default, [N/A], 550.90.07\n"
            )
        };
        command
            .env("PATH", format!("{}:{path}", self.folder.path().display()))
            .env("FAKE_NVIDIA_GPUS", gpu(0, "GPU-1111") + &gpu(1, "GPU-2222"));
        run(command)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = fs::remove_file(FILE);
        if self.made_folder {
            let _ = fs::remove_dir("/etc/cdi");
        }
    }
}

#[track_caller]
fn severity(ended: &Ended, id: &str) -> Vec<String> {
    let json = ended.json();
    let findings = json["findings"].as_array().unwrap();
    let of_id = findings.iter().filter(|finding| finding["id"] == id);
    of_id
        .map(|finding| finding["severity"].as_str().unwrap().to_owned())
        .collect()
}

#[track_caller]
fn finding(ended: &Ended, id: &str) -> Value {
    let json = ended.json();
    let findings = json["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["id"] == id);
    found
        .unwrap_or_else(|| panic!("no {id} in {json:#}"))
        .clone()
}

const CHECK: [&str; 4] = ["check-gpu", "--require", "--format", "json"];

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn gpus_are_found_proven_and_given_to_agents() {
    let fake = Fake::new();
    let small = Small::new(60);
    small.manifest(["ok"; 4], "gpu = \"required\"");
    small.agent_line("Second", "gpu_count = 1\nvram_mb = 4000");
    small.agent_line("Third", "gpu_count = 1");

    let ended = fake.env(small.xtask(&CHECK)).expect(0);
    assert_eq!(
        severity(&ended, "gpu-proof"),
        ["ok", "ok"],
        "{}",
        ended.stdout
    );
    assert_eq!(severity(&ended, "gpu-found"), ["ok", "ok"]);
    assert_eq!(ended.json()["gpus"][0]["agents"][0]["declared_mb"], 4_000);

    fake.env(small.xtask(&["deploy", "--settle", "0s"]))
        .expect(0);
    // What `podman exec` starts does not get the device's environment (4.3.1);
    // the agent's own process has it.
    let look = "ls /dev/nvidia*; tr '\\0' '\\n' < /proc/1/environ | grep FAKE_UUID";
    let uuid = |index: usize| {
        let inside = podman(&["exec", &small.container(index), "sh", "-c", look]);
        inside.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(uuid(1), "/dev/nvidia0 FAKE_UUID=GPU-1111");
    assert_eq!(uuid(2), "/dev/nvidia1 FAKE_UUID=GPU-2222");
    let plain = podman(&[
        "exec",
        &small.container(0),
        "sh",
        "-c",
        "ls /dev/nvidia* 2>&1 || true",
    ]);
    assert!(plain.contains("No such file"), "{plain}");

    // Whose memory is used is told by the process.
    let pid = podman(&["inspect", "--format", "{{.State.Pid}}", &small.container(2)]);
    let mut learn = small.xtask(&["check-gpu", "--learn", "2"]);
    learn.env(
        "FAKE_NVIDIA_APPS",
        format!("{}, GPU-2222, 5230", pid.trim()),
    );
    fake.env(learn)
        .expect(0)
        .says(&["vram_mb = 5200  # Third: peak 5230 MB"]);
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn the_real_manifest_gives_the_translator_a_gpu() {
    let fake = Fake::new();
    let ended = fake.env(xtask(&[
        "deploy",
        "--dry-run",
        "--recreate",
        "--no-import-check",
        "--format",
        "json",
    ]));
    if ended.code == 5 {
        // The images of the reference system are not built on this host.
        ended.says(&["has not been built"]);
        return;
    }
    let ended = ended.expect(0);
    let steps = ended.json()["steps"].as_array().unwrap().clone();
    let made: Vec<&Value> = steps
        .iter()
        .filter(|step| step["subject"] == "GoTToTAgent")
        .map(|step| &step["action"])
        .filter(|action| action["do"] == "create-container")
        .collect();
    assert_eq!(made.len(), 1, "{steps:#?}");
    assert_eq!(made[0]["devices"], Value::from(vec!["nvidia.com/gpu=0"]));
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn what_is_wrong_with_a_specification_is_told_apart() {
    let fake = Fake::new();
    let small = Small::new(61);
    small.manifest(["ok"; 4], "");
    small.agent_line("Second", "gpu_count = 1");
    let check = || fake.env(small.xtask(&CHECK)).expect(REFUSED);

    fs::write(FILE, fake.spec().replace("inside-smi", "gone-smi")).unwrap();
    let ended = check();
    assert_eq!(severity(&ended, "gpu-spec-path-gone"), ["error"]);
    assert!(
        finding(&ended, "gpu-spec-path-gone")["evidence"]
            .as_str()
            .unwrap()
            .contains("gone-smi")
    );
    assert_eq!(
        severity(&ended, "gpu-proof"),
        ["error"],
        "podman cannot start it either"
    );
    let ended = fake
        .env(small.xtask(&["deploy", "--settle", "0s"]))
        .expect(REFUSED);
    ended.says(&["gpu-spec-path-gone", "gone-smi"]);

    fs::write(FILE, fake.spec().replace("devices:", "devices: {")).unwrap();
    let ended = check();
    assert_eq!(severity(&ended, "gpu-spec-malformed"), ["error"]);
    assert_eq!(severity(&ended, "gpu-spec-missing"), ["error"]);

    fs::remove_file(FILE).unwrap();
    symlink("/no/such/file", FILE).unwrap();
    assert_eq!(severity(&check(), "gpu-spec-unreadable"), ["error"]);

    fs::remove_file(FILE).unwrap();
    fs::write(FILE, fake.spec()).unwrap();
    small.manifest(["ok"; 4], "");
    small.agent_line("Second", "gpu_device = \"7\"");
    assert_eq!(severity(&check(), "gpu-device-unknown"), ["error"]);
    let ended = fake
        .env(small.xtask(&["deploy", "--settle", "0s"]))
        .expect(REFUSED);
    ended.says(&[
        "Second asks for nvidia.com/gpu=7",
        "set `gpu_device` to one of 0, 1",
    ]);

    small.manifest(["ok"; 4], "");
    small.agent_line("Second", "gpu_count = 1");
    fs::remove_file(fake.folder.path().join("nvidia-ctk")).unwrap();
    let ended = fake.env(small.xtask(&CHECK)).expect(0);
    assert_eq!(severity(&ended, "gpu-toolkit-missing"), ["warning"]);
    fs::remove_file(FILE).unwrap();
    let ended = check();
    assert_eq!(severity(&ended, "gpu-toolkit-missing"), ["error"]);
    assert_eq!(severity(&ended, "gpu-spec-missing"), ["error"]);
}
