//! Kinds of values that several fields have.

use diagnostics::located::shape::ValueKind;

/// The version of the manifest's shape that this tool reads.
pub const SCHEMA: u64 = 1;

/// A text that is not empty.
pub const TEXT: ValueKind = ValueKind::Text("text");
/// A path that is used from wherever the manifest says.
pub const PATH: ValueKind = ValueKind::Text("path");
/// A path below the monorepo.
pub const BELOW: ValueKind = ValueKind::Pattern {
    noun: "path",
    regex: r"^\s*[^/\s]",
};
/// Where something is mounted in a container.
pub const TARGET: ValueKind = ValueKind::Pattern {
    noun: "path",
    regex: "^/[^,:]*[^/,:]/*$",
};
/// The name of something else in the manifest.
pub const NAME: ValueKind = ValueKind::Text("name");

/// What podman takes as a name.
pub const PODMAN_NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_.-]*$";
/// The same for images.
pub const IMAGE_NAME: &str = "^[a-z0-9][a-z0-9_.-]*$";
/// What becomes a container's name and part of a variable's.
pub const AGENT_NAME: &str = "^[A-Za-z][A-Za-z0-9_-]*$";
/// What a shell and Python take as the name of a variable.
pub const VARIABLE_NAME: &str = "^[A-Za-z_][A-Za-z0-9_]*$";

/// A number from 0 to 255, as in an address.
macro_rules! octet {
    () => {
        "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
    };
}

/// An IPv4 address.
pub const ADDRESS: &str = concat!("^(", octet!(), r"\.){3}", octet!(), "$");
/// IPv4 in CIDR form. That no host bits are set only the reader sees.
pub const CIDR: &str = concat!("^(", octet!(), r"\.){3}", octet!(), "/([89]|[12][0-9]|30)$");

/// How the agents of a group are connected.
pub const NETWORK_MODE: ValueKind = ValueKind::Words(&["bridge", "host", "pod"]);
/// Longer than a day nobody waits.
pub const SECONDS: ValueKind = ValueKind::Integer(1..=86_400);
/// Megabytes of 2^20 bytes.
pub const MEGABYTES: ValueKind = ValueKind::Integer(1..=1 << 32);

pub const fn list(of: &'static ValueKind) -> ValueKind {
    ValueKind::List { of, least: 0 }
}
