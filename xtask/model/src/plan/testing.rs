//! The container that a set of tests runs in.

use std::collections::BTreeMap;

use serde_json::Value;

use super::spec::{FillSpec, MountSpec, TestSpec};
use crate::{
    plan::names::{pointer_of, volume_name},
    system::{Fill, Pointer, System},
};

/// Where the image with pytest is mounted.
const TOOLS_AT: &str = "/opt/tests";

/// What to run, and where.
#[derive(Debug, Clone)]
pub struct Job {
    /// Name of the container.
    pub container: String,
    /// Image under test, with its tag.
    pub image: String,
    pub networks: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub memory_mb: u64,
    /// `None`: as many as there are.
    pub cpus: Option<f64>,
    pub pids: u32,
    /// Test files, below the monorepo.
    pub files: Vec<String>,
    /// Further options for pytest.
    pub options: Vec<String>,
    pub timeout_s: u32,
    /// What tests are told of the system; see `docs/agents.md`.
    pub system: Option<Value>,
}

/// The container of a job; `tools` is the image that pytest is in.
pub fn container(system: &System, tools: &str, job: &Job) -> TestSpec {
    let python = system.base.python;
    let config = serde_json::json!({
        "packages": format!("{TOOLS_AT}/opt/venv/lib/python{python}/site-packages"),
        "files": job.files,
        "options": job.options,
        "timeout_s": job.timeout_s,
        "system": job.system,
    });
    let mut env = job.env.clone();
    env.extend(home());
    TestSpec {
        system: system.name.clone(),
        name: job.container.clone(),
        image: job.image.clone(),
        tools: pointer_of(system, tools, Pointer::Test),
        tools_at: TOOLS_AT.to_owned(),
        networks: job.networks.clone(),
        env,
        mounts: code(system),
        memory_mb: job.memory_mb,
        cpus: job.cpus,
        pids: job.pids,
        config: config.to_string(),
    }
}

/// The container that fills a folder for a copy of the system.
pub fn fill(system: &System, fill: &Fill, env: BTreeMap<String, String>) -> FillSpec {
    FillSpec {
        system: system.name.clone(),
        image: pointer_of(system, &fill.image, Pointer::Test),
        volume: volume_name(system, &fill.name),
        env: env.into_iter().chain(home()).collect(),
        mounts: code(system),
        script: fill.script.clone(),
    }
}

/// The agents' home is a volume; tests have none.
fn home() -> [(String, String); 1] {
    [("HOME".to_owned(), "/tmp".to_owned())]
}

/// The tests, over the code in the image.
fn code(system: &System) -> Vec<MountSpec> {
    let code = system.tests.iter().flat_map(|tests| &tests.code);
    code.map(|path| MountSpec {
        source: system.monorepo.join(path).display().to_string(),
        target: format!("/app/{path}"),
        read_only: true,
    })
    .collect()
}
