//! The toolkit and the CDI specifications: there, readable, of a version that
//! this podman takes, and true.

use std::collections::{BTreeMap, BTreeSet};

use model::plan::gpus::{CDI_KIND, Gpus};

use crate::{
    host::{
        findings::{HostFinding, HostSeverity},
        gpu::{
            cdi::Spec,
            diagnose::wanted::{GENERATE, PodmanFacts, any_gpu, driver},
            facts::{CDI_FOLDERS, Content, GpuFacts, SpecFile},
            smi::Asked,
        },
    },
    podman::caps::Version,
};

/// Podman versions and the newest CDI version that each reads: 4.3.1 has CDI
/// library 0.5.2, 4.6.0 has 0.6.0, 4.9.3 has 0.6.2, 5.4.2 has 0.8.0 (their
/// go.mod). Where the change came between two of these, the later limit is
/// taken, and nothing is said of podman 5.5 and later.
const CDI_LIMITS: [(Version, (u32, u32, u32)); 3] = [
    (Version::new(4, 6, 0), (0, 5, 0)),
    (Version::new(5, 0, 0), (0, 6, 0)),
    (Version::new(5, 5, 0), (0, 8, 0)),
];
/// Names in findings that are listed before the rest is counted.
const SHOWN: usize = 3;

pub(super) fn findings(facts: &GpuFacts, podman: &PodmanFacts, gpus: &Gpus) -> Vec<HostFinding> {
    let mut found = toolkit(facts, gpus);
    found.extend(offered(facts, gpus));
    for file in &facts.specs {
        match &file.content {
            Content::Unreadable(error) => {
                found.push(unreadable(file, error, podman, unread(file, gpus)));
            }
            Content::Malformed(problem) => found.push(HostFinding::new(
                "gpu-spec-malformed",
                unread(file, gpus),
                format!(
                    "{} is no CDI specification, so podman passes it over",
                    file.path.display()
                ),
                problem.to_string(),
                remake(file),
            )),
            Content::Read(spec) if spec.kind == CDI_KIND => {
                found.extend(version(file, spec, podman));
                found.extend(stale(file, facts));
                found.extend(gone(file));
                found.extend(majors(file, spec));
            }
            Content::Read(_) => {}
        }
    }
    found.extend(twice(facts));
    found.extend(elsewhere(facts, podman));
    found.extend(incomplete(facts, gpus));
    found
}

fn toolkit(facts: &GpuFacts, gpus: &Gpus) -> Vec<HostFinding> {
    // Without it what is there still works; it only cannot be made anew.
    let severity = match gpus.is_empty() {
        true => HostSeverity::Error,
        false => HostSeverity::Warning,
    };
    let mut found = Vec::new();
    match &facts.toolkit {
        Asked::Answered(version) => found.push(HostFinding::ok(
            "gpu-toolkit",
            format!("nvidia-container-toolkit {version}"),
            "nvidia-ctk --version",
        )),
        Asked::NotInstalled => found.push(HostFinding::new(
            "gpu-toolkit-missing",
            severity,
            "nvidia-container-toolkit is not installed",
            "there is no nvidia-ctk on PATH, which makes the CDI specification",
            "install the package nvidia-container-toolkit-base from NVIDIA's repository (docs.nvidia.com, Installing the NVIDIA Container Toolkit)",
        )),
        Asked::TimedOut { deadline_ms } => found.push(HostFinding::new(
            "gpu-toolkit-hangs",
            severity,
            "nvidia-ctk does not answer",
            format!("`nvidia-ctk --version` was ended after {} s", deadline_ms / 1_000),
            "run `nvidia-ctk --debug --version` by hand; reinstall the package nvidia-container-toolkit-base",
        )),
        Asked::Failed(said) | Asked::Garbage(said) => found.push(HostFinding::new(
            "gpu-toolkit-failed",
            severity,
            "nvidia-ctk does not tell its version",
            said.clone(),
            "reinstall the package nvidia-container-toolkit-base",
        )),
    }
    let broken = driver(facts).is_some_and(|version| version.starts_with("565."));
    if broken && gpus.is_empty() && facts.toolkit.answer().is_some() {
        found.push(HostFinding::new(
            "gpu-driver-565",
            HostSeverity::Warning,
            "with driver 565 nvidia-ctk fails to make a specification",
            "a known fault of one of its libraries (nvidia-container-toolkit issue 1517)",
            "sudo env NVIDIA_CTK_CDI_GENERATE_FEATURE_FLAGS=disable-nvsandboxutils nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
        ));
    }
    found
}

fn offered(facts: &GpuFacts, gpus: &Gpus) -> Option<HostFinding> {
    let files = facts.specs.iter().filter(|file| file.gpus().is_some());
    let files: Vec<String> = files.map(|file| file.path.display().to_string()).collect();
    if gpus.is_empty() {
        return any_gpu(facts).then(|| {
            HostFinding::new(
                "gpu-spec-missing",
                HostSeverity::Error,
                format!("no CDI specification offers {CDI_KIND}"),
                format!(
                    "podman reads {}; asked for a GPU, it says `unresolvable CDI devices`",
                    CDI_FOLDERS.join(" and ")
                ),
                GENERATE,
            )
        });
    }
    let names: Vec<&str> = gpus.names.iter().map(String::as_str).collect();
    Some(HostFinding::ok(
        "gpu-spec",
        format!(
            "CDI offers {} of {CDI_KIND}: {}",
            gpus.units.len(),
            names.join(", ")
        ),
        files.join(", "),
    ))
}

