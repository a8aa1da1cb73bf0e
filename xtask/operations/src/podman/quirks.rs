//! What podman needs on this host, found by trying.
//!
//! A fresh podman may fail to run anything: a runtime that refuses the host's
//! cgroup layout, limits that the host does not allow to be raised, a cgroup
//! manager without systemd. Rather than parse error texts, the probe runs a
//! real container with ever more explicit options until one set works.

use std::{iter::once, path::Path, time::Instant};

use model::plan::spec;
use process::{Cancel, Command};
use serde::{Deserialize, Serialize};

use super::{
    caps,
    facts::Facts,
    run::{Call, Podman, PodmanError},
    sandbox::{self, Sandbox},
};

/// Options that every call, and every container, needs on this host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quirks {
    /// Before the verb: `--runtime runc`, `--cgroup-manager cgroupfs`.
    pub global: Vec<String>,
    /// On `create` and `run`: `--ulimit nofile=20000:20000`.
    pub container: Vec<String>,
    /// On `build`. Where podman's defaults fail, builds get explicit limits even
    /// if containers do without: podman 5.4.2 lowers the limits of containers to
    /// what the host allows, but not those of builds.
    pub build: Vec<String>,
    /// On builds that only download, which are to leave the processor to the
    /// others: an eighth where both want it. `nice` would count inside of its
    /// own cgroup only, and every command of a build has one. Without root,
    /// podman 4.3.1 with cgroups v1 fails for it.
    #[serde(skip)]
    pub fetch: Vec<String>,
    /// On builds that need the network. On a bridge of netavark before 1.9 a
    /// build loses it for half a minute when another one starts or ends
    /// (`caps::BUGS`), so there they use the host's.
    #[serde(skip)]
    pub network: Vec<String>,
}

/// What the probe found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Proof {
    pub quirks: Quirks,
    /// Time that the successful container took from start to end.
    pub run_ms: u64,
    /// Why each set before the working one failed, in order.
    pub rejected: Vec<(String, String)>,
}

/// Image of the probe: the host's own shell and its libraries.
pub const PROBE_IMAGE: &str = "localhost/ai-system-probe:latest";
/// More processes than this are refused on some hosts even where the shell's
/// own limit is higher (workbench measurement, kernel 6.18 without
/// CAP_SYS_RESOURCE).
const PROCESS_LIMIT: u64 = 32_768;

/// Runs containers until one works. `Err` holds every reason.
pub fn prove(podman: &Podman, runtime: &str, remote: bool) -> Result<Proof, Vec<(String, String)>> {
    let mut rejected = Vec::new();
    for quirks in candidates(runtime, remote) {
        let trial = Podman::new(
            podman.program.clone(),
            podman
                .global
                .iter()
                .chain(&quirks.global)
                .cloned()
                .collect(),
            podman.cancel.clone(),
            podman.verbose,
        );
        let mut call = probe_call(&quirks);
        if let Some(patience_ms) = podman.patience_ms {
            call = call.deadline_ms(patience_ms);
        }
        let started = Instant::now();
        match trial.run(&call) {
            Ok(_) => {
                return Ok(Proof {
                    quirks,
                    run_ms: started.elapsed().as_millis() as u64,
                    rejected,
                });
            }
            Err(PodmanError::Interrupted) => break,
            // Other options do not help a podman that hangs, and each trial
            // would take as long.
            Err(error) if error.timed_out() => {
                rejected.push((quirks.to_string(), error.reason()));
                break;
            }
            Err(error) => rejected.push((quirks.to_string(), error.reason())),
        }
    }
    Err(rejected)
}

/// Makes the probe image from the host's shell; about 2 MB, no network.
pub fn ensure_probe_image(podman: &Podman, cache: &Path) -> Result<(), PodmanError> {
    let exists = Call::look(
        "look for the probe image",
        &["image", "exists", PROBE_IMAGE],
    );
    if podman.probe(&exists)?.code == 0 {
        return Ok(());
    }
    // Other runs may be at the same.
    let own = spec::hash_bytes(&std::process::id().to_ne_bytes());
    let archive = cache.join(format!("probe-{own}.tar"));
    let purpose = "make the probe image from /bin/sh";
    let failed = |problem: String| PodmanError::Garbage {
        purpose: purpose.into(),
        command: "tar".into(),
        problem,
        answer: String::new(),
    };
    let files = shell_files(&podman.cancel).map_err(&failed)?;
    let mut args = vec!["--create", "--dereference", "--absolute-names", "--file"];
    let path = archive.display().to_string();
    args.push(&path);
    args.extend(files.iter().map(String::as_str));
    let tar = Command::new("tar", &args).run(&podman.cancel, None);
    match tar {
        Ok(output) if output.code == 0 => {}
        Ok(output) => return Err(failed(output.stderr)),
        Err(error) => return Err(failed(format!("tar {error}"))),
    }
    let import = ["import", "--quiet", &path, PROBE_IMAGE].map(str::to_owned);
    let mut call = Call::change(purpose, import.to_vec());
    if let Some(patience_ms) = podman.patience_ms {
        call = call.deadline_ms(patience_ms);
    }
    let result = podman.run(&call);
    // The archive is only a way to hand the files over.
    let _ = std::fs::remove_file(&archive);
    result.map(drop)
}

