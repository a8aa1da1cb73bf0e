//! What an agent is given: mounts, devices, environment, command line, GPUs,
//! requests for its health.

use std::collections::BTreeMap;

use diagnostics::{
    located::{
        problem::{Problems, Span},
        reader::At,
    },
    names::{nearest, quoted_list},
};

use crate::system::{
    effective::{Member, View},
    health,
    manifest::MountTable,
    naming::{is_podman_name, is_variable_name},
    placeholder,
};

/// Reports what the header of this file lists.
pub fn check(view: &View<'_>, problems: &mut Problems) {
    base_sources(view, problems);
    for member in &view.members {
        mounts(problems, member);
        devices(problems, member);
        environment(problems, member);
        command(problems, member);
        gpu(problems, member);
        health::check(
            &member.agent.shared.health,
            &member.group.shared.health,
            problems,
        );
    }
}

/// A source of the base image needs the fields that describe it.
fn base_sources(view: &View<'_>, problems: &mut Problems) {
    use crate::system::model::BaseSource::{Bootstrap, Pull};
    let base = &view.manifest.base;
    let Some(sources) = &base.sources else { return };
    if sources.is_empty() && !base.broken.contains("sources") {
        let help = "list one or more of \"present\", \"pull\", \"bootstrap\"";
        problems.report(&sources.at, "`sources` is empty", help);
    }
    for (wanted, name, key, absent) in [
        (Pull, "pull", "pull", base.pull.is_none()),
        (Bootstrap, "bootstrap", "suite", base.suite.is_none()),
    ] {
        let source = sources.iter().find(|source| source.value == wanted);
        if let (Some(source), true, false) = (source, absent, base.broken.contains(key)) {
            let message = format!("source `{name}` needs `{key}`");
            problems.report(
                &source.at,
                message,
                format!("add `{key} = ...` to `[base]`"),
            );
        }
    }
}

fn mounts(problems: &mut Problems, member: &Member<'_>) {
    let mut taken: BTreeMap<&str, &Span> = BTreeMap::new();
    for mount in member.mounts() {
        source(problems, mount);
        let Some(target) = &mount.target else {
            continue;
        };
        if !good_target(problems, "mount", target) {
            continue;
        }
        let path = target.trim_end_matches('/');
        if let Some(first) = taken.get(path) {
            problems.report_pair(
                &target.at,
                format!("agent `{}` has two mounts on `{path}`", member.name()),
                "mounts of the group and the agent add up; choose another target",
                (first, "the other mount"),
            );
        } else {
            taken.insert(path, &target.at);
        }
    }
}

fn source(problems: &mut Problems, mount: &At<MountTable>) {
    match (&mount.volume, &mount.host) {
        (Some(volume), None) if !is_podman_name(volume) => problems.report(
            &volume.at,
            format!("volume name `{}` is not valid", volume.value),
            "podman wants a letter or digit, then letters, digits, `_`, `.` and `-`; a path of \
             the host is `host = ...`",
        ),
        (Some(_), Some(_)) => problems.report(
            &mount.at,
            "mount has both `volume` and `host`",
            "keep one of them",
        ),
        (None, None) => problems.report(
            &mount.at,
            "mount has no source",
            "add `volume = \"NAME\"` or `host = \"PATH\"`",
        ),
        _ => {}
    }
}

/// podman splits mount options at commas and refuses targets that are not
/// absolute.
pub fn good_target(problems: &mut Problems, kind: &str, target: &At<String>) -> bool {
    let path = target.as_str();
    let climbs = path.split('/').any(|part| part == "..");
    let reason = if !path.starts_with('/') {
        "is not absolute"
    } else if path.trim_end_matches('/').is_empty() {
        "is the root"
    } else if climbs || path.contains([',', ':']) {
        "holds `..`, `,` or `:`"
    } else {
        return true;
    };
    let message = format!("{kind} target `{path}` {reason}");
    problems.report(&target.at, message, "write a path like `/app/data`");
    false
}

fn devices(problems: &mut Problems, member: &Member<'_>) {
    for device in member
        .group
        .shared
        .devices
        .iter()
        .chain(&member.agent.shared.devices)
    {
        if !device.path.is_absolute() {
            let message = format!("device `{}` is not absolute", device.path.display());
            problems.report(&device.at, message, "write a path like `/dev/snd`");
        }
    }
}

fn environment(problems: &mut Problems, member: &Member<'_>) {
    for (name, value) in member
        .group
        .shared
        .env
        .iter()
        .chain(&member.agent.shared.env)
    {
        if !is_variable_name(name) {
            problems.report(
                &name.at,
                format!("`{}` cannot be the name of a variable", name.value),
                "use letters, digits and `_`, not starting with a digit",
            );
        }
        placeholders(problems, value);
    }
}

fn command(problems: &mut Problems, member: &Member<'_>) {
    let agent = member.agent;
    if let Some(command) = &agent.command
        && command.first().is_none_or(|program| program.is_empty())
    {
        problems.report(
            &command.at,
            format!("the command of agent `{}` has no program", member.name()),
            "remove it to use the default, `[\"python3\", \"-u\", \"{script}\"]`",
        );
    }
    let words = agent
        .command
        .iter()
        .flat_map(|command| command.value.iter());
    for word in words.chain(&agent.args) {
        placeholders(problems, word);
    }
}

fn placeholders(problems: &mut Problems, text: &At<String>) {
    for word in placeholder::unknown(text) {
        let help = match nearest(word, placeholder::KNOWN) {
            Some(meant) => format!("did you mean `{{{meant}}}`?"),
            None => {
                let known = placeholder::KNOWN.map(|known| format!("{{{known}}}"));
                format!(
                    "known placeholders: {}; for the text itself write `{{{{{word}}}}}`",
                    quoted_list(&known)
                )
            }
        };
        problems.report(&text.at, format!("unknown placeholder `{{{word}}}`"), help);
    }
}

fn gpu(problems: &mut Problems, member: &Member<'_>) {
    let agent = member.agent;
    if let (Some(count), Some(device)) = (&agent.gpu_count, &agent.gpu_device) {
        problems.report_pair(
            &device.at,
            format!(
                "agent `{}` has both `gpu_count` and `gpu_device`",
                member.name()
            ),
            "keep one of them",
            (&count.at, "the count"),
        );
    }
    let asks = agent.gpu_count.is_some() || agent.gpu_device.is_some();
    let unread = agent.broken.contains("gpu_count") || agent.broken.contains("gpu_device");
    if let (Some(vram), false, false) = (&agent.vram_mb, asks, unread) {
        problems.report(
            &vram.at,
            format!(
                "agent `{}` needs `vram_mb` but asks for no GPU",
                member.name()
            ),
            "add `gpu_count = 1` or remove `vram_mb`",
        );
    }
}
