//! Names that podman refuses, and names given twice.

use std::collections::BTreeMap;

use diagnostics::located::{
    problem::{Problems, Span},
    reader::At,
};

use crate::system::{
    effective::View,
    naming::{CONTAINER_NAME_MAX, address_variable, is_agent_name, is_podman_name},
};

const PODMAN_NAME: &str = "podman wants a letter or digit, then letters, digits, `_`, `.` and `-`";

/// Reports what the header of this file lists.
pub fn check(view: &View<'_>, problems: &mut Problems) {
    let manifest = view.manifest;
    if let Some(name) = &manifest.system.name {
        podman_name(problems, "system", name);
    }
    for network in &manifest.networks {
        podman_name(problems, "network", &network.name);
    }
    for group in &manifest.groups {
        podman_name(problems, "group", &group.name);
    }
    images(view, problems);
    agents(view, problems);
    containers(view, problems);
}

fn podman_name(problems: &mut Problems, kind: &str, name: &At<String>) -> bool {
    let good = is_podman_name(name);
    if !good {
        problems.report(
            &name.at,
            format!("{kind} name `{}` is not valid", **name),
            PODMAN_NAME,
        );
    }
    good
}

fn images(view: &View<'_>, problems: &mut Problems) {
    let base = view.manifest.base.name.as_ref();
    let names = view.manifest.images.iter().map(|image| &image.name);
    for name in names.clone().chain(base) {
        if podman_name(problems, "image", name) && name.chars().any(|c| c.is_ascii_uppercase()) {
            let message = format!("image name `{}` is not valid", name.value);
            problems.report(&name.at, message, "podman wants image names in lower case");
        }
    }
    let Some(base) = base else { return };
    if let Some(twin) = names.clone().find(|name| name.value == base.value) {
        problems.report_pair(
            &twin.at,
            format!("image `{}` has the name of the base image", twin.value),
            "give one of them another name",
            (&base.at, "the base image"),
        );
    }
}

fn agents(view: &View<'_>, problems: &mut Problems) {
    let mut seen: BTreeMap<&str, (&Span, &str)> = BTreeMap::new();
    let mut variables: BTreeMap<String, &str> = BTreeMap::new();
    for member in &view.members {
        let (name, group) = (member.name(), member.group.name.as_str());
        if !is_agent_name(name) {
            problems.report(
                member.at(),
                format!("agent name `{name}` is not valid"),
                "use a letter, then letters, digits, `_` and `-`",
            );
        }
        if let Some((first, other)) = seen.get(name) {
            problems.report_pair(
                member.at(),
                format!("agent `{name}` is in group `{other}` and in group `{group}`"),
                "agent names are unique in the whole system; rename one",
                (first, "first defined here"),
            );
            continue;
        }
        seen.insert(name, (member.at(), group));
        let variable = address_variable(name);
        match variables.get(&variable) {
            // Equal container names say the same; see `containers`.
            Some(other) if member.agent.container.is_some() => problems.report(
                member.at(),
                format!("agents `{other}` and `{name}` share the variable `{variable}`"),
                "rename one of them",
            ),
            Some(_) => {}
            None => {
                variables.insert(variable, name);
            }
        }
    }
}

fn containers(view: &View<'_>, problems: &mut Problems) {
    let mut seen: BTreeMap<String, (&str, &Span)> = BTreeMap::new();
    for member in &view.members {
        let container = member.container();
        let given = member.agent.container.as_ref();
        let at = given.map_or(member.at(), |name| &name.at);
        // A derived name is as good as the agent's, which is judged above.
        if let Some(given) = given {
            podman_name(problems, "container", given);
        }
        if container.len() > CONTAINER_NAME_MAX {
            problems.report(
                at,
                format!("container name `{container}` is longer than {CONTAINER_NAME_MAX} letters"),
                "it is the host name too; set a shorter `container = ...`",
            );
        }
        match seen.get(&container) {
            // The same agent twice is one problem, reported as such.
            Some((other, _)) if *other == member.name() => {}
            Some((other, first)) => problems.report_pair(
                at,
                format!(
                    "agents `{other}` and `{}` share the container name `{container}`",
                    member.name()
                ),
                "set another `container = ...` for one of them",
                (first, "first used here"),
            ),
            None => {
                seen.insert(container, (member.name(), at));
            }
        }
    }
}
