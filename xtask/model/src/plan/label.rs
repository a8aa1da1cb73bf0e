//! Labels on everything that we create. Things without ours are never touched.

/// The system's name: the mark of ownership.
pub const SYSTEM: &str = "ai-system.system";
/// The agent that a container runs.
pub const AGENT: &str = "ai-system.agent";
pub const GROUP: &str = "ai-system.group";
/// Hash of the specification that a container or network was made from.
pub const SPEC: &str = "ai-system.spec";
/// The fixed addresses of a container; `handover::addresses_of` reads it.
pub const ADDRESSES: &str = "ai-system.addresses";
/// Where a container is asked for its health: `HOST_PORT:PORT`, both on loopback.
pub const HEALTH: &str = "ai-system.health";
/// The files that a container is replaced for, as JSON: path to hash.
pub const FILES: &str = "ai-system.files";
/// The manifest that a container was deployed from: an absolute path.
pub const MANIFEST: &str = "ai-system.manifest";
/// Hash of what went into an image.
pub const INPUTS: &str = "ai-system.inputs";
/// Names of the podman secrets that a container was given, with commas between.
pub const SECRETS: &str = "ai-system.secrets";
/// Number of the deployment that made a container.
pub const DEPLOYMENT: &str = "ai-system.deployment";
/// The system that a container tests.
pub const TEST: &str = "ai-system.test";