fn unreadable(
    file: &SpecFile,
    error: &str,
    podman: &PodmanFacts,
    severity: HostSeverity,
) -> HostFinding {
    let path = file.path.display();
    let who = match podman.rootless {
        true => "this user, whose podman must read it, cannot",
        false => "podman cannot either, and passes it over",
    };
    HostFinding::new(
        "gpu-spec-unreadable",
        severity,
        format!("{path} cannot be read"),
        format!("{error}; {who}"),
        format!("sudo chmod a+r {path}; if it is a link to nowhere, remove it"),
    )
}

/// A file that nobody can read may be about another vendor's devices.
fn unread(file: &SpecFile, gpus: &Gpus) -> HostSeverity {
    let name = file.path.file_name().unwrap_or_default().to_string_lossy();
    match gpus.is_empty() || name.contains("nvidia") {
        true => HostSeverity::Error,
        false => HostSeverity::Warning,
    }
}

fn version(file: &SpecFile, spec: &Spec, podman: &PodmanFacts) -> Option<HostFinding> {
    let path = file.path.display();
    let Some(declared) = spec.version_numbers() else {
        return Some(HostFinding::new(
            "gpu-spec-version",
            HostSeverity::Error,
            format!("{path} has a cdiVersion that does not exist"),
            format!("cdiVersion: {}", spec.version),
            remake(file),
        ));
    };
    if spec.needs > declared {
        return Some(HostFinding::new(
            "gpu-spec-version",
            HostSeverity::Error,
            format!("{path} uses what its cdiVersion does not have, so podman passes it over"),
            format!(
                "cdiVersion {}, and fields that came with {}",
                spec.version,
                dotted(spec.needs)
            ),
            remake(file),
        ));
    }
    let limit = CDI_LIMITS
        .iter()
        .find(|(before, _)| podman.version < *before)
        .map(|(_, limit)| *limit)?;
    (declared > limit).then(|| {
        HostFinding::new(
            "gpu-spec-version",
            HostSeverity::Error,
            format!("{path} is too new for podman {}", podman.version),
            format!(
                "cdiVersion {}; this podman reads {} and earlier",
                spec.version,
                dotted(limit)
            ),
            "use a newer podman, or a toolkit as old as this podman to generate it",
        )
    })
}

/// Versions in the names of libraries (`libcuda.so.550.90.07`) that are not the
/// driver's: the driver was updated since (podman issue 23935).
fn stale(file: &SpecFile, facts: &GpuFacts) -> Option<HostFinding> {
    let loaded = driver(facts)?;
    let spec = file.gpus()?;
    let mentioned: BTreeSet<&str> = spec
        .host_files()
        .into_iter()
        .filter_map(library_version)
        .collect();
    (!mentioned.is_empty() && !mentioned.contains(loaded)).then(|| {
        let mentioned: Vec<&str> = mentioned.into_iter().collect();
        HostFinding::new(
            "gpu-spec-stale",
            HostSeverity::Error,
            format!("{} was made for another driver", file.path.display()),
            format!(
                "it mounts libraries of {}; loaded is {loaded}",
                mentioned.join(", ")
            ),
            remake(file),
        )
    })
}

/// `/usr/lib/libcuda.so.550.90.07` -> `550.90.07`, and nothing of `libc.so.6`.
fn library_version(path: &str) -> Option<&str> {
    let (before, version) = path.rsplit_once(".so.")?;
    let name = before.rsplit('/').next()?;
    let ours = name.starts_with("libcuda") || name.starts_with("libnvidia-");
    let numbers = version
        .split('.')
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    // Some libraries count on their own, from 1 on; drivers have three digits.
    let driver = version
        .split('.')
        .next()
        .is_some_and(|first| first.len() >= 3);
    (ours && numbers && driver).then_some(version)
}

fn gone(file: &SpecFile) -> Option<HostFinding> {
    let absent = file.live.iter().filter(|(_, node)| node.is_none());
    let gone: Vec<&str> = file
        .gone
        .iter()
        .map(String::as_str)
        .chain(absent.map(|(path, _)| path.as_str()))
        .collect();
    (!gone.is_empty()).then(|| {
        HostFinding::new(
            "gpu-spec-path-gone",
            HostSeverity::Error,
            format!(
                "{} names files that do not exist, so containers with a GPU do not start",
                file.path.display()
            ),
            some_of(&gone),
            remake(file),
        )
    })
}

