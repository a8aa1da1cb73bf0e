//! Reads the files behind the images and turns them into build
//! specifications with their content hashes.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    rc::Rc,
};

use model::{
    plan::{
        Action, content_tag, fetched_tag,
        images::{Recipe, Recipes},
        spec::{BuildSpec, Secret, hash_of, short},
        step::{BaseFrom, BaseSpec, Bootstrap},
    },
    system::{BaseSource, Image, ImageKind, Packages, SERVING, System, lock_file},
};
use requirements::lock_file::names;
use sha2::{Digest, Sha256};

use crate::images::base_digest;

/// The stage of a Containerfile that needs no parent and leaves what it
/// downloads in the cache.
const FETCHED_STAGE: &str = "fetched";

/// Places of the host's certificate bundle, by distribution family.
const CA_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A file that could not be read.
#[derive(Debug)]
pub struct Unreadable {
    pub path: PathBuf,
    pub error: io::Error,
}

/// Gives what a file holds that has been read already, by its path in an image.
pub type Known<'k> = &'k dyn Fn(&str) -> Option<Rc<[u8]>>;

/// All code of the monorepo, whichever image it goes into, with its hashes.
#[derive(Debug, Default)]
pub struct CodeFiles(Vec<Entry>);

impl CodeFiles {
    /// `known` gives what a file holds that has been read already, by its path
    /// below the monorepo.
    pub fn read(system: &System, known: Known<'_>) -> Result<Self, Unreadable> {
        let mut entries = Vec::new();
        for path in &system.code {
            let from = system.monorepo.join(path);
            add_tree(&mut entries, path, &from, &system.code_exclude, known)?;
        }
        Ok(CodeFiles(entries))
    }

