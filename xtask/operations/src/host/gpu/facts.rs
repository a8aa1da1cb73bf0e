//! Gathers what there is to know about GPUs below a host's root folder, and
//! from the programs on `PATH`. Plain data; nothing is judged, and nothing is
//! changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use model::plan::gpus::CDI_KIND;
use process::Cancel;

use super::{
    cdi::{self, Spec},
    smi::{self, Asked, Gpu, Process},
};
use crate::host::yaml::MalformedYaml;

/// Folders that podman reads CDI specifications from, the last one first
/// (podman 4.1 and later; only 5.5 and later can be told others).
pub const CDI_FOLDERS: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];
/// Where specifications are put by mistake.
const OTHER_FOLDERS: [&str; 4] = [
    "/run/cdi",
    "/usr/local/etc/cdi",
    "/usr/share/cdi",
    "/var/cdi",
];
/// Where hooks stand that inject GPUs in the way before CDI.
const HOOK_FOLDERS: [&str; 2] = [
    "/usr/share/containers/oci/hooks.d",
    "/etc/containers/oci/hooks.d",
];
const RUNTIME_CONFIG: &str = "/etc/nvidia-container-runtime/config.toml";
/// NVIDIA, and display controllers (0x03) by vendor and class of the PCI bus.
const NVIDIA: &str = "0x10de";
const DISPLAY: &str = "0x03";
/// More than any specification has; what is longer is no specification.
const SPEC_LIMIT_BYTES: u64 = 1_000_000;

/// What this host has.
#[derive(Debug, Clone)]
pub struct GpuFacts {
    /// Addresses of NVIDIA display controllers on the PCI bus.
    pub pci: Vec<String>,
    /// Version of the loaded kernel driver.
    pub driver: Option<String>,
    /// `/dev/nvidia*` that are devices, by path.
    pub nodes: BTreeMap<String, DevNode>,
    /// Major numbers of character devices, by the driver's name.
    pub majors: BTreeMap<String, i64>,
    /// `major:minor` below `/dev/char`.
    pub char_links: BTreeSet<String>,
    pub smi: Asked<Vec<Gpu>>,
    pub processes: Asked<Vec<Process>>,
    pub toolkit: Asked<String>,
    /// In the order in which podman lets a later one win.
    pub specs: Vec<SpecFile>,
    /// Files that offer NVIDIA GPUs and that podman does not read.
    pub specs_elsewhere: Vec<PathBuf>,
    pub selinux: Selinux,
    /// Hook files that name nvidia.
    pub legacy_hooks: Vec<PathBuf>,
    /// `no-cgroups` of the container runtime's configuration, if it says so.
    pub no_cgroups: Option<bool>,
    /// Groups of this process, for access to devices.
    pub own_groups: BTreeSet<u32>,
}

/// A device file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevNode {
    pub major: i64,
    pub minor: i64,
    /// Permission bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// A file that podman reads as a specification.
#[derive(Debug, Clone)]
pub struct SpecFile {
    pub path: PathBuf,
    /// Position of its folder; the higher one wins.
    pub priority: usize,
    pub content: Content,
    /// Files it mounts or runs that do not exist.
    pub gone: Vec<String>,
    /// Devices it names, by path on the host; absent if there is none.
    pub live: BTreeMap<String, Option<DevNode>>,
}

