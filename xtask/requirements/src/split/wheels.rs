//! Packages for GPUs in images that have none: which requirement brings them.

use std::collections::{BTreeMap, BTreeSet};

use diagnostics::finding::{Finding, Place, Severity};

use crate::{
    list::List,
    split::report::{Placed, sentence},
};

/// Reports what a lock brings for GPUs into an image without one.
///
/// `packages` are names and versions of the lock of `list`; `via` says for a
/// name which others ask for it. Names are normalised.
pub fn check(
    list: List,
    packages: &BTreeMap<String, String>,
    via: &BTreeMap<String, BTreeSet<String>>,
    requirements: &[Placed],
) -> Vec<Finding> {
    if list == List::Gpu {
        return Vec::new();
    }
    let listed: BTreeMap<&str, &Placed> = requirements
        .iter()
        .filter(|placed| placed.images.contains(&list) || placed.images.contains(&List::Core))
        .map(|placed| (placed.name.as_str(), placed))
        .collect();
    let mut brought: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, version) in packages {
        if is_for_gpus(name, version) {
            for root in roots(name, via, &listed) {
                brought.entry(root).or_default().insert(name);
            }
        }
    }
    let finding = |(root, names): (&str, BTreeSet<&str>)| {
        let placed = listed[root];
        let names: Vec<&str> = names.into_iter().collect();
        let message = format!(
            "`{root}` brings packages for GPUs into the {} image: {}",
            list.name(),
            sentence(&names)
        );
        let at = Place::line(&placed.file, placed.line);
        // Speech recognition stands on torch, and torch's usual build is for
        // GPUs; what audio shares with gpu is stored once anyway.
        let severity = match list {
            List::Audio => Severity::Remark,
            _ => Severity::Warning,
        };
        Finding::new("gpu-wheels-in-cpu-image", severity, &at, message)
            .hint(format!("`[place.{root}]` in the rules puts it elsewhere"))
    };
    brought.into_iter().map(finding).collect()
}

fn is_for_gpus(name: &str, version: &str) -> bool {
    let local = version.split_once('+').map(|(_, local)| local);
    let cuda_build = local.is_some_and(|local| local.starts_with("cu"));
    let cpu_build = local.is_some_and(|local| local.starts_with("cpu"));
    let bindings = ["nvidia-ml-py", "nvidia-ml-py3"].contains(&name);
    cuda_build
        || (name.starts_with("nvidia-") && !bindings)
        || (["torch", "triton"].contains(&name) && !cpu_build)
}

/// The requirements through which `name` is there.
fn roots<'l>(
    name: &str,
    via: &BTreeMap<String, BTreeSet<String>>,
    listed: &BTreeMap<&'l str, &'l Placed>,
) -> BTreeSet<&'l str> {
    let mut found = BTreeSet::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut open = vec![name];
    while let Some(name) = open.pop() {
        if !seen.insert(name) {
            continue;
        }
        if let Some((root, _)) = listed.get_key_value(name) {
            found.insert(*root);
        }
        open.extend(via.get(name).into_iter().flatten().map(String::as_str));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(name: &str, images: &[List]) -> Placed {
        Placed {
            name: name.to_owned(),
            spec: name.to_owned(),
            images: images.to_vec(),
            reason: String::new(),
            file: "r.txt".to_owned(),
            line: 3,
        }
    }

    #[test]
    fn the_requirement_behind_gpu_packages_is_named() {
        let packages: BTreeMap<String, String> = [
            ("openai-whisper", "20231117"),
            ("torch", "2.7.1"),
            ("nvidia-cublas-cu12", "12"),
            ("nvidia-ml-py", "12"),
            ("triton", "3"),
            ("librosa", "1"),
        ]
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .into();
        let via = [
            ("torch", "openai-whisper"),
            ("nvidia-cublas-cu12", "torch"),
            ("triton", "torch"),
            // Circles do happen.
            ("openai-whisper", "triton"),
        ]
        .map(|(name, by)| (name.to_owned(), [by.to_owned()].into()))
        .into();
        let requirements = [
            placed("openai-whisper", &[List::Audio]),
            placed("torch", &[List::Gpu]),
        ];
        let found = check(List::Audio, &packages, &via, &requirements);
        let texts: Vec<_> = found.iter().map(|f| f.message.as_str()).collect();
        assert_eq!(
            texts,
            [
                "`openai-whisper` brings packages for GPUs into the audio image: nvidia-cublas-cu12, torch and triton"
            ]
        );
        assert!(check(List::Gpu, &packages, &via, &requirements).is_empty());
    }

    #[test]
    fn builds_for_processors_are_fine() {
        assert!(is_for_gpus("torch", "2.1.0") && is_for_gpus("torchvision", "0.16+cu118"));
        assert!(!is_for_gpus("torch", "2.1.0+cpu") && !is_for_gpus("numpy", "2"));
    }
}