    /// Files, folders and links.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Code that images do without: paths below the monorepo, by image.
pub type LeftOut = BTreeMap<String, BTreeSet<String>>;

/// How every image is made. `scratch` is a folder for files that builds need.
pub fn read(
    system: &System,
    code: &CodeFiles,
    left_out: &LeftOut,
    scratch: &Path,
) -> Result<Recipes, Unreadable> {
    let names: Vec<&str> = system.images.keys().map(String::as_str).collect();
    let hashes = inputs_of(system, code, left_out, &names)?;
    let secrets = secrets(&|name| std::env::var_os(name));
    let base = Action::EnsureBase(base(system, scratch)?);
    let base = Recipe::new(base, &hashes[&system.base.name]);
    let mut images = BTreeMap::from([(system.base.name.clone(), base)]);
    for (name, image) in &system.images {
        let build = build(system, image, &hashes);
        let recipe = match &image.kind {
            ImageKind::Packages(_) => with_packages(system, image, build, &secrets)?,
            ImageKind::Code => with_code(system, image, build, left_out, scratch),
        };
        images.insert(name.clone(), recipe);
    }
    Ok(Recipes { images })
}

/// What the builds of all images have in common.
fn build(system: &System, image: &Image, hashes: &BTreeMap<String, String>) -> BuildSpec {
    let inputs_hash = &hashes[&image.name];
    let on_base = image.parent() == Some(&system.base.name);
    BuildSpec {
        system: on_base.then(|| system.image_owner.clone()),
        code: image.holds_code(),
        tag: content_tag(system, &image.name, inputs_hash),
        containerfile: image.containerfile.clone(),
        context: system.context_of(image).to_owned(),
        ignorefile: None,
        args: args(system, image, hashes),
        env: image.env.clone(),
        target: None,
        secrets: Vec::new(),
        inputs_hash: inputs_hash.clone(),
    }
}

/// Packages come from elsewhere, with what this host needs to get there.
fn with_packages(
    system: &System,
    image: &Image,
    build: BuildSpec,
    secrets: &[Secret],
) -> Result<Recipe, Unreadable> {
    let build = BuildSpec {
        secrets: secrets.to_vec(),
        ..build
    };
    let ahead = image.packages().is_some() && has_stage(&image.containerfile, FETCHED_STAGE)?;
    let hash = build.inputs_hash.clone();
    Ok(Recipe {
        fetch: ahead.then(|| fetch(system, &build)),
        packages: added(system, image)?,
        ..Recipe::new(Action::BuildImage(build), &hash)
    })
}

/// Names of the packages that its lists add to those of the images below, in
/// alphabetical order.
fn added(system: &System, image: &Image) -> Result<Vec<String>, Unreadable> {
    let names_in = |list: &str| {
        let path = lock_file(&system.root, list);
        let text = fs::read_to_string(&path).map_err(|error| Unreadable { path, error })?;
        Ok(names(&text).collect::<BTreeSet<String>>())
    };
    let mut added = BTreeSet::new();
    for list in image.lists() {
        added.append(&mut names_in(list)?);
    }
    for list in system.lists_below(&image.name) {
        let below = names_in(list)?;
        added.retain(|name| !below.contains(name));
    }
    Ok(added.into_iter().collect())
}

/// The monorepo is not ours to put an ignore file into.
fn with_code(
    system: &System,
    image: &Image,
    build: BuildSpec,
    left_out: &LeftOut,
    scratch: &Path,
) -> Recipe {
    let path = scratch.join(format!("{}.{}.containerignore", system.name, image.name));
    let build = BuildSpec {
        ignorefile: Some(path.clone()),
        ..build
    };
    let hash = build.inputs_hash.clone();
    let lines = ignore_lines(system, left_out.get(&image.name));
    Recipe {
        ignorefile: Some(Action::WriteFile { path, lines }),
        ..Recipe::new(Action::BuildImage(build), &hash)
    }
}

/// Hashes of these images' inputs alone, to tell whether they have changed.
pub fn inputs_of(
    system: &System,
    code: &CodeFiles,
    left_out: &LeftOut,
    names: &[&str],
) -> Result<BTreeMap<String, String>, Unreadable> {
    let mut hashes = BTreeMap::new();
    hashes.insert(system.base.name.clone(), base_hash(system));
    for name in names {
        hash_image(system, name, code, left_out, &mut hashes)?;
    }
    Ok(hashes)
}

fn base(system: &System, scratch: &Path) -> Result<BaseSpec, Unreadable> {
    let base = &system.base;
    let lock = system.manifest.with_file_name("base.lock");
    let reference = base_digest::pinned(&lock, &base.pull).map_err(|error| Unreadable {
        path: lock.clone(),
        error,
    })?;
    let source = |source: &BaseSource| match source {
        // An image that is there is taken by the planner.
        BaseSource::Present => None,
        BaseSource::Pull => Some(BaseFrom::Pull {
            reference: reference.clone(),
            lock: lock.clone(),
        }),
        BaseSource::Bootstrap => Some(BaseFrom::Bootstrap(Bootstrap {
            suite: base.suite.clone(),
            packages: base.packages.clone(),
            archive: scratch.join(format!("{}.tar", base.name)),
        })),
    };
    Ok(BaseSpec {
        tag: content_tag(system, &base.name, &base_hash(system)),
        system: system.image_owner.clone(),
        inputs_hash: base_hash(system),
        sources: base.sources.iter().filter_map(source).collect(),
    })
}

fn base_hash(system: &System) -> String {
    hash_of(&system.base)
}

fn args(
    system: &System,
    image: &Image,
    hashes: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let base = &system.base.name;
    let mut args = BTreeMap::new();
    let mut add = |name: &str, value: String| args.insert(name.to_owned(), value);
    if let Some(parent) = image.parent() {
        add("PARENT", content_tag(system, parent, &hashes[parent]));
    }
    if !image.holds_code() {
        add("BASE", content_tag(system, base, &hashes[base]));
    }
    if let Some(adds) = image.packages() {
        add("LOCKS", adds.requirements.join(" "));
        add("PARENT_LOCKS", system.lists_below(&image.name).join(" "));
        add("SYSTEM_PACKAGES", adds.system_packages.join(" "));
        add("SYSTEM_EXCLUDE", adds.system_exclude.join(" "));
    }
    args
}

/// The part of a build that can be done while its parent is built.
fn fetch(system: &System, build: &BuildSpec) -> BuildSpec {
    BuildSpec {
        // It stands on nothing.
        system: Some(system.image_owner.clone()),
        tag: fetched_tag(system),
        target: Some(FETCHED_STAGE.to_owned()),
        env: BTreeMap::new(),
        ..build.clone()
    }
}

/// Whether the Containerfile has a stage of that name.
fn has_stage(containerfile: &Path, stage: &str) -> Result<bool, Unreadable> {
    let text = fs::read_to_string(containerfile).map_err(|error| Unreadable {
        path: containerfile.to_owned(),
        error,
    })?;
    Ok(text.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is =
            |at: usize, word: &str| words.get(at).is_some_and(|w| w.eq_ignore_ascii_case(word));
        is(0, "from") && words.last() == Some(&stage) && is(words.len().saturating_sub(2), "as")
    }))
}

