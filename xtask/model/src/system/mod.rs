//! The manifest, `containers/system.toml`: read, checked and turned into the
//! `System` that everything else works with.
//!
//! text -> `reader`, `value` (types, places) -> `manifest` (shape, by the tables
//! of `fields`) -> `effective` (defaults) -> `check` (sense) -> `build` -> `model::System`
//!
//! Invariant: nothing here runs a program or asks the host about anything but
//! the existence of files and, for mounts with `restart_on_change`, what stands in
//! them; a `System` is only made from a manifest without a
//! single problem.

mod build;
mod check;
mod content;
mod copy;
mod effective;
mod error;
pub mod fields;
pub mod graph;
mod health;
mod image;
mod manifest;
mod model;
pub mod naming;
mod net;
mod notation;
mod placeholder;
mod release;
mod secrets;
mod subnet;
#[cfg(test)]
mod tests;

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

pub use copy::Copy;
use diagnostics::located::{problem::Problems, syntax};
use effective::{Places, View, join};
pub use error::ManifestError;
use fields::SCHEMA;
pub use health::HealthContract;
pub use image::{FETCHED_SUFFIX, Image, ImageKind, LISTS, Packages, SERVING, lock_file};
use manifest::Manifest;
pub use model::*;
pub use net::Net;
pub use release::PythonRelease;
pub use secrets::{SECRETS_FOLDER, SecretDefinition, SecretForm, SecretSource, SecretUse};
pub use subnet::Subnet;
use toml::de::DeTable;

/// Where the manifest stands below the repository's root.
const MANIFEST: &str = "containers/system.toml";

/// No manifest is larger; a device or a log named by mistake is.
const SIZE_MAX: u64 = 16 << 20;

/// Which manifest to read, and what the caller overrides.
#[derive(Debug, Clone)]
pub struct Source {
    pub manifest: PathBuf,
    /// Instead of the manifest's `monorepo`; relative to the working directory.
    pub monorepo: Option<PathBuf>,
}

/// Reads and checks the manifest. The error holds every problem at once.
pub fn load(source: &Source) -> Result<System, ManifestError> {
    load_for(source, Purpose::Use)
}

/// As `load`, for the command that makes the locks: they may be missing.
pub fn load_without_locks(source: &Source) -> Result<System, ManifestError> {
    load_for(source, Purpose::Lock)
}

/// As `load`, for a copy that can stand beside the system of the manifest.
pub fn load_copy(source: &Source, copy: &Copy<'_>) -> Result<System, ManifestError> {
    load_for(source, Purpose::Copy(copy))
}

#[derive(Clone, Copy)]
enum Purpose<'a> {
    Use,
    Lock,
    Copy(&'a Copy<'a>),
}

fn load_for(source: &Source, purpose: Purpose<'_>) -> Result<System, ManifestError> {
    let text = read(&source.manifest).map_err(|error| ManifestError::Read {
        path: source.manifest.clone(),
        error,
    })?;
    let absolute = |path: &Path| std::path::absolute(path).map(|path| join(&path, ""));
    let path = absolute(&source.manifest).map_err(|error| ManifestError::Read {
        path: source.manifest.clone(),
        error,
    })?;
    // An empty path has no absolute form; it is reported as no folder.
    let monorepo = source
        .monorepo
        .as_ref()
        .map(|path| absolute(path).unwrap_or(path.clone()));
    parse(&text, path, monorepo, purpose)
        .map_err(|problems| ManifestError::Invalid(problems.into_invalid(&source.manifest, text)))
}

/// The manifest of the repository that holds `start`.
pub fn find_manifest(start: &Path) -> Option<PathBuf> {
    start
        .ancestors()
        .map(|folder| folder.join(MANIFEST))
        .find(|path| path.is_file())
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?
        .take(SIZE_MAX + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > SIZE_MAX {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "too large for a manifest",
        ));
    }
    Ok(text)
}

/// A system from the text of a manifest that need not stand at `path`.
pub fn from_text(text: &str, path: &Path) -> Result<System, ManifestError> {
    parse(text, path.to_owned(), None, Purpose::Use)
        .map_err(|problems| ManifestError::Invalid(problems.into_invalid(path, text.to_owned())))
}

/// `path` and `override_monorepo` are absolute.
fn parse(
    text: &str,
    path: PathBuf,
    override_monorepo: Option<PathBuf>,
    purpose: Purpose<'_>,
) -> Result<System, Problems> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut problems = Problems::default();
    let mut manifest = Manifest::decode(&mut problems, document.get_ref());
    if let Some(schema) = &manifest.schema
        && schema.value > SCHEMA
    {
        // Nothing else that looks wrong can be trusted to be.
        let mut newer = Problems::default();
        let message = format!(
            "manifest schema {} is newer than this tool's {SCHEMA}",
            schema.value
        );
        newer.report(&schema.at, message, "update the checkout");
        return Err(newer);
    }
    if syntax::report(&mut problems, text, &errors) {
        return Err(problems);
    }
    let original = manifest.system.name.as_ref().map(|name| name.value.clone());
    if let Purpose::Copy(copy) = purpose {
        copy.apply(&mut manifest);
    }
    let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
    let written = manifest.system.monorepo.as_ref();
    let places = Places {
        root: folder.parent().unwrap_or(&folder).to_owned(),
        overridden: override_monorepo.is_some(),
        monorepo: override_monorepo.or_else(|| Some(join(&folder, written?))),
        manifest: path,
        folder,
        locked: !matches!(purpose, Purpose::Lock),
    };
    let view = View::new(&manifest, &places, text);
    check::check(&view, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut system = build::build(&view).expect("a manifest without problems describes a system");
    if let (Purpose::Copy(_), Some(original)) = (purpose, original) {
        // A copy has no images of its own: it runs those of the original's tests.
        system.image_owner = original;
        system.image_pointer = Pointer::Test;
    }
    Ok(system)
}