/// The probe asks for what agents will ask for: an init, limits, a read-only
/// root without capabilities, and a network of its own.
fn probe_call(quirks: &Quirks) -> Call {
    let sandbox = Sandbox {
        init: true,
        ..Sandbox::closed(64, 32)
    };
    let mut args = ["run", "--rm"].map(str::to_owned).to_vec();
    args.extend(sandbox.options(&quirks.container));
    sandbox::image(&mut args, PROBE_IMAGE);
    args.extend(["/bin/sh", "-c", "exit 0"].map(str::to_owned));
    Call::change("run a container", args).deadline_ms(60_000)
}

/// Sets of options, the least intrusive first.
fn candidates(runtime: &str, remote: bool) -> Vec<Quirks> {
    let other = ["crun", "runc"]
        .into_iter()
        .find(|other| *other != runtime && which::which(other).is_ok());
    // A remote podman knows neither option: its service has its own.
    let runtimes = if remote { None } else { other };
    let managers = if remote { None } else { Some("cgroupfs") };
    let mut sets = Vec::new();
    for manager in once(None).chain(managers.map(Some)) {
        for runtime in once(None).chain(runtimes.map(Some)) {
            for limits in [Vec::new(), host_limits()] {
                let options = [("--runtime", runtime), ("--cgroup-manager", manager)];
                let global: Vec<String> = options
                    .into_iter()
                    .filter_map(|(name, value)| Some([name.to_owned(), value?.to_owned()]))
                    .flatten()
                    .collect();
                let defaults = global.is_empty() && limits.is_empty();
                sets.push(Quirks {
                    global,
                    container: limits,
                    build: if defaults { Vec::new() } else { host_limits() },
                    ..Quirks::default()
                });
            }
        }
    }
    sets
}

/// Whether these could be found here by trying.
pub fn is_candidate(quirks: &Quirks, remote: bool) -> bool {
    // Whichever runtime is podman's own, the other one may be needed.
    let runtimes = ["crun", "runc"].into_iter();
    let mut sets = runtimes.flat_map(|own| candidates(own, remote));
    sets.any(|set| set == *quirks)
}

impl Quirks {
    /// Adds what follows from podman's version and owner, and needs no proof.
    pub fn complete(&mut self, facts: &Facts) {
        let words = |words: [&str; 2]| words.map(str::to_owned).to_vec();
        // Without root, each build has a network of its own.
        let shared = !facts.rootless && facts.network_backend == "netavark";
        if !facts.rootless {
            self.fetch = words(["--cpu-shares", "128"]);
        }
        if shared && caps::UNSTABLE_BRIDGE.has(facts.version) {
            self.network = words(["--network", "host"]);
        }
    }
}

/// Limits no higher than this process's own, so that none must be raised.
fn host_limits() -> Vec<String> {
    use rustix::process::{Resource, getrlimit};
    let hard = |resource| getrlimit(resource).maximum.unwrap_or(1_048_576);
    let files = hard(Resource::Nofile);
    let processes = hard(Resource::Nproc).min(PROCESS_LIMIT);
    [("nofile", files), ("nproc", processes)]
        .into_iter()
        .flat_map(|(name, limit)| ["--ulimit".to_owned(), format!("{name}={limit}:{limit}")])
        .collect()
}

/// `/bin/sh`, its libraries and its loader, as absolute paths.
fn shell_files(cancel: &Cancel) -> Result<Vec<String>, String> {
    let output = Command::new("ldd", &["/bin/sh"])
        .deadline_ms(10_000)
        .run(cancel, None)
        .map_err(|error| format!("ldd {error}"))?;
    // A static shell has no libraries, and ldd then fails.
    let libraries = output
        .stdout
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(|word| word.trim_end_matches(':').to_owned());
    let mut files: Vec<String> = ["/bin/sh".to_owned()]
        .into_iter()
        .chain(libraries)
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

impl std::fmt::Display for Quirks {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.global.is_empty() && self.container.is_empty() {
            return out.write_str("podman's own defaults");
        }
        let options: Vec<&str> = self
            .global
            .iter()
            .chain(&self.container)
            .map(String::as_str)
            .collect();
        out.write_str(&options.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::{caps::Version, *};

    #[test]
    fn the_least_intrusive_set_comes_first_and_none_twice() {
        let sets = candidates("no-such-runtime", false);
        assert_eq!(sets[0], Quirks::default());
        let intrusion = |set: &Quirks| set.global.len();
        assert!(intrusion(&sets[0]) <= intrusion(sets.last().unwrap()));
        for (place, set) in sets.iter().enumerate() {
            assert!(!sets[..place].contains(set), "{set}");
        }
    }

    #[test]
    fn builds_that_download_get_what_the_owner_and_the_version_need() {
        let options = |rootless: bool, version: Version| {
            let mut facts = crate::podman::Engine::pretended("podman".into()).facts;
            (facts.rootless, facts.version) = (rootless, version);
            let mut quirks = Quirks::default();
            quirks.complete(&facts);
            (quirks.fetch.join(" "), quirks.network.join(" "))
        };
        let text = |fetch: &str, network: &str| (fetch.to_owned(), network.to_owned());
        let (old, new) = (Version::new(4, 9, 3), Version::new(5, 0, 0));
        assert_eq!(
            options(false, old),
            text("--cpu-shares 128", "--network host")
        );
        assert_eq!(options(false, new), text("--cpu-shares 128", ""));
        assert_eq!(options(true, old), text("", ""));
    }

    #[test]
    fn a_remote_podman_gets_no_option_of_the_local_one() {
        let sets = candidates("crun", true);
        assert_eq!(sets.len(), 2);
        assert!(sets.iter().all(|set| set.global.is_empty()));
    }
}
