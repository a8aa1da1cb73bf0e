//! Files and folders that the manifest names: do they exist, and do they lie
//! where they must.
//!
//! The only check that looks at the disk. Of files' content it reads what agents
//! are to be replaced for.

use std::path::Path;

use diagnostics::located::{
    problem::{Problems, Span},
    reader::At,
};

use crate::system::{
    content::{self, Unfit},
    effective::{Member, View, join},
};

/// podman splits `SOURCE:TARGET` at colons, and knows no way to quote one.
const COLON: &str = "podman cannot mount a path with `:` in it";

/// Reports what the header of this file lists.
pub fn check(view: &View<'_>, problems: &mut Problems) {
    code_paths(view, problems);
    images(view, problems);
    let monorepo = monorepo(view, problems);
    watched(view, problems, monorepo);
    for member in &view.members {
        script(view, problems, monorepo, member);
        mounts(problems, monorepo, member);
    }
}

/// Why a path is not one below a tree, as the rest of a sentence.
fn escapes(path: &str) -> Option<&'static str> {
    if path.starts_with('/') {
        Some("is absolute")
    } else if path.split('/').any(|part| part == "..") {
        Some("leaves the tree with `..`")
    } else {
        None
    }
}

pub fn report_escape(problems: &mut Problems, kind: &str, path: &At<String>) -> bool {
    let reason = escapes(path);
    if let Some(reason) = reason {
        problems.report(
            &path.at,
            format!("{kind} `{}` {reason}", path.value),
            "write a path relative to the monorepo and below it",
        );
    }
    reason.is_some()
}

fn code_paths(view: &View<'_>, problems: &mut Problems) {
    let system = &view.manifest.system;
    for path in &system.code {
        report_escape(problems, "code path", path);
    }
    for path in system.search_roots.iter().flat_map(|roots| roots.iter()) {
        report_escape(problems, "search root", path);
    }
    let unread = view.manifest.broken.contains("system") || system.broken.contains("code");
    if let (true, false, Some(name)) = (system.code.is_empty(), unread, &system.name) {
        problems.report(
            &name.at,
            "`code` is empty, so that images would hold no agents",
            "add `code = [\"main_pc_code\"]`",
        );
    }
}

/// The monorepo, if it is one. What lies in it is not judged otherwise: one
/// wrong path must not be reported as a hundred missing scripts.
fn monorepo<'v>(view: &View<'v>, problems: &mut Problems) -> Option<&'v Path> {
    let system = &view.manifest.system;
    let Some(path) = &view.places.monorepo else {
        let name = system.name.as_ref();
        if let (Some(name), false) = (name, system.broken.contains("monorepo")) {
            problems.report(
                &name.at,
                "no monorepo is named",
                "add `monorepo = ...` to `[system]`, or pass `--monorepo PATH`",
            );
        }
        return None;
    };
    let written = match &system.monorepo {
        Some(written) if !view.places.overridden => Some(written),
        _ => None,
    };
    let shown = written.map_or_else(
        || path.display().to_string(),
        |written| written.value.clone(),
    );
    let mut report = |message: String| {
        let help = "name the tree that holds the agents' code, here or with `--monorepo PATH`";
        match written {
            Some(written) => problems.report(&written.at, message, help),
            None => problems.report_outside(message, help),
        }
    };
    if path.to_string_lossy().contains(':') {
        report(format!("{COLON}: the monorepo is `{}`", path.display()));
        return None;
    }
    if !path.is_dir() {
        report(format!("monorepo `{shown}` is not a folder"));
        return None;
    }
    let usable = |code: &&At<String>| escapes(code).is_none();
    let code: Vec<_> = system.code.iter().filter(usable).collect();
    let absent: Vec<_> = code
        .iter()
        .filter(|code| !path.join(code.as_str()).exists())
        .collect();
    if !code.is_empty() && absent.len() == code.len() {
        let names: Vec<&str> = code.iter().map(|code| code.as_str()).collect();
        let names = diagnostics::names::quoted_list(&names);
        report(format!("`{shown}` is not a monorepo: it holds no {names}"));
        return None;
    }
    for code in absent {
        problems.report(
            &code.at,
            format!("code path `{}` does not exist in the monorepo", code.value),
            "create it or remove it from `code`",
        );
    }
    Some(path)
}

