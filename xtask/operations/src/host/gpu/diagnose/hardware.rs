//! Driver, GPUs and their modes, device nodes.

use model::plan::gpus::{self, Gpus};

use crate::host::{
    findings::{HostFinding, HostSeverity},
    gpu::{
        diagnose::wanted::{Wanted, driver, release},
        facts::GpuFacts,
        smi::{Asked, Gpu},
    },
};

pub(super) fn findings(facts: &GpuFacts, wanted: &Wanted<'_>, gpus: &Gpus) -> Vec<HostFinding> {
    let mut found = vec![loaded(facts)];
    found.extend(smi(facts));
    let known = facts.smi.answer().map_or(&[][..], Vec::as_slice);
    for gpu in known {
        found.push(listed(gpu));
        found.extend(compute_mode(gpu, wanted, gpus));
    }
    found.extend(mig(known, gpus));
    found.extend(too_old(facts, wanted));
    if facts.driver.is_some() {
        found.extend(nodes(facts));
    }
    found
}

fn loaded(facts: &GpuFacts) -> HostFinding {
    match driver(facts) {
        Some(version) => HostFinding::ok(
            "gpu-driver",
            format!("NVIDIA driver {version}"),
            match facts.driver {
                Some(_) => "loaded, by /proc/driver/nvidia/version",
                None => "by nvidia-smi; this kernel does not show it",
            },
        ),
        None => HostFinding::new(
            "gpu-driver-missing",
            match facts.pci.is_empty() {
                // Somebody wrote it by hand, or nvidia-smi is not on PATH.
                true => HostSeverity::Warning,
                false => HostSeverity::Error,
            },
            "no NVIDIA driver is loaded",
            match facts.pci.as_slice() {
                [] => "a CDI specification offers GPUs, /proc/driver/nvidia/version does not exist"
                    .to_owned(),
                pci => format!(
                    "PCI {}; /proc/driver/nvidia/version does not exist",
                    pci.join(", ")
                ),
            },
            "install the driver with the distribution's packages and restart; if it is installed, `sudo modprobe nvidia` says what is wrong (nouveau, Secure Boot, no module for this kernel)",
        ),
    }
}

fn smi(facts: &GpuFacts) -> Option<HostFinding> {
    match &facts.smi {
        Asked::NotInstalled => Some(HostFinding::new(
            "gpu-smi-missing",
            HostSeverity::Warning,
            "nvidia-smi is not installed",
            "names, memory and modes of the GPUs are not known, so that their memory cannot be checked",
            "install the driver's utilities (Debian: nvidia-smi; Ubuntu: nvidia-utils-VERSION)",
        )),
        Asked::TimedOut { deadline_ms } => Some(HostFinding::new(
            "gpu-smi-hangs",
            HostSeverity::Error,
            "nvidia-smi does not answer",
            format!("ended after {} s", deadline_ms / 1_000),
            "the driver hangs: look for `NVRM: Xid` in `sudo dmesg`, and restart the host",
        )),
        Asked::Failed(why) if why.contains("version mismatch") => Some(HostFinding::new(
            "gpu-driver-mismatch",
            HostSeverity::Error,
            "the loaded driver and its libraries have different versions",
            format!(
                "kernel {}; nvidia-smi: {why}",
                facts.driver.as_deref().unwrap_or("unknown")
            ),
            "the driver was updated while it was in use: restart the host (or unload and load the nvidia modules)",
        )),
        Asked::Failed(why) => Some(HostFinding::new(
            "gpu-smi-failed",
            HostSeverity::Error,
            "nvidia-smi fails",
            why.clone(),
            "run `nvidia-smi` by hand; nothing on the GPU works until it does",
        )),
        Asked::Garbage(answer) => Some(HostFinding::new(
            "gpu-smi-failed",
            HostSeverity::Error,
            "nvidia-smi's answer is not understood",
            format!("it says: {answer}"),
            "is the `nvidia-smi` on PATH really NVIDIA's? A driver of 450 or later is needed",
        )),
        Asked::Answered(gpus) if gpus.is_empty() => Some(HostFinding::new(
            "gpu-smi-failed",
            HostSeverity::Error,
            "the driver shows no GPU",
            "nvidia-smi: No devices were found",
            "`sudo dmesg | grep NVRM` says why: a GPU that has fallen off the bus, no power, or a driver that does not know it",
        )),
        Asked::Answered(_) => None,
    }
}

fn listed(gpu: &Gpu) -> HostFinding {
    let mb = |value: Option<u64>| value.map_or_else(|| "unknown".into(), |mb| format!("{mb} MB"));
    let mode = gpu.compute_mode.as_deref().unwrap_or("unknown");
    let mig = match gpu.mig {
        Some(true) => ", MIG on",
        Some(false) => ", MIG off",
        None => "",
    };
    HostFinding::ok(
        "gpu-found",
        format!("GPU {}: {}", gpu.index, gpu.name),
        format!(
            "{}; memory {} in all, {} free; compute mode {mode}{mig}",
            gpu.uuid,
            mb(gpu.total_mb),
            mb(gpu.free_mb)
        ),
    )
}

