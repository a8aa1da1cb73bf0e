//! Installs what is missing with the distribution's package manager.

use std::fs;

use crate::{
    failure::{Exit, Failure},
    podman::run::{BUILD_DEADLINE_MS, tail},
    process::{Cancel, Command, OnCancel, shell_line},
};

/// Programs that must be on PATH before anything works: podman itself, and
/// what bootstraps the base image where no registry can be reached.
const NEEDED: &[&str] = &["podman", "mmdebstrap"];

/// Commands that install the packages, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe(pub Vec<Vec<&'static str>>);

/// What is not on PATH.
pub fn missing() -> Vec<&'static str> {
    NEEDED
        .iter()
        .copied()
        .filter(|program| which::which(program).is_err())
        .collect()
}

/// The recipe for this host's distribution, if it is a known one.
pub fn recipe() -> Option<Recipe> {
    recipe_for(&fs::read_to_string("/etc/os-release").ok()?)
}

fn recipe_for(os_release: &str) -> Option<Recipe> {
    let families: Vec<&str> = os_release
        .lines()
        .filter_map(|line| {
            line.strip_prefix("ID=")
                .or_else(|| line.strip_prefix("ID_LIKE="))
        })
        .flat_map(|value| value.trim_matches('"').split_whitespace())
        .collect();
    let is = |name: &str| families.contains(&name);
    if is("debian") || is("ubuntu") {
        // Without recommended packages podman lacks its network tools, so they
        // are named.
        Some(Recipe(vec![
            vec!["apt-get", "update"],
            vec![
                "apt-get",
                "install",
                "--yes",
                "--no-install-recommends",
                "podman",
                "buildah",
                "runc",
                "crun",
                "netavark",
                "aardvark-dns",
                "fuse-overlayfs",
                "slirp4netns",
                "passt",
                "uidmap",
                "iptables",
                "nftables",
                "catatonit",
                "mmdebstrap",
            ],
        ]))
    } else if is("fedora") || is("rhel") {
        Some(Recipe(vec![vec![
            "dnf",
            "install",
            "--assumeyes",
            "podman",
            "mmdebstrap",
        ]]))
    } else if is("arch") {
        Some(Recipe(vec![vec![
            "pacman",
            "--sync",
            "--noconfirm",
            "podman",
            "netavark",
            "aardvark-dns",
            "crun",
        ]]))
    } else if is("suse") || is("opensuse") {
        Some(Recipe(vec![vec![
            "zypper",
            "--non-interactive",
            "install",
            "podman",
            "netavark",
            "aardvark-dns",
        ]]))
    } else {
        None
    }
}

impl Recipe {
    /// The commands as a shell would take them.
    pub fn lines(&self) -> Vec<String> {
        let owned = |words: &Vec<&str>| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        self.0
            .iter()
            .map(|words| shell_line(&owned(words)))
            .collect()
    }

    /// Runs the commands; needs root.
    pub fn run(&self, cancel: &Cancel, say: &(dyn Fn(&str) + Sync)) -> Result<(), Failure> {
        if !rustix::process::geteuid().is_root() {
            return Err(Failure::new(Exit::Engine, "only root can install packages")
                .detail(self.lines())
                .hint("run these commands as root, then `cargo xtask up` again"));
        }
        for (words, line) in self.0.iter().zip(self.lines()) {
            say(&format!("$ {line}"));
            let mut command = Command::new(words[0], &words[1..])
                .deadline_ms(BUILD_DEADLINE_MS)
                .on_cancel(OnCancel::End);
            command.env = vec![("DEBIAN_FRONTEND".to_owned(), "noninteractive".to_owned())];
            let failed = |why: String| {
                Failure::new(Exit::Engine, format!("`{line}` failed: {why}"))
                    .hint("mend the package manager's configuration, or install podman by hand")
            };
            let output = match command.run(cancel, None) {
                Ok(output) => output,
                Err(crate::process::ProcessError::Interrupted) => {
                    return Err(Failure::interrupted("run the same command again to go on"));
                }
                Err(error) => return Err(failed(error.to_string())),
            };
            if output.code != 0 {
                let lines = tail(&output.stderr, 5);
                return Err(failed(format!("exit code {}", output.code)).detail(lines));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_are_told_apart() {
        let first = |text: &str| recipe_for(text).map(|recipe| recipe.0[0][0]);
        assert_eq!(first("NAME=x\nID=debian\n"), Some("apt-get"));
        assert_eq!(
            first("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"),
            Some("apt-get")
        );
        assert_eq!(
            first("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"),
            Some("dnf")
        );
        assert_eq!(first("ID=arch\n"), Some("pacman"));
        assert_eq!(first("ID=plan9\n"), None);
    }
}
