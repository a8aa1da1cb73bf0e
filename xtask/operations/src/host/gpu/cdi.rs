//! CDI specifications: what devices they offer and what each brings along.
//!
//! Reads what podman's CDI library reads, as strictly where it matters: a
//! specification that podman would throw away must not count as read. Text to
//! data only; whether it fits this host is for `diagnose`.

use std::collections::BTreeSet;

use crate::host::yaml::{self, MalformedYaml, Node as Yaml, Value};

/// A specification, as far as it is of interest here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spec {
    pub version: String,
    /// `nvidia.com/gpu`
    pub kind: String,
    pub devices: Vec<CdiDevice>,
    /// What every one of its devices brings.
    pub edits: Edits,
    /// It uses a field that came with this version of CDI, the newest of all.
    pub needs: (u32, u32, u32),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CdiDevice {
    pub name: String,
    pub edits: Edits,
}

/// What is put into a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits {
    /// `NAME=VALUE`
    pub env: Vec<String>,
    pub nodes: Vec<Node>,
    /// Paths on the host that are mounted.
    pub mounts: Vec<String>,
    /// Programs on the host that are run.
    pub hooks: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// In the container.
    pub path: String,
    /// On the host, where it is not the same.
    pub host_path: Option<String>,
    /// `c`, `b` or `p`; podman looks for itself where it is absent.
    pub kind: Option<String>,
    pub major: Option<i64>,
    pub minor: Option<i64>,
}

impl Node {
    /// The path on the host.
    pub fn on_host(&self) -> &str {
        self.host_path.as_deref().unwrap_or(&self.path)
    }
}

impl Spec {
    /// The version as numbers; `None` where it is not three of them.
    pub fn version_numbers(&self) -> Option<(u32, u32, u32)> {
        let text = self.version.strip_prefix('v').unwrap_or(&self.version);
        let mut parts = text.split('.').map(|part| part.parse().ok());
        let numbers = (parts.next()??, parts.next()??, parts.next()??);
        parts.next().is_none().then_some(numbers)
    }

    /// What a device brings together with what all of them bring.
    pub fn all_edits(&self) -> impl Iterator<Item = &Edits> {
        let devices = self.devices.iter().map(|device| &device.edits);
        devices.chain([&self.edits])
    }

    /// Every file of the host that it needs, without the device nodes.
    pub fn host_files(&self) -> BTreeSet<&str> {
        let mut files = BTreeSet::new();
        for edits in self.all_edits() {
            files.extend(edits.mounts.iter().chain(&edits.hooks).map(String::as_str));
        }
        files
    }
}

/// Reads a specification, YAML or JSON.
///
/// # Errors
/// No YAML, or not the shape that the CDI specification asks for
/// (github.com/cncf-tags/container-device-interface, SPEC.md).
pub fn parse(text: &str) -> Result<Spec, MalformedYaml> {
    let root = &yaml::parse(text)?;
    let root = Map::new(root, "the specification")?;
    let version = root.text("cdiVersion")?;
    let kind = root.text("kind")?;
    let (vendor, class) = kind.split_once('/').unwrap_or_default();
    if vendor.is_empty() || class.is_empty() {
        return Err(root.wrong("kind", "must be of the form VENDOR/CLASS"));
    }
    let mut needs = (0, 3, 0);
    if root.find("annotations").is_some() || class.contains('.') {
        needs = needs.max((0, 6, 0));
    }
    let mut devices: Vec<CdiDevice> = Vec::new();
    for node in root.list("devices")? {
        let map = Map::new(node, "a device")?;
        let name = map.text("name")?;
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            needs = needs.max((0, 5, 0));
        }
        if map.find("annotations").is_some() {
            needs = needs.max((0, 6, 0));
        }
        if devices.iter().any(|device| device.name == name) {
            return Err(map.wrong("name", "stands there twice"));
        }
        let edits = edits(&map, &mut needs)?;
        devices.push(CdiDevice { name, edits });
    }
    if devices.is_empty() {
        return Err(root.wrong("devices", "must list at least one device"));
    }
    Ok(Spec {
        version,
        kind,
        devices,
        edits: edits(&root, &mut needs)?,
        needs,
    })
}