fn compute_mode(gpu: &Gpu, wanted: &Wanted<'_>, offered: &Gpus) -> Option<HostFinding> {
    let mode = gpu.compute_mode.as_deref()?;
    let index = gpu.index;
    let fix = format!("sudo nvidia-smi -i {index} -c DEFAULT");
    if mode == "Prohibited" {
        return Some(HostFinding::new(
            "gpu-compute-mode",
            HostSeverity::Error,
            format!("GPU {index} lets nobody compute"),
            "its compute mode is Prohibited",
            fix,
        ));
    }
    let users = gpus::users(wanted.system, offered);
    let place = offered
        .units
        .iter()
        .position(|unit| super::super::vram::means(unit, gpu))?;
    let users: Vec<&str> = users[place]
        .1
        .iter()
        .filter(|agent| !agent.optional || wanted.chosen.contains(&agent.name))
        .map(|agent| agent.name.as_str())
        .collect();
    (mode.starts_with("Exclusive") && users.len() > 1).then(|| {
        HostFinding::new(
            "gpu-compute-mode",
            HostSeverity::Error,
            format!(
                "GPU {index} lets one process compute, and {} agents share it",
                users.len()
            ),
            format!("its compute mode is {mode}; agents: {}", users.join(", ")),
            fix,
        )
    })
}

/// Changes of slices while the host runs are not noticed by the service that
/// makes specifications (nvidia-container-toolkit issue 1828).
fn mig(known: &[Gpu], offered: &Gpus) -> Vec<HostFinding> {
    let on: Vec<&Gpu> = known.iter().filter(|gpu| gpu.mig == Some(true)).collect();
    let slices: Vec<&str> = offered
        .units
        .iter()
        .map(|unit| unit.name.as_str())
        .filter(|name| name.contains(':') || name.starts_with("MIG-"))
        .collect();
    let indices: Vec<String> = on.iter().map(|gpu| gpu.index.to_string()).collect();
    let indices = indices.join(", ");
    if !on.is_empty() && slices.is_empty() {
        return vec![HostFinding::new(
            "gpu-mig",
            HostSeverity::Error,
            "MIG is on, and no slice can be asked for",
            format!("GPU {indices}; the CDI specifications list no slice such as 0:0"),
            format!(
                "create slices (`sudo nvidia-smi mig -cgi PROFILE -C`), then {}",
                super::wanted::GENERATE
            ),
        )];
    }
    if on.is_empty() && !slices.is_empty() && !known.is_empty() {
        return vec![HostFinding::new(
            "gpu-mig",
            HostSeverity::Error,
            "the CDI specifications list slices, and MIG is off",
            format!("slices: {}", slices.join(", ")),
            format!("make the specification again: {}", super::wanted::GENERATE),
        )];
    }
    if on.is_empty() {
        return Vec::new();
    }
    vec![HostFinding::new(
        "gpu-mig",
        HostSeverity::Info,
        "MIG is on: agents are given slices",
        format!(
            "GPU {indices}; slices {}; their memory is not in the budget",
            slices.join(", ")
        ),
        format!(
            "nothing to do; after a change of slices: {}",
            super::wanted::GENERATE
        ),
    )]
}

/// The oldest drivers that programs of a major release of CUDA run on (NVIDIA,
/// "CUDA Compatibility", minor version compatibility, table 1, and the CUDA
/// toolkit's release notes).
const OLDEST_DRIVERS: [(u32, &str); 3] = [(11, "450.80.02"), (12, "525.60.13"), (13, "580")];

fn too_old(facts: &GpuFacts, wanted: &Wanted<'_>) -> Option<HostFinding> {
    let (major, minor) = wanted.cuda?;
    let version = driver(facts)?;
    let (_, oldest) = OLDEST_DRIVERS.iter().find(|(known, _)| *known == major)?;
    (release(version) < release(oldest)).then(|| {
        HostFinding::new(
            "gpu-driver-old",
            HostSeverity::Error,
            format!("the driver is too old for CUDA {major}.{minor} of the locked packages"),
            format!("driver {version}; CUDA {major} needs {oldest} or later"),
            format!("install driver {oldest} or later, or lock packages for an older CUDA"),
        )
    })
}

fn nodes(facts: &GpuFacts) -> Vec<HostFinding> {
    let mut found = Vec::new();
    let has = |path: &str| facts.nodes.contains_key(path);
    let gpus = facts.nodes.keys();
    let any = gpus.filter(|path| super::super::is_gpu_node(path)).count() > 0;
    if !any || !has("/dev/nvidiactl") {
        let there: Vec<&str> = facts.nodes.keys().map(String::as_str).collect();
        found.push(HostFinding::new(
            "gpu-nodes",
            HostSeverity::Error,
            "device files of the driver are missing",
            format!("needed: /dev/nvidiactl and /dev/nvidia0; there are: {}", list(&there)),
            "`sudo nvidia-modprobe -c 0` makes them, as does nvidia-persistenced at every start of the host",
        ));
    }
    if !has("/dev/nvidia-uvm") {
        found.push(HostFinding::new(
            "gpu-uvm",
            HostSeverity::Error,
            "/dev/nvidia-uvm is missing, without which CUDA does not start",
            match facts.majors.get("nvidia-uvm") {
                Some(major) => format!("the module nvidia-uvm is loaded (major {major})"),
                None => "the module nvidia-uvm is not loaded, as is usual before the first use after a start of the host".into(),
            },
            format!("`sudo nvidia-modprobe -u -c 0`, then {}", super::wanted::GENERATE),
        ));
    }
    found
}

fn list(words: &[&str]) -> String {
    match words {
        [] => "none".into(),
        words => words.join(", "),
    }
}
