//! Names that follow from the manifest's, and the order of its groups.

use std::collections::BTreeSet;

use crate::system::System;

/// Tag of one of our images as podman stores it.
pub fn image_tag(name: &str) -> String {
    format!("localhost/{name}:latest")
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