#[derive(Debug, Clone)]
pub enum Content {
    Unreadable(String),
    Malformed(MalformedYaml),
    Read(Spec),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Selinux {
    pub enforcing: bool,
    /// The boolean that lets containers use devices; absent where the policy
    /// does not have it.
    pub use_devices: Option<bool>,
}

impl SpecFile {
    /// The specification, if it is read and is about NVIDIA's GPUs.
    pub fn gpus(&self) -> Option<&Spec> {
        match &self.content {
            Content::Read(spec) if spec.kind == CDI_KIND => Some(spec),
            _ => None,
        }
    }
}

/// What the programs on `PATH` answer.
#[derive(Debug, Clone)]
pub struct Answers {
    pub smi: Asked<Vec<Gpu>>,
    pub processes: Asked<Vec<Process>>,
    pub toolkit: Asked<String>,
}

/// Everything, with the programs asked side by side: as slow as the slowest.
pub fn gather(root: &Path, cancel: &Cancel) -> GpuFacts {
    let answers = std::thread::scope(|scope| {
        let processes = scope.spawn(|| smi::processes(cancel));
        let toolkit = scope.spawn(|| smi::toolkit(cancel));
        let smi = smi::gpus(cancel);
        let lost = "the thread that asked it ended";
        Answers {
            smi,
            processes: processes.join().unwrap_or(Asked::Failed(lost.into())),
            toolkit: toolkit.join().unwrap_or(Asked::Failed(lost.into())),
        }
    });
    with(root, answers)
}

/// What the files say, beside what the programs have answered.
pub fn with(root: &Path, answers: Answers) -> GpuFacts {
    let Answers {
        smi,
        processes,
        toolkit,
    } = answers;
    let version = text(root, "/proc/driver/nvidia/version");
    GpuFacts {
        pci: pci(root),
        driver: version.as_deref().and_then(driver_version),
        nodes: nvidia_nodes(root),
        majors: majors(&text(root, "/proc/devices").unwrap_or_default()),
        char_links: names(&below(root, "/dev/char")).into_iter().collect(),
        smi,
        processes,
        toolkit,
        specs: specs(root),
        specs_elsewhere: specs_elsewhere(root),
        selinux: selinux(root),
        legacy_hooks: legacy_hooks(root),
        no_cgroups: no_cgroups(&text(root, RUNTIME_CONFIG).unwrap_or_default()),
        own_groups: own_groups(),
    }
}

/// The specifications in the folders that podman reads.
pub fn specs(root: &Path) -> Vec<SpecFile> {
    let mut found = Vec::new();
    for (priority, folder) in CDI_FOLDERS.iter().enumerate() {
        for name in names(&below(root, folder)) {
            let shown = Path::new(folder).join(&name);
            let file = below(root, &shown.display().to_string());
            // Folders and other endings are passed over by podman, too.
            let ending = shown.extension().and_then(|ending| ending.to_str());
            if matches!(ending, Some("yaml" | "json")) && !file.is_dir() {
                found.push(spec_file(root, &file, shown, priority));
            }
        }
    }
    found
}

fn spec_file(root: &Path, file: &Path, path: PathBuf, priority: usize) -> SpecFile {
    let content = match bounded(file) {
        Err(error) => Content::Unreadable(error.to_string()),
        Ok(text) => match cdi::parse(&text) {
            Err(malformed) => Content::Malformed(malformed),
            Ok(spec) => Content::Read(spec),
        },
    };
    let mut found = SpecFile {
        path,
        priority,
        content,
        gone: Vec::new(),
        live: BTreeMap::new(),
    };
    if let Some(spec) = found.gpus() {
        let files = spec.host_files().into_iter();
        let gone = files.filter(|path| !below(root, path).exists());
        let gone: Vec<String> = gone.map(str::to_owned).collect();
        let nodes = spec.all_edits().flat_map(|edits| &edits.nodes);
        let live = nodes
            .map(|node| node.on_host().to_owned())
            .map(|path| (path.clone(), dev_node(&below(root, &path))))
            .collect();
        (found.gone, found.live) = (gone, live);
    }
    found
}

/// In a folder that is not read, or under an ending that is passed over.
fn specs_elsewhere(root: &Path) -> Vec<PathBuf> {
    let read: Vec<PathBuf> = CDI_FOLDERS
        .iter()
        .filter_map(|folder| below(root, folder).canonicalize().ok())
        .collect();
    let mut found = Vec::new();
    for folder in OTHER_FOLDERS.iter().chain(&CDI_FOLDERS) {
        let place = below(root, folder);
        let others = OTHER_FOLDERS.contains(folder);
        let same = place
            .canonicalize()
            .is_ok_and(|place| read.contains(&place));
        if others && same {
            continue;
        }
        for name in names(&place) {
            let shown = Path::new(folder).join(&name);
            let ending = shown.extension().and_then(|ending| ending.to_str());
            let passed_over = !matches!(ending, Some("yaml" | "json"));
            if !others && !passed_over {
                continue;
            }
            let offers = bounded(&place.join(&name)).is_ok_and(|text| text.contains(CDI_KIND));
            if offers {
                found.push(shown);
            }
        }
    }
    found
}

/// The name of the agent whose container each process runs in. `containers`
/// maps the first process of each container to that name.
///
/// A process belongs to the container whose first process is among its
/// ancestors or, as one that `podman exec` started, has the same cgroup.
pub fn owners(
    root: &Path,
    processes: &[Process],
    containers: &BTreeMap<u32, String>,
) -> BTreeMap<u32, String> {
    let by_cgroup: BTreeMap<String, &String> = containers
        .iter()
        .filter_map(|(pid, name)| Some((cgroup(root, *pid)?, name)))
        .collect();
    let owner = |pid: u32| {
        let ancestor = ancestors(root, pid).find_map(|pid| containers.get(&pid));
        ancestor.or_else(|| by_cgroup.get(&cgroup(root, pid)?).copied())
    };
    processes
        .iter()
        .filter_map(|process| Some((process.pid, owner(process.pid)?.clone())))
        .collect()
}

/// The process and those above it.
fn ancestors(root: &Path, pid: u32) -> impl Iterator<Item = u32> {
    let parent = move |pid: &u32| {
        let stat = text(root, &format!("/proc/{pid}/stat"))?;
        // The name in parentheses may hold anything; the rest is plain.
        let after = stat.rsplit_once(')')?.1;
        let parent: u32 = after.split_whitespace().nth(1)?.parse().ok()?;
        (parent > 1).then_some(parent)
    };
    std::iter::successors(Some(pid), parent).take(64)
}

/// The container's part of a process's cgroup, as podman names it.
fn cgroup(root: &Path, pid: u32) -> Option<String> {
    let text = text(root, &format!("/proc/{pid}/cgroup"))?;
    let at = text.find("libpod-")?;
    let name: String = text[at..]
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
        .collect();
    // conmon's cgroup is beside the container's.
    (!name.contains("conmon")).then_some(name)
}

fn pci(root: &Path) -> Vec<String> {
    let devices = below(root, "/sys/bus/pci/devices");
    let is = |device: &Path, file: &str, start: &str| {
        let text = fs::read_to_string(device.join(file)).unwrap_or_default();
        text.trim().starts_with(start)
    };
    let found = names(&devices).into_iter().filter(|name| {
        let device = devices.join(name);
        is(&device, "vendor", NVIDIA) && is(&device, "class", DISPLAY)
    });
    found.collect()
}

/// `NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.90.07  Fri …`, with
/// other words before the version for the open modules.
fn driver_version(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with("NVRM version"))?;
    let version = |word: &&str| {
        let mut parts = word.split('.');
        let numbers = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        parts.clone().count() >= 2 && parts.all(numbers)
    };
    line.split_whitespace().find(version).map(str::to_owned)
}

