//! What every container of ours is kept to, whoever runs in it: one list of
//! options, in one order.

/// What a container may do and take.
#[derive(Debug, Clone, Default)]
pub struct Sandbox {
    /// Capabilities that it keeps; all others are dropped.
    pub capabilities: Vec<String>,
    /// Its root file system can be written to.
    pub writable_root: bool,
    /// It runs as root.
    pub root_user: bool,
    pub memory_mb: u64,
    /// `None`: as many as there are.
    pub cpus: Option<f64>,
    /// Processes and threads.
    pub pids: u32,
    /// Process 1 is not its program, but one that collects orphans.
    pub init: bool,
}

impl Sandbox {
    /// Nothing to write to, no rights, and these limits.
    pub fn closed(memory_mb: u64, pids: u32) -> Self {
        Sandbox {
            memory_mb,
            pids,
            ..Sandbox::default()
        }
    }

    /// The options, with those that containers need on this host.
    pub fn options(&self, host: &[String]) -> Vec<String> {
        let mut args = Vec::new();
        let mut add = |words: &[&str]| args.extend(words.iter().map(|word| (*word).to_owned()));
        add(&["--cap-drop", "all"]);
        for capability in &self.capabilities {
            add(&["--cap-add", capability]);
        }
        add(&["--security-opt", "no-new-privileges"]);
        if !self.writable_root {
            add(&["--read-only"]);
        }
        if self.root_user {
            add(&["--user", "0:0"]);
        }
        // Swap on top would be as much again: podman's default.
        let memory = format!("{}m", self.memory_mb);
        add(&["--memory", &memory, "--memory-swap", &memory]);
        if let Some(cpus) = self.cpus {
            add(&["--cpus", &cpus.to_string()]);
        }
        add(&["--pids-limit", &self.pids.to_string()]);
        args.extend(host.iter().cloned());
        if self.init {
            args.push("--init".to_owned());
        }
        // podman would copy the host's proxy variables into every container.
        args.push("--http-proxy=false".to_owned());
        args
    }
}

/// Closes the options of a container with its image.
pub fn image(args: &mut Vec<String>, image: &str) {
    // Images are built here; a missing one is an error, not a reason to pull.
    args.extend(["--pull", "never", image].map(str::to_owned));
}
