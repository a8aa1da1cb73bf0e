//! Locks: made, checked, explained.

mod checking;
mod explanations;
mod failing;
mod fake;
mod for_real;
mod making;

use std::{collections::BTreeMap, path::Path, str::FromStr};

use diagnostics::finding::Place;
use pep440_rs::VersionSpecifiers;

use super::{super::rules::Limit, *};

/// A limit as `requirements/rules.toml` has it.
fn limit(name: &str, versions: &str, reason: &str, line: usize) -> Limit {
    Limit {
        name: name.into(),
        versions: VersionSpecifiers::from_str(versions).unwrap(),
        reason: reason.into(),
        at: Place::line("rules.toml", line),
    }
}

fn request(core: &str, gpu: &str, audio: &str) -> LockRequest {
    let text = |text: &str| text.to_owned();
    LockRequest {
        lists: BTreeMap::from([
            (List::Core, text(core)),
            (List::Gpu, text(gpu)),
            (List::Audio, text(audio)),
        ]),
        limits: Vec::new(),
        build: "uv==0.13.9\nsetuptools<81\nwheel\n".into(),
        test: String::new(),
        build_limits: Vec::new(),
        python: "3.11".into(),
        platform: "x86_64-manylinux_2_28".into(),
        existing: BTreeMap::new(),
    }
}

/// The folder with the repository's own lists and locks.
fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../requirements")
}
