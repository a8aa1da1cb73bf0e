//! Finds the resolver: uv, in exactly the version that the build tools' lock
//! pins, so that everybody's locks come out the same.
//!
//! Uses the one on PATH if it is that version. Otherwise installs one for this
//! tool alone, below its cache folder, checked against the hashes of the lock;
//! nothing else on the host is changed. It is made in a folder of its own and
//! renamed when it is whole, so that runs side by side and killed ones do no
//! harm.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use diagnostics::{Exit, Failure, excerpt::printable};
use pep440_rs::Version;
use process::{Cancel, Command, OnCancel, Output, ProcessError, shell_line};

use super::{
    lock_file::{LockFile, Pin, Release},
    pip_settings,
};

/// File of the build tools' pins.
pub const BUILD_LOCK: &str = "requirements.build.lock";
/// The first use may have to wait for a cold disk.
const ASK_DEADLINE: Duration = Duration::from_secs(20);
/// The wheel has 20 MB.
const INSTALL_DEADLINE: Duration = Duration::from_secs(300);

/// The resolver, ready to be run.
#[derive(Debug, Clone)]
pub struct Uv {
    pub program: PathBuf,
    /// Index and certificates, as pip has them.
    env: Vec<(String, String)>,
}

impl Uv {
    /// Runs uv; Ctrl-C ends it.
    pub fn run(
        &self,
        args: &[&str],
        deadline: Duration,
        cancel: &Cancel,
    ) -> Result<Output, ProcessError> {
        let uv = &self.program;
        let mut command = Command::new(uv, args)
            .deadline_ms(deadline.as_millis() as u64)
            .on_cancel(OnCancel::End);
        command.env = self.env.clone();
        command.run(cancel, None)
    }

    /// A program that stands in for uv.
    #[cfg(test)]
    pub fn fake(program: PathBuf) -> Self {
        Uv {
            program,
            env: Vec::new(),
        }
    }

    /// With more variables than pip's settings.
    pub fn with_env(mut self, more: &[(&str, &str)]) -> Self {
        let more = more
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        self.env.extend(more);
        self
    }
}

/// What of this machine is looked at.
struct Host {
    uv: Option<PathBuf>,
    python: Option<PathBuf>,
    os_release: String,
    env: Vec<(String, String)>,
}

