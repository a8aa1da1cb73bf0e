//! A host with two GPUs in a temporary folder, on which all is well.
//!
//! Device files are links to /dev/null and /dev/zero, which needs no root.

use std::{fs, os::unix::fs::symlink, path::Path};

use model::system;

use super::super::{
    diagnose::diagnose,
    facts::{Answers, with},
    offered_by,
    smi::{Asked, Gpu},
    vram::{Used, budgets},
};
use crate::{
    host::{
        findings::HostFinding,
        gpu::diagnose::{PodmanFacts, Wanted},
    },
    podman::caps::Version,
};

const DRIVER: &str = "550.90.07";
const SPEC: &str = "\
cdiVersion: 0.5.0
kind: nvidia.com/gpu
containerEdits:
  deviceNodes:
  - {path: /dev/nvidiactl}
  - {path: /dev/nvidia-uvm, major: 1, minor: 3, type: c}
  hooks:
  - {hookName: createContainer, path: /usr/bin/nvidia-cdi-hook}
  mounts:
  - {hostPath: /usr/lib/libcuda.so.550.90.07, containerPath: /usr/lib/libcuda.so.550.90.07}
  - {hostPath: /usr/lib/libnvidia-egl-gbm.so.1.1.1, containerPath: /usr/lib/libnvidia-egl-gbm.so.1.1.1}
devices:
- name: \"0\"
  containerEdits: {deviceNodes: [{path: /dev/nvidia0}]}
- name: \"1\"
  containerEdits: {deviceNodes: [{path: /dev/nvidia1}]}
- name: all
  containerEdits: {deviceNodes: [{path: /dev/nvidia0}, {path: /dev/nvidia1}]}
";

pub struct Host {
    root: tempfile::TempDir,
    pub answers: Answers,
    pub podman: PodmanFacts,
    pub cuda: Option<(u32, u32)>,
    pub require: bool,
    agents: Vec<String>,
    closed: Vec<String>,
}

pub fn gpu(index: u32) -> Gpu {
    Gpu {
        index,
        uuid: format!("GPU-{index}"),
        name: "NVIDIA GeForce RTX 4090".into(),
        total_mb: Some(24_564),
        free_mb: Some(24_000),
        used_mb: Some(564),
        compute_mode: Some("Default".into()),
        mig: None,
        driver: Some(DRIVER.into()),
    }
}

impl Host {
    pub fn healthy() -> Self {
        let host = Host {
            root: tempfile::tempdir().expect("a temporary folder"),
            answers: Answers {
                smi: Asked::Answered(vec![gpu(0), gpu(1)]),
                processes: Asked::Answered(Vec::new()),
                toolkit: Asked::Answered("1.17.8".into()),
            },
            podman: PodmanFacts {
                version: Version::new(4, 3, 1),
                rootless: false,
                runtime: "crun".into(),
                cgroup_manager: "systemd".into(),
            },
            cuda: None,
            require: false,
            agents: vec!["gpu_count = 1".into()],
            closed: Vec::new(),
        };
        for slot in ["0000:01:00.0", "0000:02:00.0"] {
            host.write(&format!("sys/bus/pci/devices/{slot}/vendor"), "0x10de\n");
            host.write(&format!("sys/bus/pci/devices/{slot}/class"), "0x030000\n");
        }
        // The sound of a graphics card has the same vendor.
        host.write("sys/bus/pci/devices/0000:01:00.1/vendor", "0x10de\n");
        host.write("sys/bus/pci/devices/0000:01:00.1/class", "0x040300\n");
        host.driver(DRIVER);
        host.write(
            "proc/devices",
            "Character devices:\n195 nvidia\n508 nvidia-uvm\n\n",
        );
        for node in ["nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"] {
            host.link(&format!("dev/{node}"), "/dev/null");
        }
        host.link("dev/char/1:3", "/dev/null");
        host.write("usr/bin/nvidia-cdi-hook", "");
        host.write("usr/lib/libcuda.so.550.90.07", "");
        host.write("usr/lib/libnvidia-egl-gbm.so.1.1.1", "");
        host.write("etc/cdi/nvidia.yaml", SPEC);
        host
    }

    pub fn without_gpu(&mut self) {
        for folder in ["sys", "proc", "dev", "etc"] {
            self.remove(folder);
        }
        self.answers.smi = Asked::NotInstalled;
        self.answers.toolkit = Asked::NotInstalled;
    }

    pub fn findings(&self) -> Vec<HostFinding> {
        let mut facts = with(self.root.path(), self.answers.clone());
        for path in &self.closed {
            facts.nodes.get_mut(path).expect("a device").mode = 0o660;
        }
        let mut text = include_str!("demo.toml").to_owned();
        for (index, lines) in self.agents.iter().enumerate() {
            let (name, port) = (['A', 'B', 'C'][index], 7_000 + 10 * index);
            text += &format!(
                "[groups.one.agents.{name}]\nscript = \"main_pc_code/agents/alpha.py\"\nport = {port}\n{lines}\n"
            );
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/manifests");
        let system = system::from_text(&text, &folder.join("sketch.toml"))
            .unwrap_or_else(|error| panic!("{}", error.render(false)));
        let offered = offered_by(&facts.specs);
        let wanted = Wanted {
            system: &system,
            chosen: system
                .agents
                .iter()
                .map(|agent| agent.name.clone())
                .collect(),
            cuda: self.cuda,
            require: self.require,
        };
        let known = facts.smi.answer().cloned().unwrap_or_default();
        let budgets = budgets(
            &system,
            &offered,
            &known,
            &Used::new(),
            None,
            &wanted.chosen,
        );
        diagnose(&facts, &self.podman, &wanted, &offered, &budgets)
    }

    /// Manifest lines of agents A, B and C.
    pub fn agents(&mut self, lines: &[&str]) {
        self.agents = lines.iter().map(|lines| (*lines).to_owned()).collect();
    }

    pub fn each_gpu(&mut self, change: fn(&mut Gpu)) {
        if let Asked::Answered(gpus) = &mut self.answers.smi {
            gpus.iter_mut().for_each(change);
        }
    }

    pub fn add_gpu(&mut self, gpu: Gpu) {
        if let Asked::Answered(gpus) = &mut self.answers.smi {
            gpus.push(gpu);
        }
    }

    /// The device belongs to root and a group.
    pub fn closed(&mut self, path: &str) {
        self.closed.push(path.to_owned());
    }

    pub fn driver(&self, version: &str) {
        let line =
            format!("NVRM version: NVIDIA UNIX x86_64 Kernel Module  {version}  Fri May 31\n");
        self.write("proc/driver/nvidia/version", &line);
    }

    pub fn edit_spec(&self, from: &str, to: &str) {
        self.edit("etc/cdi/nvidia.yaml", from, to);
    }

    pub fn copy_spec(&self, to: &str) {
        self.write(to, SPEC);
    }

    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let file = self.root.path().join(path);
        let text = fs::read_to_string(&file).expect("a file");
        assert!(text.contains(from), "`{from}` is not in {path}");
        fs::write(file, text.replace(from, to)).expect("a file");
    }

    pub fn write(&self, path: &str, text: &str) {
        let file = self.root.path().join(path);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(file, text).expect("a file");
    }

    pub fn link(&self, path: &str, target: &str) {
        let file = self.root.path().join(path);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        symlink(target, file).expect("a link");
    }

    pub fn remove(&self, path: &str) {
        let file = self.root.path().join(path);
        let gone = match file.is_dir() && !file.is_symlink() {
            true => fs::remove_dir_all(file),
            false => fs::remove_file(file),
        };
        gone.expect("it was there");
    }
}
