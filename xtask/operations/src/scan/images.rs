//! Which packages each image provides, by the locks it is made from.
//!
//! The locks are what is installed, hash for hash, so they answer without
//! asking podman; an image that is out of date is `build-images`'s concern.

use std::collections::{BTreeMap, BTreeSet};

use model::system::{Image, System};

/// Normalised names of packages, per image with dependencies.
#[derive(Debug, Default)]
pub struct Provided {
    images: BTreeMap<String, BTreeSet<String>>,
    /// Images that an agent can be given, the one with fewest packages first.
    candidates: Vec<String>,
    /// Every package of any lock.
    all: BTreeSet<String>,
}

impl Provided {
    /// `locks` are the names of the packages in the locks, by list.
    pub fn new(system: &System, locks: &BTreeMap<String, BTreeSet<String>>) -> Self {
        let mut provided = Provided::default();
        for image in system.images.values() {
            let packages = packages(system, &image.name, locks);
            provided.all.extend(packages.iter().cloned());
            provided.images.insert(image.name.clone(), packages);
        }
        // An image that only holds what others share is nobody's choice.
        let usable = |image: &&Image| {
            let lists = image.lists();
            !lists.is_empty() && lists.iter().all(|list| list != "shared")
        };
        let mut candidates: Vec<&Image> = system.images.values().filter(usable).collect();
        candidates.sort_by_key(|image| (provided.images[&image.name].len(), &image.name));
        provided.candidates = candidates.iter().map(|image| image.name.clone()).collect();
        provided
    }

    /// Whether the image has the package, parents included.
    pub fn has(&self, image: &str, package: &str) -> bool {
        self.images
            .get(image)
            .is_some_and(|packages| packages.contains(package))
    }

    /// Whether anything is known of what the image has: one that stands on
    /// somebody else's image and installs no list may have any package.
    pub fn knows(&self, image: &str) -> bool {
        self.images
            .get(image)
            .is_some_and(|packages| !packages.is_empty())
    }

    /// Whether any image has it.
    pub fn anywhere(&self, package: &str) -> bool {
        self.all.contains(package)
    }

    /// Every package of any image.
    pub fn all(&self) -> &BTreeSet<String> {
        &self.all
    }

    /// The image with fewest packages that has all of them.
    pub fn fits<'a>(&self, packages: impl Iterator<Item = &'a str> + Clone) -> Option<&str> {
        let has_all = |image: &&String| packages.clone().all(|package| self.has(image, package));
        self.candidates.iter().find(has_all).map(String::as_str)
    }

    /// The image with dependencies that a service image stands on.
    pub fn dependencies_of<'s>(&self, system: &'s System, image: &'s str) -> &'s str {
        let code = system.chain(image).take_while(|image| image.holds_code());
        code.filter_map(Image::parent).last().unwrap_or(image)
    }
}

fn packages(
    system: &System,
    image: &str,
    locks: &BTreeMap<String, BTreeSet<String>>,
) -> BTreeSet<String> {
    let lists = system.lists_in(image).into_iter();
    let packages = lists.filter_map(|list| locks.get(list)).flatten();
    packages.cloned().collect()
}