fn images(view: &View<'_>, problems: &mut Problems) {
    let folder = &view.places.folder;
    for image in &view.manifest.images {
        if let Some(containerfile) = &image.containerfile
            && !join(folder, containerfile).is_file()
        {
            problems.report(
                &containerfile.at,
                format!("Containerfile `{}` does not exist", containerfile.value),
                "create it or correct the path, which starts at the manifest's folder",
            );
        }
        for input in image
            .inputs
            .iter()
            .filter(|input| !join(folder, input).exists())
        {
            problems.report(
                &input.at,
                format!("input `{}` does not exist", input.value),
                "create it or correct the path, which starts at the manifest's folder",
            );
        }
    }
}

fn script(view: &View<'_>, problems: &mut Problems, monorepo: Option<&Path>, member: &Member<'_>) {
    let Some(script) = &member.agent.script else {
        return;
    };
    if report_escape(problems, "script", script) {
        return;
    }
    let code = &view.manifest.system.code;
    let inside = code
        .iter()
        .any(|code| code.value == "." || Path::new(script.as_str()).starts_with(code.as_str()));
    if !inside && !code.is_empty() {
        let code: Vec<&str> = code.iter().map(|code| code.as_str()).collect();
        problems.report(
            &script.at,
            format!(
                "script `{}` is not part of the code that images hold",
                script.value
            ),
            format!(
                "`code` is {}; add the script's folder to it",
                diagnostics::names::quoted_list(&code)
            ),
        );
        return;
    }
    let Some(monorepo) = monorepo else { return };
    let found = monorepo.join(script.as_str());
    if found.is_dir() {
        let message = format!("script `{}` is a folder", script.value);
        problems.report(&script.at, message, "name a Python file");
    } else if !found.is_file() && !member.optional() {
        problems.report(
            &script.at,
            format!("script `{}` does not exist in the monorepo", script.value),
            "correct the path, or set `optional = true` for an agent that is not there yet",
        );
    }
}

fn mounts(problems: &mut Problems, monorepo: Option<&Path>, member: &Member<'_>) {
    for mount in member.mounts() {
        let Some(host) = &mount.host else { continue };
        let absolute = Path::new(host.as_str()).is_absolute();
        if host.contains(':') {
            let message = format!("{COLON}: `{}`", host.value);
            problems.report(&host.at, message, "give it a name without a colon");
            continue;
        }
        let base = match (monorepo, absolute) {
            (Some(monorepo), _) => monorepo,
            (None, true) => Path::new("/"),
            (None, false) => continue,
        };
        if !join(base, host).exists() {
            report_missing_mount(problems, &host.at, host, absolute);
        }
    }
}

/// Mounts with `restart_on_change`.
fn watched(view: &View<'_>, problems: &mut Problems, monorepo: Option<&Path>) {
    for mount in view.mounts().filter(|mount| mount.restart_on_change) {
        let Some(host) = &mount.host else {
            problems.report(
                &mount.at,
                "`restart_on_change` is set for a volume, whose files nobody compares",
                "leave it out, or mount a path of the host (`host = ...`)",
            );
            continue;
        };
        let name = host.as_str();
        if !mount.read_only {
            problems.report(
                &host.at,
                format!("`{name}` has `restart_on_change` and can be written to"),
                "add `read_only = true`: an agent that writes there would be replaced for that",
            );
        }
        let path = join(monorepo.unwrap_or(Path::new("/")), host);
        if monorepo.is_none() || !path.exists() {
            continue;
        }
        match content::hashes(&path, host) {
            Ok(_) => {}
            Err(Unfit::TooMuch(what)) => problems.report(
                &host.at,
                format!("`{name}` has `restart_on_change` and holds more than {what}"),
                "mount the files that matter one by one, or leave it out and deploy with `--recreate`",
            ),
            Err(Unfit::Unreadable(path, error)) => problems.report(
                &host.at,
                format!("`{name}` has `restart_on_change`, and {} cannot be read: {error}", path.display()),
                "let the user who deploys read it, or leave it out",
            ),
        }
    }
}

fn report_missing_mount(problems: &mut Problems, at: &Span, host: &str, absolute: bool) {
    let place = if absolute {
        "on this host"
    } else {
        "in the monorepo"
    };
    problems.report(
        at,
        format!("mounted path `{host}` does not exist {place}"),
        "create it, or mount a volume: `{ volume = \"NAME\", target = ... }`",
    );
}