fn nvidia_nodes(root: &Path) -> BTreeMap<String, DevNode> {
    let names = names(&below(root, "/dev")).into_iter();
    names
        .filter(|name| name.starts_with("nvidia"))
        .filter_map(|name| {
            let path = format!("/dev/{name}");
            let node = dev_node(&below(root, &path))?;
            Some((path, node))
        })
        .collect()
}

fn dev_node(path: &Path) -> Option<DevNode> {
    let meta = fs::metadata(path).ok()?;
    let kind = meta.file_type();
    (kind.is_char_device() || kind.is_block_device()).then(|| DevNode {
        major: i64::from(rustix::fs::major(meta.rdev())),
        minor: i64::from(rustix::fs::minor(meta.rdev())),
        mode: meta.mode() & 0o777,
        uid: meta.uid(),
        gid: meta.gid(),
    })
}

/// The first part of `/proc/devices`: character devices.
fn majors(text: &str) -> BTreeMap<String, i64> {
    let lines = text
        .lines()
        .skip_while(|line| *line != "Character devices:");
    lines
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            let (major, name) = line.trim().split_once(' ')?;
            Some((name.to_owned(), major.parse().ok()?))
        })
        .collect()
}

fn selinux(root: &Path) -> Selinux {
    let flag = |path: &str| {
        let text = text(root, path)?;
        // A boolean shows its present and its pending value.
        Some(text.trim_start().starts_with('1'))
    };
    Selinux {
        enforcing: flag("/sys/fs/selinux/enforce").unwrap_or(false),
        use_devices: flag("/sys/fs/selinux/booleans/container_use_devices"),
    }
}

