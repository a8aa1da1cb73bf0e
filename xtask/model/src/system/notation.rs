//! How the manifest writes networks, addresses, restart policies and GPUs.
//!
//! Text to value only; whether a value fits its surroundings is for `check`.

use std::net::Ipv4Addr;

use diagnostics::located::{
    problem::Problems,
    value::{Node, integer, text},
};

use super::{
    model::{GpuRequest, RestartPolicy},
    release::PythonRelease,
    subnet::{Subnet, SubnetError},
};

/// An index, a UUID or `all`; indices may be written as numbers.
pub fn gpu_device(problems: &mut Problems, node: Node<'_>) -> Option<GpuRequest> {
    if node.is_integer() {
        let index = integer::<u32>(0..=63)(problems, node)?;
        return Some(GpuRequest::Device(index.to_string()));
    }
    let device = text(problems, node)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.');
    if device.chars().all(plain) {
        return Some(GpuRequest::Device(device));
    }
    problems.report(
        &node.at(),
        format!("`gpu_device` cannot be `{device}`"),
        "write what follows `nvidia.com/gpu=` in a CDI name: an index, a UUID or `all`",
    );
    None
}

/// Message and help, as `value::parsed` wants them.
type Refusal = (String, String);

/// A network in CIDR form.
pub fn subnet(text: &str) -> Result<Subnet, Refusal> {
    text.parse().map_err(|error| match error {
        SubnetError::Syntax => (
            format!("is not an IPv4 network: `{text}`"),
            "write it in CIDR form, like `172.20.0.0/16`".to_owned(),
        ),
        SubnetError::Size => (
            format!("has an unusable size: `{text}`"),
            "write a prefix from `/8` to `/30`".to_owned(),
        ),
        SubnetError::HostBits(meant) => (
            format!("has host bits set: `{text}`"),
            format!("the network of this address is `{meant}`"),
        ),
    })
}

/// A single IPv4 address.
pub fn address(text: &str) -> Result<Ipv4Addr, Refusal> {
    text.parse().map_err(|_| {
        let help = "write four numbers from 0 to 255, like `172.21.0.10`".to_owned();
        (format!("is not an IPv4 address: `{text}`"), help)
    })
}

/// The interpreter's release. Others than these were never tried, and the
/// scanner knows no other's grammar and standard library.
pub fn python(text: &str) -> Result<PythonRelease, Refusal> {
    match text.parse() {
        Ok(version @ PythonRelease { minor: 10..=14, .. }) => Ok(version),
        _ => Err((
            format!("cannot be `{text}`"),
            "possible values: `3.10` to `3.14`".to_owned(),
        )),
    }
}

/// podman's `--restart`, as far as we take it.
pub fn restart(text: &str) -> Result<RestartPolicy, Refusal> {
    let times = text
        .strip_prefix("on-failure:")
        .and_then(|times| times.parse().ok());
    match (text, times) {
        ("no", _) => Ok(RestartPolicy::No),
        ("always", _) => Ok(RestartPolicy::Always),
        (_, Some(times)) if times > 0 => Ok(RestartPolicy::OnFailure(times)),
        _ => Err((
            format!("cannot be `{text}`"),
            "possible values: `no`, `always`, `on-failure:N` with N of at least 1".to_owned(),
        )),
    }
}