/// Name, parent's hash, Containerfile, inputs, packages and variables, then
/// locks or code, in that order.
fn hash_image(
    system: &System,
    name: &str,
    code: &CodeFiles,
    left_out: &LeftOut,
    hashes: &mut BTreeMap<String, String>,
) -> Result<(), Unreadable> {
    if hashes.contains_key(name) {
        return Ok(());
    }
    let image = &system.images[name];
    let mut sha = Sha256::new();
    sha.update(name);
    if let Some(parent) = image.parent() {
        hash_image(system, parent, code, left_out, hashes)?;
        sha.update(&hashes[parent]);
    }
    add_file(&mut sha, "Containerfile", &image.containerfile)?;
    for input in &image.inputs {
        let label = input
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut entries = Vec::new();
        add_tree(&mut entries, &label, input, &[], &|_| None)?;
        entries.iter().for_each(|entry| hash_entry(&mut sha, entry));
    }
    let none = Packages::default();
    let adds = image.packages().unwrap_or(&none);
    sha.update(hash_of(&(
        &image.env,
        &adds.system_packages,
        &adds.system_exclude,
    )));
    match &image.kind {
        ImageKind::Packages(_) => hash_locks(&mut sha, system, image)?,
        ImageKind::Code => hash_code(&mut sha, system, code, left_out.get(name)),
    }
    hashes.insert(name.to_owned(), short(sha));
    Ok(())
}

/// An image that adds no packages is made without locks.
fn hash_locks(sha: &mut Sha256, system: &System, image: &Image) -> Result<(), Unreadable> {
    if image.packages().is_none() {
        return Ok(());
    }
    let mut lists = image
        .lists()
        .iter()
        .map(String::as_str)
        .chain(SERVING.iter().copied());
    lists.try_for_each(|list| add_file(sha, list, &lock_file(&system.root, list)))
}

fn hash_code(
    sha: &mut Sha256,
    system: &System,
    code: &CodeFiles,
    left_out: Option<&BTreeSet<String>>,
) {
    for line in ignore_lines(system, left_out) {
        sha.update(line);
        sha.update([0]);
    }
    let kept = |entry: &&Entry| !left_out.is_some_and(|paths| paths.contains(&entry.path));
    let kept = code.0.iter().filter(kept);
    kept.for_each(|entry| hash_entry(sha, entry));
}

/// A file or folder that counts for what an image is.
#[derive(Debug)]
struct Entry {
    path: String,
    /// Its kind, and what it holds.
    content: String,
}

