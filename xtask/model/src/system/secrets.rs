//! Secrets: the manifest's keys for them, what can be wrong with those, and what
//! they amount to.
//!
//! The whole way from text to value is in this one file, as with health. The
//! values themselves are none of the manifest's business: nothing here reads one.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use diagnostics::{
    located::{
        problem::{Problems, Span, line_and_column},
        reader::{At, Broken, Fields, record},
        value::{Node, list, text},
    },
    names::quoted_list,
};
use serde::Serialize;

use super::{
    effective::{Member, View, join},
    fields::{SECRET, SECRET_USE},
    naming::{is_podman_name, is_variable_name},
};

/// Where agents find secrets that are given no other place, as with compose.
pub const SECRETS_FOLDER: &str = "/run/secrets";

/// A secret of `[secrets]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretDefinition {
    pub source: SecretSource,
    /// Where it stands in the manifest, from 1.
    pub line: usize,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretSource {
    /// A file of the host.
    File(PathBuf),
    /// A variable of this tool's environment.
    Env(String),
    /// What a program prints.
    Command(Vec<String>),
    /// A secret that podman has under this name.
    Podman(String),
}

/// A secret that an agent is given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SecretUse {
    /// Its name in the manifest.
    pub secret: String,
    pub form: SecretForm,
}

/// How an agent finds a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SecretForm {
    /// As the file at this path in its container.
    File(String),
    /// As the variable of this name.
    Env(String),
}

/// `[secrets.NAME]` as it is written.
#[derive(Debug)]
pub struct SecretTable {
    pub name: At<String>,
    file: Option<At<String>>,
    env: Option<At<String>>,
    command: Option<At<Vec<At<String>>>>,
    podman: Option<At<String>>,
    broken: Broken,
}

/// An element of an agent's `secrets` as it is written.
#[derive(Debug)]
pub struct UseTable {
    secret: At<String>,
    file: Option<At<String>>,
    env: Option<At<String>>,
}

/// The keys of a group or an agent.
#[derive(Debug)]
pub struct SecretKeys {
    uses: Vec<At<UseTable>>,
    env_files: Vec<At<String>>,
}

/// Decodes `[secrets.NAME]`.
pub fn definition(name: At<String>, fields: Fields<'_, '_>) -> SecretTable {
    let mut fields = fields.of(&SECRET);
    SecretTable {
        name,
        file: fields.optional("file", text),
        env: fields.optional("env", text),
        command: fields.optional("command", list(text)),
        podman: fields.optional("podman", text),
        broken: fields.finish(),
    }
}

/// Decodes the keys of a group or an agent.
pub fn keys(fields: &mut Fields<'_, '_>) -> SecretKeys {
    SecretKeys {
        env_files: fields.list("env_file", text),
        uses: fields.list("secrets", secret_use),
    }
}

fn secret_use(problems: &mut Problems, node: Node<'_>) -> Option<UseTable> {
    if !node.is_table() {
        let secret = At {
            at: node.at(),
            value: text(problems, node)?,
        };
        return Some(UseTable {
            secret,
            file: None,
            env: None,
        });
    }
    let read = |fields: Fields<'_, '_>| {
        let mut fields = fields.of(&SECRET_USE);
        let secret = fields.required("secret", text);
        let file = fields.optional("file", text);
        let env = fields.optional("env", text);
        let broken = fields.finish();
        let secret = secret.filter(|_| broken.is_empty())?;
        Some(UseTable { secret, file, env })
    };
    record("secret", read)(problems, node)
}

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
        for given in uses(member) {
            if !view.manifest.broken.contains("secrets") && !known.contains(&given.secret.as_str())
            {
                problems.report_unknown(&given.secret.at, "secret", &given.secret, &known);
            }
            if !check_form(given, problems) {
                continue;
            }
            let form = form(given);
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
        .is_none_or(|file| super::check::good_target(problems, "secret", file))
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

fn form(given: &UseTable) -> SecretForm {
    match (&given.file, &given.env) {
        (_, Some(variable)) => SecretForm::Env(variable.value.clone()),
        (Some(file), None) => SecretForm::File(file.trim_end_matches('/').to_owned()),
        (None, None) => SecretForm::File(format!("{SECRETS_FOLDER}/{}", given.secret.value)),
    }
}

fn uses<'m>(member: &Member<'m>) -> impl Iterator<Item = &'m At<UseTable>> {
    let group = &member.group.shared.secrets.uses;
    group.iter().chain(&member.agent.shared.secrets.uses)
}

/// All secrets of a checked manifest; `None` if one has no source after all.
pub fn definitions(view: &View<'_>) -> Option<BTreeMap<String, SecretDefinition>> {
    let folder = &view.places.folder;
    let source = |table: &SecretTable| match (&table.file, &table.env, &table.command) {
        (Some(file), ..) => Some(SecretSource::File(join(folder, file))),
        (_, Some(variable), _) => Some(SecretSource::Env(variable.value.clone())),
        (.., Some(words)) => {
            let words = words.iter().map(|word| word.value.clone());
            Some(SecretSource::Command(words.collect()))
        }
        _ => Some(SecretSource::Podman(table.podman.as_ref()?.value.clone())),
    };
    let tables = view.manifest.secrets.iter();
    let definitions = tables.map(|table| {
        let (line, _) = line_and_column(view.text, table.name.at.start);
        let source = source(table)?;
        Some((table.name.value.clone(), SecretDefinition { source, line }))
    });
    definitions.collect()
}

/// What an agent is given, its group's first, nothing twice.
pub fn given(member: &Member<'_>) -> Vec<SecretUse> {
    let mut all: Vec<SecretUse> = Vec::new();
    for given in uses(member) {
        let given = SecretUse {
            secret: given.secret.value.clone(),
            form: form(given),
        };
        if !all.contains(&given) {
            all.push(given);
        }
    }
    all
}

/// The files with variables, the group's first; later ones win.
pub fn env_files(view: &View<'_>, member: &Member<'_>) -> Vec<PathBuf> {
    let group = &member.group.shared.secrets.env_files;
    let own = &member.agent.shared.secrets.env_files;
    let all = group.iter().chain(own);
    all.map(|file| join(&view.places.folder, file)).collect()
}
