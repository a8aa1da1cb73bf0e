//! Secrets: where they come from, and how agents are given them.

use std::{collections::BTreeMap, path::Path};

use diagnostics::{
    located::problem::{Problems, Span},
    names::quoted_list,
};

use super::agents::good_target;
use crate::system::{
    effective::{Member, View, join},
    naming::{is_podman_name, is_variable_name},
    secrets::{SecretForm, SecretKeys, SecretTable, UseTable},
};

/// Reports secrets without a usable source, and uses that make no sense.
pub fn check(view: &View<'_>, problems: &mut Problems) {
    for table in &view.manifest.secrets {
        check_source(table, problems);
    }
    let known: Vec<&str> = view
        .manifest
        .secrets
        .iter()
        .map(|t| t.name.as_str())
        .collect();
    for member in &view.members {
        let mut taken: BTreeMap<SecretForm, (&str, &Span)> = BTreeMap::new();
        for given in member.secret_uses() {
            if !view.manifest.broken.contains("secrets") && !known.contains(&given.secret.as_str())
            {
                problems.report_unknown(&given.secret.at, "secret", &given.secret, &known);
            }
            if !check_form(given, problems) {
                continue;
            }
            let form = given.form();
            check_place(member, given, &form, problems);
            let secret = given.secret.as_str();
            match taken.insert(form.clone(), (secret, &given.at)) {
                Some((other, at)) if other != secret => problems.report_pair(
                    &given.at,
                    format!(
                        "agent `{}` is given two secrets as {}",
                        member.name(),
                        shown(&form)
                    ),
                    "secrets of the group and the agent add up; choose another `file` or `env`",
                    (at, "the other secret"),
                ),
                _ => {}
            }
        }
    }
    for group in &view.manifest.groups {
        let agents = group.agents.iter().map(|agent| &agent.shared.secrets);
        for keys in agents.chain([&group.shared.secrets]) {
            check_env_files(&view.places.folder, keys, problems);
        }
    }
}

fn check_source(table: &SecretTable, problems: &mut Problems) {
    let name = &table.name;
    if !is_podman_name(name) {
        problems.report(
            &name.at,
            format!("secret name `{}` is not valid", name.value),
            "use a letter or digit, then letters, digits, `_`, `.` and `-`",
        );
    }
    let given = sources(table);
    if given.is_empty() && table.broken.is_empty() {
        problems.report(
            &name.at,
            format!("secret `{}` has no source", name.value),
            "add one of `file`, `env`, `command` and `podman`",
        );
    }
    if given.len() > 1 {
        problems.report(
            &name.at,
            format!(
                "secret `{}` has more than one source: {}",
                name.value,
                quoted_list(&given)
            ),
            "keep one of them",
        );
    }
    if let Some(variable) = &table.env
        && !is_variable_name(variable)
    {
        problems.report(
            &variable.at,
            format!("`{}` cannot be the name of a variable", variable.value),
            "name the variable that holds the value, not the value itself",
        );
    }
    if let Some(secret) = &table.podman
        && !is_podman_name(secret)
    {
        problems.report(
            &secret.at,
            format!("`{}` cannot be the name of a podman secret", secret.value),
            "`podman secret ls` lists them",
        );
    }
    if let Some(command) = &table.command
        && command.is_empty()
    {
        problems.report(
            &command.at,
            format!("the command of secret `{}` has no program", name.value),
            "write the program and its arguments: `[\"pass\", \"show\", \"ai/key\"]`",
        );
    }
}

fn sources(table: &SecretTable) -> Vec<&'static str> {
    [
        ("file", table.file.is_some()),
        ("env", table.env.is_some()),
        ("command", table.command.is_some()),
        ("podman", table.podman.is_some()),
    ]
    .into_iter()
    .filter(|(_, given)| *given)
    .map(|(key, _)| key)
    .collect()
}

fn check_form(given: &UseTable, problems: &mut Problems) -> bool {
    if let (Some(file), Some(_)) = (&given.file, &given.env) {
        let message = format!("secret `{}` has both `file` and `env`", given.secret.value);
        let help = "keep one of them, or list the secret twice";
        problems.report(&file.at, message, help);
        return false;
    }
    if let Some(variable) = &given.env
        && !is_variable_name(variable)
    {
        problems.report(
            &variable.at,
            format!("`{}` cannot be the name of a variable", variable.value),
            "use letters, digits and `_`, not starting with a digit",
        );
        return false;
    }
    given
        .file
        .as_ref()
        .is_none_or(|file| good_target(problems, "secret", file))
}

/// A secret must not stand where something else does.
fn check_place(member: &Member<'_>, given: &UseTable, form: &SecretForm, problems: &mut Problems) {
    let other = match form {
        SecretForm::Env(variable) => member
            .env()
            .get(variable.as_str())
            .map(|value| (value.at.clone(), "the variable in `env`")),
        SecretForm::File(path) => member
            .mounts()
            .filter_map(|mount| mount.target.as_ref())
            .find(|target| target.trim_end_matches('/') == path)
            .map(|target| (target.at.clone(), "the mount")),
    };
    if let Some((at, what)) = other {
        problems.report_pair(
            &given.secret.at,
            format!(
                "agent `{}` has {} already, which secret `{}` is to be",
                member.name(),
                shown(form),
                given.secret.value
            ),
            "remove one of the two",
            (&at, what),
        );
    }
}

fn check_env_files(folder: &Path, keys: &SecretKeys, problems: &mut Problems) {
    for file in &keys.env_files {
        if !join(folder, file).is_file() {
            problems.report(
                &file.at,
                format!("env_file `{}` does not exist", file.value),
                "create it or correct the path, which starts at the manifest's folder",
            );
        }
    }
}

fn shown(form: &SecretForm) -> String {
    match form {
        SecretForm::File(path) => format!("the file `{path}`"),
        SecretForm::Env(variable) => format!("the variable `{variable}`"),
    }
}
