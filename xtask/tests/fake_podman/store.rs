//! The fake's memory: one JSON file, changed under a lock and replaced as a
//! whole, and a journal of calls.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct State {
    pub containers: BTreeMap<String, Container>,
    /// By id.
    pub images: BTreeMap<String, Image>,
    pub networks: BTreeMap<String, Network>,
    pub volumes: BTreeSet<String>,
    #[serde(default)]
    pub secrets: BTreeMap<String, Secret>,
    /// Containers created so far; makes ids.
    pub count: u64,
    /// What podman was told to stop, and when.
    #[serde(default)]
    pub stops: Vec<(String, i64)>,
    /// Names of containers that are in storage only.
    #[serde(default)]
    pub half_made: BTreeSet<String>,
    /// Containers that were forgotten while their processes went on.
    #[serde(default)]
    pub orphans: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Container {
    pub id: String,
    pub image: String,
    pub image_id: String,
    /// Its own and its image's.
    pub labels: BTreeMap<String, String>,
    /// The words behind `create`.
    pub create: Vec<String>,
    /// Network to fixed address.
    pub networks: BTreeMap<String, Option<String>>,
    pub volumes: BTreeSet<String>,
    /// `created`, `running`, `paused`, `stopping` or `exited`.
    pub state: String,
    pub exit_code: i32,
    pub started_at: i64,
    pub starts: u32,
    pub pid: u32,
    /// Restarts by its policy.
    #[serde(default)]
    pub restarts: u32,
    #[serde(default)]
    pub oom_killed: bool,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Image {
    pub names: BTreeSet<String>,
    pub digests: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub layers: Vec<String>,
    /// Words behind `build`, so that runs can be compared.
    #[serde(default)]
    pub build: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Network {
    pub subnet: String,
    pub ip_range: Option<String>,
    pub internal: bool,
    pub options: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Secret {
    pub id: String,
    pub labels: BTreeMap<String, String>,
    pub value: String,
}

#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Store {
            folder: folder.into(),
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn read(&self) -> State {
        let text = fs::read_to_string(self.folder.join("state.json"));
        text.map_or_else(
            |_| State::default(),
            |text| serde_json::from_str(&text).expect("the fake's own state"),
        )
    }

    /// Changes the state unless `change` fails. Readers never see half of it.
    pub fn change<T>(
        &self,
        change: impl FnOnce(&mut State) -> Result<T, (i32, String)>,
    ) -> Result<T, (i32, String)> {
        let lock = File::create(self.folder.join("lock")).expect("a lock file");
        lock.lock().expect("a lock");
        let mut state = self.read();
        let result = change(&mut state);
        if result.is_ok() {
            let text = serde_json::to_string_pretty(&state).expect("plain data");
            let new = self.folder.join("state.json.new");
            fs::write(&new, text).expect("a writable folder");
            fs::rename(&new, self.folder.join("state.json")).expect("a writable folder");
        }
        result
    }

    pub fn begin(&self, argv: &[String]) {
        self.journal(json!({ "begin": argv }));
    }

    pub fn end(&self, code: i32) {
        self.journal(json!({ "end": code }));
    }

    fn journal(&self, mut entry: serde_json::Value) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        entry["ms"] = json!(since.expect("a clock after 1970").as_millis() as u64);
        entry["pid"] = json!(std::process::id());
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join("calls.jsonl"))
            .expect("a journal");
        // One write, so that lines of parallel calls do not mix.
        file.write_all(format!("{entry}\n").as_bytes())
            .expect("a journal");
    }
}

impl State {
    pub fn image(&self, name: &str) -> Option<(&String, &Image)> {
        self.images
            .iter()
            .find(|(id, image)| *id == name || image.names.contains(name))
    }

    pub fn container(&mut self, name: &str, code: i32) -> Result<&mut Container, (i32, String)> {
        let missing = format!("no container with name or ID \"{name}\" found: no such container");
        self.containers.get_mut(name).ok_or((code, missing))
    }
}

/// 64 hexadecimal digits that depend on `text` alone.
pub fn id_of(text: &str) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a clock after 1970").as_secs() as i64
}