/// The majors of nvidia-uvm and nvidia-caps are given anew at every start of
/// the host; with a wrong one `nvidia-smi` works and CUDA does not (NemoClaw
/// issue 4733).
fn majors(file: &SpecFile, spec: &Spec) -> Option<HostFinding> {
    let mut wrong = Vec::new();
    let nodes = spec.all_edits().flat_map(|edits| &edits.nodes);
    for node in nodes {
        let Some(Some(live)) = file.live.get(node.on_host()) else {
            continue;
        };
        let major = node.major.filter(|major| *major != 0).unwrap_or(live.major);
        let minor = match node.major {
            Some(_) => node.minor.unwrap_or(live.minor),
            None => live.minor,
        };
        if (major, minor) != (live.major, live.minor) {
            wrong.push(format!(
                "{} is {major}:{minor} in it and {}:{} here",
                node.on_host(),
                live.major,
                live.minor
            ));
        }
    }
    wrong.sort();
    wrong.dedup();
    let shown: Vec<&str> = wrong.iter().map(String::as_str).collect();
    (!wrong.is_empty()).then(|| {
        HostFinding::new(
            "gpu-spec-device-major",
            HostSeverity::Error,
            format!(
                "{} has other device numbers than the host",
                file.path.display()
            ),
            some_of(&shown),
            remake(file),
        )
    })
}

/// Of two definitions in one folder podman takes none, of two folders the
/// later one's.
fn twice(facts: &GpuFacts) -> Vec<HostFinding> {
    let mut places: BTreeMap<&str, Vec<&SpecFile>> = BTreeMap::new();
    for file in &facts.specs {
        for device in file.gpus().into_iter().flat_map(|spec| &spec.devices) {
            places.entry(&device.name).or_default().push(file);
        }
    }
    let mut clashes: BTreeMap<Vec<String>, (bool, Vec<&str>)> = BTreeMap::new();
    for (name, files) in places {
        let last = files.iter().map(|file| file.priority).max();
        let winners = files
            .iter()
            .filter(|file| Some(file.priority) == last)
            .count();
        if files.len() > 1 {
            let paths = files.iter().map(|file| file.path.display().to_string());
            let entry = clashes.entry(paths.collect()).or_default();
            entry.0 = winners > 1;
            entry.1.push(name);
        }
    }
    let findings = clashes.into_iter().map(|(paths, (refused, names))| {
        let evidence = format!("{} in {}", names.join(", "), paths.join(" and "));
        if refused {
            return HostFinding::new(
                "gpu-spec-conflict",
                HostSeverity::Error,
                "two CDI specifications define the same devices, so podman takes neither",
                evidence,
                "remove all but one of these files",
            );
        }
        HostFinding::new(
            "gpu-spec-shadowed",
            HostSeverity::Info,
            "two CDI specifications define the same devices; podman takes the last one",
            evidence,
            format!(
                "nothing to do; {} would be in the way once the other is gone",
                paths[0]
            ),
        )
    });
    findings.collect()
}

fn elsewhere(facts: &GpuFacts, podman: &PodmanFacts) -> Option<HostFinding> {
    let paths: Vec<String> = facts
        .specs_elsewhere
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let told = Version::new(5, 5, 0);
    let fix = match podman.version >= told {
        true => {
            "move it to /etc/cdi as a .yaml or .json file, or set cdi_spec_dirs in containers.conf"
        }
        false => "move it to /etc/cdi as a .yaml or .json file",
    };
    (!paths.is_empty()).then(|| {
        HostFinding::new(
            "gpu-spec-elsewhere",
            HostSeverity::Warning,
            "a CDI specification for NVIDIA GPUs stands where podman does not look",
            format!(
                "{}; podman reads .yaml and .json files in {}",
                paths.join(", "),
                CDI_FOLDERS.join(" and ")
            ),
            fix,
        )
    })
}

/// A GPU that was added, or whose slices changed, after the specification was
/// made.
fn incomplete(facts: &GpuFacts, gpus: &Gpus) -> Option<HostFinding> {
    let known = facts.smi.answer()?;
    let whole: Vec<&str> = known
        .iter()
        .filter(|gpu| gpu.mig != Some(true))
        .filter(|gpu| {
            !gpus
                .units
                .iter()
                .any(|unit| super::super::vram::means(unit, gpu))
        })
        .map(|gpu| gpu.uuid.as_str())
        .collect();
    (!gpus.is_empty() && !whole.is_empty()).then(|| {
        HostFinding::new(
            "gpu-spec-incomplete",
            HostSeverity::Warning,
            "a GPU is in no CDI specification",
            some_of(&whole),
            format!("make the specification again: {GENERATE}"),
        )
    })
}

/// The service of the toolkit (1.18 and later) writes to /var/run/cdi, which
/// wins over /etc/cdi.
fn remake(file: &SpecFile) -> String {
    match file.path.starts_with(CDI_FOLDERS[1]) {
        true => "sudo systemctl restart nvidia-cdi-refresh; without that service: sudo nvidia-ctk cdi generate --output=/var/run/cdi/nvidia.yaml".into(),
        false if file.path.ends_with("nvidia.yaml") => GENERATE.into(),
        false => format!("remove {}, then {GENERATE}", file.path.display()),
    }
}

fn some_of(names: &[&str]) -> String {
    let shown = names
        .iter()
        .take(SHOWN)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn dotted((major, minor, patch): (u32, u32, u32)) -> String {
    format!("{major}.{minor}.{patch}")
}