fn legacy_hooks(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in HOOK_FOLDERS {
        for name in names(&below(root, folder)) {
            let shown = Path::new(folder).join(&name);
            let text = bounded(&below(root, folder).join(&name)).unwrap_or_default();
            if name.ends_with(".json") && text.contains("nvidia") {
                found.push(shown);
            }
        }
    }
    found
}

/// A line that is commented out says nothing.
fn no_cgroups(text: &str) -> Option<bool> {
    let lines = text.lines().map(str::trim);
    let mut values = lines.filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == "no-cgroups").then(|| value.trim() == "true")
    });
    values.next()
}

fn own_groups() -> BTreeSet<u32> {
    let more = rustix::process::getgroups().unwrap_or_default();
    let own = rustix::process::getegid().as_raw();
    more.into_iter()
        .map(|gid| gid.as_raw())
        .chain([own])
        .collect()
}

/// `/etc/cdi` below the root folder of the host that is looked at.
fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

fn text(root: &Path, path: &str) -> Option<String> {
    fs::read_to_string(below(root, path)).ok()
}

/// The text of a file that may be anything.
fn bounded(path: &Path) -> std::io::Result<String> {
    let file = fs::File::open(path)?;
    if file.metadata()?.len() > SPEC_LIMIT_BYTES {
        let large = format!("larger than {SPEC_LIMIT_BYTES} bytes");
        return Err(std::io::Error::other(large));
    }
    let mut bytes = Vec::new();
    file.take(SPEC_LIMIT_BYTES).read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map_err(|_| std::io::Error::other("it is not UTF-8 text"))
}

/// Names in a folder, sorted; none if it cannot be read.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn driver_versions_of_both_kinds_of_module() {
        let closed = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\nGCC version:  gcc 12.3.0";
        let open = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build  (dvs)\n";
        assert_eq!(driver_version(closed).as_deref(), Some("535.104.05"));
        assert_eq!(driver_version(open).as_deref(), Some("580.159.04"));
        assert_eq!(driver_version("NVRM version: unknown"), None);
    }

    #[test]
    fn majors_are_those_of_character_devices() {
        let text =
            "Character devices:\n  1 mem\n195 nvidia\n508 nvidia-uvm\n\nBlock devices:\n  7 loop\n";
        let majors = majors(text);
        assert_eq!(majors.get("nvidia-uvm"), Some(&508));
        assert_eq!(majors.get("loop"), None);
    }

    #[test]
    fn comments_say_nothing_about_cgroups() {
        assert_eq!(no_cgroups("[x]\n#no-cgroups = true\n"), None);
        assert_eq!(no_cgroups("no-cgroups = false"), Some(false));
        assert_eq!(no_cgroups(" no-cgroups=true"), Some(true));
    }

    #[test]
    fn a_process_belongs_to_the_container_of_its_ancestors_or_cgroup() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("proc/100/stat", "100 (catatonit) S 50 100 100");
        write("proc/50/stat", "50 (conmon) S 1 50 50");
        write("proc/101/stat", "101 (a) b) S 100 100 100");
        write("proc/102/stat", "102 (python3) S 101 100 100");
        write(
            "proc/100/cgroup",
            "0::/machine.slice/libpod-abc.scope/container",
        );
        write("proc/300/stat", "300 (python3) S 60 300 300");
        write(
            "proc/300/cgroup",
            "0::/machine.slice/libpod-abc.scope/container",
        );
        write("proc/400/stat", "400 (Xorg) S 1 400 400");
        let process = |pid| Process {
            pid,
            uuid: "GPU-a".into(),
            used_mb: None,
        };
        let processes = [102, 300, 400, 500].map(process);
        let containers = BTreeMap::from([(100, "A".to_owned())]);
        let found = owners(root.path(), &processes, &containers);
        let expected = [(102, "A".to_owned()), (300, "A".to_owned())];
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
    }
}