/// Adds a file, or a folder and its files in name order.
fn add_tree(
    entries: &mut Vec<Entry>,
    name: &str,
    path: &Path,
    exclude: &[String],
    known: Known<'_>,
) -> Result<(), Unreadable> {
    let unreadable = |error| Unreadable {
        path: path.to_owned(),
        error,
    };
    let mut add = |content: String| {
        entries.push(Entry {
            path: name.to_owned(),
            content,
        });
    };
    let kind = fs::symlink_metadata(path).map_err(unreadable)?;
    if kind.is_symlink() {
        let target = fs::read_link(path).map_err(unreadable)?;
        add(format!("link {}", target.display()));
        return Ok(());
    }
    if kind.is_file() {
        let executable = kind.permissions().mode() & 0o100 != 0;
        let kind = if executable { "program" } else { "file" };
        let mut sha = Sha256::new();
        match known(name) {
            Some(content) => sha.update(content),
            None => sha.update(fs::read(path).map_err(unreadable)?),
        }
        add(format!("{kind} {}", short(sha)));
        return Ok(());
    }
    if !kind.is_dir() {
        // Reading a pipe or a device may never end.
        add("special".to_owned());
        return Ok(());
    }
    add("folder".to_owned());
    // Names need not be UTF-8; what is hashed of them is good enough.
    let mut found: Vec<OsString> = fs::read_dir(path)
        .map_err(unreadable)?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<io::Result<_>>()
        .map_err(unreadable)?;
    found.retain(|name| !excluded(&name.to_string_lossy(), exclude));
    found.sort();
    for child in found {
        let name = format!("{name}/{}", child.to_string_lossy());
        add_tree(entries, &name, &path.join(&child), exclude, known)?;
    }
    Ok(())
}

fn hash_entry(sha: &mut Sha256, entry: &Entry) {
    sha.update(format!("{}\0{}\0", entry.path, entry.content));
}

fn add_file(sha: &mut Sha256, label: &str, path: &Path) -> Result<(), Unreadable> {
    let content = fs::read(path).map_err(|error| Unreadable {
        path: path.to_owned(),
        error,
    })?;
    sha.update(format!("{label}\0{}\0", content.len()));
    sha.update(content);
    Ok(())
}

/// A pattern is a name, or `*` and an ending; the ignore file says the same.
fn excluded(name: &str, patterns: &[String]) -> bool {
    patterns
        .iter()
        .any(|pattern| match pattern.strip_prefix('*') {
            Some(ending) => name.ends_with(ending),
            None => name == pattern,
        })
}

fn ignore_lines(system: &System, left_out: Option<&BTreeSet<String>>) -> Vec<String> {
    let hidden = ["*".to_owned()];
    let shown = system.code.iter().map(|path| format!("!{path}"));
    let excluded = system
        .code_exclude
        .iter()
        .map(|pattern| format!("**/{pattern}"));
    let left_out = left_out.into_iter().flatten().cloned();
    hidden
        .into_iter()
        .chain(shown)
        .chain(excluded)
        .chain(left_out)
        .collect()
}

/// What a build needs of the host and must not keep. `variable` looks up an
/// environment variable.
fn secrets(variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<Secret> {
    let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let ca = variable("SSL_CERT_FILE")
        .map(PathBuf::from)
        .into_iter()
        .chain(CA_BUNDLES.iter().map(PathBuf::from))
        .find(|path| path.is_file());
    let home = variable("HOME").map(PathBuf::from).unwrap_or_default();
    let pip = variable("PIP_CONFIG_FILE")
        .map(PathBuf::from)
        .into_iter()
        .chain([
            home.join(".config/pip/pip.conf"),
            home.join(".pip/pip.conf"),
            "/etc/pip.conf".into(),
        ])
        .find(|path| path.is_file());
    let file = |id: &str, path: Option<PathBuf>| {
        path.map(|path| Secret::File {
            id: id.into(),
            path,
        })
    };
    let variables = [
        ("pip-index-url", "PIP_INDEX_URL"),
        ("pip-extra-index-url", "PIP_EXTRA_INDEX_URL"),
    ];
    file("ca-bundle", ca)
        .into_iter()
        .chain(file("pip-conf", pip))
        .chain(
            variables
                .into_iter()
                .filter(|(_, variable)| set(variable))
                .map(|(id, variable)| Secret::Env {
                    id: id.into(),
                    variable: variable.into(),
                }),
        )
        .collect()
}

#[cfg(test)]
mod tests;
