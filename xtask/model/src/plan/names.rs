//! Names that follow from the manifest's, and the order of its groups.
//!
//! An image has one tag for each content that it ever had, the hash of its
//! inputs, and pointers: `latest` stands for what the system was last built to,
//! `test` for what its tests were. Containers name the content.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use crate::system::{FETCHED_SUFFIX, Pointer, System};

/// Where all tags of one of the system's images are.
pub fn repository(system: &System, image: &str) -> String {
    format!("{}{image}", namespace(system))
}

/// The tag of an image with these inputs.
pub fn content_tag(system: &System, image: &str, inputs_hash: &str) -> String {
    format!("{}:{inputs_hash}", repository(system, image))
}

/// The tag that stands for an image as the system has it now.
pub fn pointer_tag(system: &System, image: &str) -> String {
    pointer_of(system, image, system.image_pointer)
}

/// One of the image's pointers.
pub fn pointer_of(system: &System, image: &str, pointer: Pointer) -> String {
    format!("{}:{}", repository(system, image), pointer.as_str())
}

/// Where a base image stands that was made by hand, and where all images stood
/// before they had tags for their content.
pub fn local_tag(image: &str) -> String {
    format!("localhost/{image}:latest")
}

/// What downloads ahead of a build end in.
pub fn fetched_tag(system: &System) -> String {
    let name = format!("{}{FETCHED_SUFFIX}", component(&system.image_owner));
    format!("{}:latest", repository(system, &name))
}

/// What all tags of the system's images start with.
pub fn namespace(system: &System) -> String {
    format!("localhost/{}/", component(&system.image_owner))
}

/// The system's name as podman takes it within the name of an image: small
/// letters and digits, with `.`, `_`, `__` or hyphens between. What had to be
/// changed is followed by a hash, lest two systems share it.
fn component(name: &str) -> String {
    let small = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let apart = |text: &str| {
        let between = text.split(small).filter(|between| !between.is_empty());
        let mut all = between;
        all.all(|between| matches!(between, "." | "_" | "__") || between.chars().all(|c| c == '-'))
    };
    if name.starts_with(small) && name.ends_with(small) && apart(name) {
        return name.to_owned();
    }
    let mut plain: String = name.to_ascii_lowercase();
    plain = plain.replace(|c| !small(c), "-");
    let hash = Sha256::digest(name);
    let hash: String = hash[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{hash}", plain.trim_matches('-'))
}

/// Name of a volume on the host.
pub fn volume_name(system: &System, volume: &str) -> String {
    format!("{}-{volume}", system.name)
}

/// The groups that `group` comes after, directly or through others.
pub fn groups_before<'a>(system: &'a System, group: &str) -> BTreeSet<&'a str> {
    let mut before = BTreeSet::new();
    // Groups stand behind those they come after, so one pass backwards is
    // enough.
    for candidate in system.groups.iter().rev() {
        if candidate.name == group || before.contains(candidate.name.as_str()) {
            before.extend(candidate.after.iter().map(String::as_str));
        }
    }
    before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_system_has_a_form_that_podman_takes() {
        for name in ["ai-system", "a", "a.b", "a__b", "a--b", "x_1"] {
            assert_eq!(component(name), name);
        }
        let forms = ["Demo", "demo-", "a..b", "a_.b", "a___b", "A"].map(component);
        for form in &forms {
            assert_eq!(&component(form), form, "{form} is not plain");
        }
        assert_ne!(component("Demo"), component("demo"));
        assert_ne!(component("a..b"), component("a__.b"));
    }
}
