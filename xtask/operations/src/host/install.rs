//! Installs what is missing with the distribution's package manager.

use std::fs;

use diagnostics::{Exit, Failure};
use process::{Cancel, Command, OnCancel, ProcessError, shell_line};

use crate::podman::run::{BUILD_DEADLINE_MS, tail};

/// Commands that install the packages, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallRecipe {
    commands: Vec<Vec<&'static str>>,
    /// Programs that are on PATH afterwards: podman itself and, where the
    /// distribution has it, what bootstraps the base image without a registry.
    provides: &'static [&'static str],
}

/// What is not on PATH, and how to change that.
#[derive(Debug)]
pub struct Missing {
    pub programs: Vec<&'static str>,
    recipe: InstallRecipe,
}

impl Missing {
    /// The commands that install it, as a shell would take them.
    pub fn lines(&self) -> Vec<String> {
        self.recipe.lines()
    }
}

/// What this host lacks; `None` where nothing is missing.
///
/// # Errors
/// If podman is missing on a distribution that is not known here.
pub fn missing() -> Result<Option<Missing>, Failure> {
    let recipe = fs::read_to_string("/etc/os-release")
        .ok()
        .and_then(|text| recipe_for(&text));
    let Some(recipe) = recipe else {
        return match absent(&["podman"]).is_empty() {
            true => Ok(None),
            false => Err(Failure::new(Exit::Engine, "podman is not installed").hint(
                "this distribution is not known here; install podman with its package manager",
            )),
        };
    };
    let programs = absent(recipe.provides);
    Ok((!programs.is_empty()).then_some(Missing { programs, recipe }))
}

/// Installs what this host lacks; does nothing where nothing is missing.
pub fn run(cancel: &Cancel, say: &(dyn Fn(&str) + Sync)) -> Result<(), Failure> {
    let Some(missing) = missing()? else {
        return Ok(());
    };
    say(&format!("not installed: {}", missing.programs.join(", ")));
    if !rustix::process::geteuid().is_root() {
        if !missing.programs.contains(&"podman") {
            // podman alone is enough where a registry can be reached.
            say("only root can install that; going on without");
            return Ok(());
        }
        return Err(Failure::new(Exit::Engine, "only root can install packages")
            .detail(missing.lines())
            .hint("run these commands as root, then the same command again"));
    }
    missing.recipe.run(cancel, say)
}

fn absent(programs: &[&'static str]) -> Vec<&'static str> {
    let absent = programs
        .iter()
        .filter(|program| which::which(program).is_err());
    absent.copied().collect()
}

fn recipe_for(os_release: &str) -> Option<InstallRecipe> {
    let families: Vec<&str> = os_release
        .lines()
        .filter_map(|line| {
            line.strip_prefix("ID=")
                .or_else(|| line.strip_prefix("ID_LIKE="))
        })
        .flat_map(|value| value.trim_matches('"').split_whitespace())
        .collect();
    let is = |name: &str| families.contains(&name);
    let (commands, provides): (Vec<Vec<&'static str>>, &'static [&'static str]) =
        if is("debian") || is("ubuntu") {
            // Without recommended packages podman lacks its network tools, so
            // they are named.
            let install = [
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
            ];
            let update = vec!["apt-get", "update"];
            (vec![update, install.to_vec()], &["podman", "mmdebstrap"])
        } else if is("fedora") || is("rhel") {
            (
                vec![vec!["dnf", "install", "--assumeyes", "podman"]],
                &["podman"],
            )
        } else if is("arch") {
            let install = [
                "pacman",
                "--sync",
                "--noconfirm",
                "podman",
                "netavark",
                "aardvark-dns",
                "crun",
            ];
            (vec![install.to_vec()], &["podman"])
        } else if is("suse") || is("opensuse") {
            let install = [
                "zypper",
                "--non-interactive",
                "install",
                "podman",
                "netavark",
                "aardvark-dns",
            ];
            (vec![install.to_vec()], &["podman"])
        } else {
            return None;
        };
    Some(InstallRecipe { commands, provides })
}

impl InstallRecipe {
    /// The commands as a shell would take them.
    fn lines(&self) -> Vec<String> {
        let owned = |words: &Vec<&str>| -> Vec<String> {
            words.iter().map(|word| (*word).to_owned()).collect()
        };
        self.commands
            .iter()
            .map(|words| shell_line(&owned(words)))
            .collect()
    }

    /// Says each command, then runs it; needs root.
    fn run(&self, cancel: &Cancel, say: &(dyn Fn(&str) + Sync)) -> Result<(), Failure> {
        for (words, line) in self.commands.iter().zip(self.lines()) {
            say(&format!("$ {line}"));
            let mut command = Command::new(words[0], &words[1..])
                .deadline_ms(BUILD_DEADLINE_MS)
                .on_cancel(OnCancel::End);
            command.env = vec![("DEBIAN_FRONTEND".to_owned(), "noninteractive".to_owned())];
            let failed = |why: String| {
                Failure::new(Exit::Engine, format!("`{line}` failed: {why}"))
                    .hint("fix the package manager's configuration, or install podman by hand")
            };
            let output = match command.run(cancel, None) {
                Ok(output) => output,
                Err(ProcessError::Interrupted) => {
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
        let first = |text: &str| recipe_for(text).map(|recipe| recipe.commands[0][0]);
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