/// The uv that `build_lock` (the text of `requirements.build.lock`) pins;
/// installs it below `cache` if need be, and then says so.
///
/// # Errors
/// If the lock does not pin uv, or if there is no way to install it: no Python,
/// no pip, no network.
pub fn find(
    build_lock: &str,
    cache: &Path,
    cancel: &Cancel,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Uv, Failure> {
    let host = Host {
        uv: which::which("uv").ok(),
        python: which::which("python3").ok(),
        os_release: fs::read_to_string("/etc/os-release").unwrap_or_default(),
        env: pip_settings::of_this_host(),
    };
    find_on(&host, build_lock, cache, cancel, say)
}

fn find_on(
    host: &Host,
    build_lock: &str,
    cache: &Path,
    cancel: &Cancel,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Uv, Failure> {
    let (pin, version) = pinned(build_lock)?;
    let version = version.to_string();
    let uv = |program: PathBuf| Uv {
        program,
        env: host.env.clone(),
    };
    if let Some(program) = &host.uv
        && answers(program, &version, cancel)
    {
        return Ok(uv(program.clone()));
    }
    let own = cache.join(format!("uv-{version}"));
    let program = own.join("bin/uv");
    if !(program.is_file() && answers(&program, &version, cancel)) {
        if cancel.requested() {
            return Err(interrupted());
        }
        say(&format!("installing uv {version} for this tool alone"));
        let part = cache.join(format!("uv-{version}.part-{}", std::process::id()));
        clear_leftovers(cache);
        let installed = install(host, &pin, &part, cancel)
            .and_then(|()| put_in_place(&part, &own, &version, cancel));
        // What is left of an attempt is of no use to anybody.
        let _ = fs::remove_dir_all(&part);
        installed?;
    }
    Ok(uv(program))
}

/// uv's pin in the build tools' lock.
fn pinned(build_lock: &str) -> Result<(Pin, Version), Failure> {
    let hint = "restore requirements.build.lock from the repository; this tool renews it, \
                but cannot do without it";
    let lock = LockFile::parse(build_lock).map_err(|wrong| {
        let message = format!("{BUILD_LOCK}:{}: {}", wrong.line, wrong.message);
        Failure::new(Exit::Other, message).hint(hint)
    })?;
    let pin = lock.pin("uv").filter(|pin| !pin.hashes.is_empty());
    match pin {
        Some(pin) => match &pin.release {
            Release::Version(version) => Ok((pin.clone(), version.clone())),
            Release::Url(_) => {
                let message = format!(
                    "{BUILD_LOCK}:{}: uv has an address instead of a version",
                    pin.line
                );
                Err(Failure::new(Exit::Other, message)
                    .hint("ask for `uv==VERSION` in requirements.build.txt"))
            }
        },
        None => {
            let message = format!("{BUILD_LOCK} does not pin uv with its hashes");
            Err(Failure::new(Exit::Other, message).hint(hint))
        }
    }
}

/// The program is uv of this version.
fn answers(program: &Path, version: &str, cancel: &Cancel) -> bool {
    let output = Command::new(program, &["--version"])
        .deadline_ms(ASK_DEADLINE.as_millis() as u64)
        .run(cancel, None);
    output.is_ok_and(|output| {
        let mut words = output.stdout.split_whitespace();
        output.code == 0 && words.next() == Some("uv") && words.next() == Some(version)
    })
}

/// Installs into `part`, with the host's pip or, where it has none, with the
/// one of a virtual environment made for that.
fn install(host: &Host, pin: &Pin, part: &Path, cancel: &Cancel) -> Result<(), Failure> {
    let Some(python) = &host.python else {
        return Err(Failure::new(
            Exit::Other,
            "python3 is not on PATH; it is needed to install uv",
        )
        .hint(install_hint(&host.os_release)));
    };
    let list = part.join("uv.txt");
    let one = LockFile::new(Default::default(), vec![pin.clone()]).render();
    fs::create_dir_all(part)
        .and_then(|()| fs::write(&list, one))
        .map_err(|error| {
            let message = format!("cannot write {}: {error}", list.display());
            Failure::new(Exit::Other, message).hint("make room, or set XDG_CACHE_HOME")
        })?;
    let (target, list) = (part.join("uv"), list.display().to_string());
    let target = target.display().to_string();
    let words = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--require-hashes",
        "--target",
        &target,
        "--requirement",
        &list,
    ];
    let output = run(host, python, &words, cancel)?;
    let Err(stderr) = output else { return Ok(()) };
    if !stderr.contains("No module named pip") {
        return Err(not_installed(python, &words, &stderr));
    }
    let venv = part.join("venv");
    let make = ["-m", "venv", &venv.display().to_string()].map(str::to_owned);
    let make: Vec<&str> = make.iter().map(String::as_str).collect();
    if run(host, python, &make, cancel)?.is_err() {
        return Err(Failure::new(
            Exit::Other,
            "python3 has no pip; it is needed to install uv",
        )
        .hint(install_hint(&host.os_release)));
    }
    let python = venv.join("bin/python3");
    match run(host, &python, &words, cancel)? {
        Ok(()) => Ok(()),
        Err(stderr) => Err(not_installed(&python, &words, &stderr)),
    }
}

/// The program's messages if it did not succeed.
fn run(
    host: &Host,
    program: &Path,
    words: &[&str],
    cancel: &Cancel,
) -> Result<Result<(), String>, Failure> {
    let mut command = Command::new(program, words)
        .deadline_ms(INSTALL_DEADLINE.as_millis() as u64)
        .on_cancel(OnCancel::End);
    command.env = host.env.clone();
    // Settings for whole environments do not go together with `--target`.
    for name in ["PIP_USER", "PIP_REQUIRE_VIRTUALENV"] {
        command.env.push((name.into(), "0".into()));
    }
    match command.run(cancel, None) {
        Ok(output) if output.code == 0 => Ok(Ok(())),
        Ok(output) => Ok(Err(output.stderr)),
        Err(ProcessError::Interrupted) => Err(interrupted()),
        Err(error) => Ok(Err(error.to_string())),
    }
}

fn put_in_place(part: &Path, own: &Path, version: &str, cancel: &Cancel) -> Result<(), Failure> {
    let made = part.join("uv");
    if !answers(&made.join("bin/uv"), version, cancel) {
        if cancel.requested() {
            return Err(interrupted());
        }
        let message = format!("the uv {version} that pip installed does not run on this host");
        return Err(Failure::new(Exit::Other, message)
            .hint("install that version by hand, so that it is on PATH"));
    }
    let whole = || answers(&own.join("bin/uv"), version, cancel);
    let placed = fs::rename(&made, own).or_else(|error| {
        // Another run was quicker, or something broken stands there.
        if whole() {
            return Ok(());
        }
        let aside = part.join("broken");
        fs::rename(own, &aside).map_err(|_| error)?;
        fs::rename(&made, own)
    });
    placed.map_err(|error: io::Error| {
        let message = format!("cannot put uv into {}: {error}", own.display());
        Failure::new(Exit::Other, message).hint("remove that folder, or set XDG_CACHE_HOME")
    })
}

/// Removes what killed runs have left behind.
fn clear_leftovers(cache: &Path) {
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name
            .to_str()
            .filter(|name| name.starts_with("uv-"))
            .and_then(|name| name.rsplit_once(".part-"))
            .and_then(|(_, pid)| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn interrupted() -> Failure {
    Failure::interrupted("nothing was changed")
}

fn not_installed(python: &Path, words: &[&str], stderr: &str) -> Failure {
    let argv: Vec<String> = std::iter::once(python.display().to_string())
        .chain(words.iter().map(|word| (*word).to_owned()))
        .collect();
    let lines: Vec<&str> = stderr
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let last = lines[lines.len().saturating_sub(4)..]
        .iter()
        .map(|line| printable(line));
    Failure::new(Exit::Other, "uv could not be installed")
        .detail([format!("$ {}", shell_line(&argv))])
        .detail(last)
        .hint("pip uses PIP_INDEX_URL and pip.conf; a uv of the same version on PATH does as well")
}

/// What to run where Python or pip is missing.
fn install_hint(os_release: &str) -> String {
    let ids: Vec<&str> = os_release
        .lines()
        .filter_map(|line| {
            line.strip_prefix("ID=")
                .or_else(|| line.strip_prefix("ID_LIKE="))
        })
        .flat_map(|value| value.trim_matches('"').split_whitespace())
        .collect();
    let is = |names: &[&str]| names.iter().any(|name| ids.contains(name));
    let command = if is(&["debian", "ubuntu"]) {
        "apt-get install --yes python3 python3-pip"
    } else if is(&["fedora", "rhel"]) {
        "dnf install --assumeyes python3 python3-pip"
    } else if is(&["arch"]) {
        "pacman --sync --noconfirm python python-pip"
    } else if is(&["suse", "opensuse"]) {
        "zypper --non-interactive install python3 python3-pip"
    } else {
        return "install Python 3 and its pip with the package manager of this host".into();
    };
    format!("as root: `{command}`")
}

#[cfg(test)]
pub mod tests;