fn edits(parent: &Map<'_>, needs: &mut (u32, u32, u32)) -> Result<Edits, MalformedYaml> {
    let mut edits = Edits::default();
    let Some(node) = parent.find("containerEdits") else {
        return Ok(edits);
    };
    let map = Map::new(node, "containerEdits")?;
    // Fields and the versions that brought them: the table of SPEC.md.
    for (field, since) in [
        ("intelRdt", (0, 7, 0)),
        ("additionalGids", (0, 7, 0)),
        ("netDevices", (1, 1, 0)),
    ] {
        if map.find(field).is_some() {
            *needs = (*needs).max(since);
        }
    }
    for entry in map.list("env")? {
        let text = string(entry).ok_or_else(|| at(entry, "an entry of env must be text"))?;
        edits.env.push(text.to_owned());
    }
    for entry in map.list("deviceNodes")? {
        let map = Map::new(entry, "a device node")?;
        let node = Node {
            path: map.text("path")?,
            host_path: map.optional("hostPath")?,
            kind: map.optional("type")?,
            major: map.number("major")?,
            minor: map.number("minor")?,
        };
        if node.host_path.is_some() {
            *needs = (*needs).max((0, 5, 0));
        }
        edits.nodes.push(node);
    }
    for entry in map.list("mounts")? {
        let map = Map::new(entry, "a mount")?;
        map.text("containerPath")?;
        edits.mounts.push(map.text("hostPath")?);
        if map.find("type").is_some() {
            *needs = (*needs).max((0, 4, 0));
        }
    }
    for entry in map.list("hooks")? {
        edits.hooks.push(Map::new(entry, "a hook")?.text("path")?);
    }
    Ok(edits)
}

/// A mapping, and what to call it in messages.
struct Map<'a> {
    node: &'a Yaml,
    what: &'static str,
}

impl<'a> Map<'a> {
    fn new(node: &'a Yaml, what: &'static str) -> Result<Self, MalformedYaml> {
        match &node.value {
            Value::Map(_) => Ok(Map { node, what }),
            _ => Err(at(node, format!("{what} must be a mapping"))),
        }
    }

    fn find(&self, key: &str) -> Option<&'a Yaml> {
        let Value::Map(entries) = &self.node.value else {
            return None;
        };
        let mut entries = entries.iter();
        let (_, value) = entries.find(|(name, _)| string(name) == Some(key))?;
        (value.value != Value::Null).then_some(value)
    }

    fn text(&self, key: &str) -> Result<String, MalformedYaml> {
        match self.optional(key)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(self.wrong(key, "is missing")),
        }
    }

    fn optional(&self, key: &str) -> Result<Option<String>, MalformedYaml> {
        let Some(node) = self.find(key) else {
            return Ok(None);
        };
        // podman's library does not take a number for a text.
        let text = string(node).ok_or_else(|| at(node, format!("`{key}` must be text")))?;
        Ok(Some(text.to_owned()))
    }

    fn number(&self, key: &str) -> Result<Option<i64>, MalformedYaml> {
        let Some(node) = self.find(key) else {
            return Ok(None);
        };
        match &node.value {
            Value::Integer(number) => Ok(Some(*number)),
            _ => Err(at(node, format!("`{key}` must be a whole number"))),
        }
    }

    fn list(&self, key: &str) -> Result<&'a [Yaml], MalformedYaml> {
        let Some(node) = self.find(key) else {
            return Ok(&[]);
        };
        match &node.value {
            Value::List(entries) => Ok(entries),
            _ => Err(at(node, format!("`{key}` must be a list"))),
        }
    }

    fn wrong(&self, key: &str, problem: &str) -> MalformedYaml {
        let place = self.find(key).unwrap_or(self.node);
        at(place, format!("`{key}` of {} {problem}", self.what))
    }
}

fn string(node: &Yaml) -> Option<&str> {
    match &node.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn at(node: &Yaml, problem: impl Into<String>) -> MalformedYaml {
    MalformedYaml {
        line: node.line,
        column: node.column,
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests;
