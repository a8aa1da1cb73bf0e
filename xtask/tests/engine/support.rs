//! A small system of its own per test, and ways to run the tool on it.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::Value;

/// A run that takes longer has hung.
const PATIENCE: Duration = Duration::from_secs(1500);
/// What a test waits for happens within seconds, but a machine that writes
/// gigabytes of images to its disk has taken more than a minute.
const SOON: Duration = Duration::from_secs(300);

pub const DEPLOY_FAILED: i32 = 6;
pub const UNHEALTHY: i32 = 7;
pub const NOT_READY: i32 = 9;
pub const INTERRUPTED: i32 = 130;

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The tool, run in the repository.
pub fn xtask(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .args(args)
        .current_dir(repository())
        .env_remove("AI_SYSTEM_MONOREPO");
    command
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Ended {
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}\n{}\n{}", self.stdout, self.stderr))
    }

    #[track_caller]
    pub fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            let said = self.stderr.contains(text) || self.stdout.contains(text);
            assert!(
                said,
                "`{text}` is missing in:\n{}\n{}",
                self.stdout, self.stderr
            );
        }
        self
    }
}

/// Runs to the end, with a bound.
pub fn run(command: Command) -> Ended {
    Running::start(command).finish()
}

/// The tool at work; interrupted if the test gives up before it ends, so that
/// it does not work beside the next test.
pub struct Running {
    child: Child,
    started: Instant,
    /// Readers of its two outputs; none once they are read.
    output: Option<[JoinHandle<String>; 2]>,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let started = Instant::now();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = reader(child.stdout.take().unwrap());
        let stderr = reader(child.stderr.take().unwrap());
        Running {
            child,
            started,
            output: Some([stdout, stderr]),
        }
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Waits until `done` says so while the tool works.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut done: impl FnMut() -> bool) {
        let deadline = Instant::now() + SOON;
        while !done() {
            let late = Instant::now() > deadline;
            if late {
                self.signal("-INT");
            }
            if late || self.child.try_wait().unwrap().is_some() {
                panic!("did not happen: {what}\n{:#?}", self.end());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    #[track_caller]
    pub fn finish(mut self) -> Ended {
        self.end()
    }

    #[track_caller]
    fn end(&mut self) -> Ended {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if self.started.elapsed() > PATIENCE {
                self.child.kill().unwrap();
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let took = self.started.elapsed();
        let output = self.output.take().expect("it ends once");
        let [stdout, stderr] = output.map(|reader| reader.join().unwrap());
        assert!(took < PATIENCE, "did not end:\n{stdout}\n{stderr}");
        Ended {
            code: status.code().unwrap_or(-1),
            stdout,
            stderr,
            took,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.output.is_some() {
            self.signal("-INT");
            self.end();
        }
    }
}

fn reader(mut output: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        text
    })
}

/// podman, for looking at what the tool has done.
#[track_caller]
pub fn podman(args: &[&str]) -> String {
    loop {
        let output: Output = Command::new("podman").args(args).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        // A listing trips over a volume that is removed meanwhile, until podman
        // pull request 24479.
        if args.starts_with(&["volume", "ls"]) && stderr.contains("no such volume") {
            continue;
        }
        assert!(output.status.success(), "podman {args:?}: {stderr}");
        return String::from_utf8(output.stdout).unwrap();
    }
}

/// Names of all containers that belong to a system.
pub fn containers_of(system: &str) -> Vec<String> {
    let filter = format!("label=ai-system.system={system}");
    let names = podman(&["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"]);
    let mut names: Vec<String> = names.lines().map(str::to_owned).collect();
    names.sort();
    names
}

/// The core image, built by the tool itself once per run of these tests.
pub fn core_image() {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        run(xtask(&["build-images", "ai-system-core"])).expect(0);
        // The base image of small systems, which take it as it is.
        let core = "localhost/ai-system/ai-system-core:latest";
        podman(&["tag", core, "localhost/ai-system-core:latest"]);
    });
}

/// A system of four small agents, each waiting for the one before.
pub struct Small {
    folder: tempfile::TempDir,
    pub name: String,
    /// Ports `first_port` to `first_port + 39` are its own.
    pub first_port: u16,
}

/// Agents of a `Small` system, in order; their containers are called
/// `NAME-first` and so on.
pub const AGENTS: [&str; 4] = ["First", "Second", "Third", "Fourth"];

impl Small {
    /// `number` tells the systems of different tests apart.
    pub fn new(number: u16) -> Self {
        core_image();
        let small = Small {
            folder: tempfile::tempdir().unwrap(),
            name: format!("xtask-engine-{number}"),
            // Below the ports that the kernel gives to outgoing connections.
            first_port: 21_000 + number * 40,
        };
        let code = small.folder.path().join("monorepo/code");
        fs::create_dir_all(&code).unwrap();
        fs::write(code.join("agent.py"), include_str!("agent.py")).unwrap();
        fs::create_dir_all(small.folder.path().join("containers")).unwrap();
        small.containerfile("");
        small.manifest(["ok"; 4], "");
        // What an earlier, killed run of the same test may have left.
        small.remove();
        run(small.xtask(&["build-images"])).expect(0);
        small
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn manifest_path(&self) -> PathBuf {
        self.path().join("containers/system.toml")
    }

    /// Writes the service image's recipe with extra lines.
    pub fn containerfile(&self, extra: &str) {
        let text = format!("ARG PARENT\nFROM ${{PARENT}}\nCOPY . /app/\n{extra}\n");
        fs::write(self.path().join("containers/Containerfile"), text).unwrap();
    }

    /// Writes the manifest; `modes` say how each agent behaves, `group` is
    /// added to the group's settings.
    pub fn manifest(&self, modes: [&str; 4], group: &str) {
        let (name, subnet) = (&self.name, self.first_port % 250);
        let mut text = format!(
            r#"schema = 1
[system]
name = "{name}"
monorepo = "../monorepo"
code = ["code"]
[base]
name = "ai-system-core"
sources = ["present"]
[networks.{name}-net]
subnet = "10.231.{subnet}.0/24"
ip_range = "10.231.{subnet}.128/25"
[images.{name}-services]
parent = "ai-system-core"
containerfile = "Containerfile"
code = true
[groups.one]
image = "{name}-services"
network = "{name}-net"
memory_mb = 64
start_timeout_s = 5
restart = "no"
mounts = [{{ volume = "logs", target = "/app/logs" }}]
{group}
"#
        );
        for (index, (agent, mode)) in AGENTS.iter().zip(modes).enumerate() {
            let port = self.port(index);
            let ip = 10 + index;
            text.push_str(&format!(
                "[groups.one.agents.{agent}]\nscript = \"code/agent.py\"\nargs = [\"{mode}\"]\n\
                 container = \"{}\"\nport = {port}\nip = \"10.231.{subnet}.{ip}\"\n",
                self.container(index)
            ));
            if index > 0 {
                text.push_str(&format!("depends_on = [\"{}\"]\n", AGENTS[index - 1]));
            }
        }
        fs::write(self.manifest_path(), text).unwrap();
    }

    /// Adds lines to an agent of the manifest.
    pub fn agent_line(&self, agent: &str, lines: &str) {
        let text = fs::read_to_string(self.manifest_path()).unwrap();
        let head = format!("[groups.one.agents.{agent}]\n");
        assert!(text.contains(&head), "{agent}");
        fs::write(
            self.manifest_path(),
            text.replace(&head, &format!("{head}{lines}\n")),
        )
        .unwrap();
    }

    pub fn container(&self, index: usize) -> String {
        format!("{}-{}", self.name, AGENTS[index].to_lowercase())
    }

    /// Main port of an agent; its health port is the next one.
    pub fn port(&self, index: usize) -> u16 {
        self.first_port + 10 * index as u16
    }

    pub fn xtask(&self, args: &[&str]) -> Command {
        let manifest = self.manifest_path().display().to_string();
        let mut all = vec!["--manifest", &manifest];
        all.extend(args);
        xtask(&all)
    }

    pub fn run(&self, args: &[&str]) -> Ended {
        run(self.xtask(args))
    }

    /// Starts the tool and leaves it running.
    pub fn start(&self, args: &[&str]) -> Running {
        Running::start(self.xtask(args))
    }

    /// Every agent's status by `health-check`.
    pub fn statuses(&self) -> Vec<String> {
        let json = self.run(&["health-check", "--format", "json"]).json();
        let agents = json["agents"].as_array().unwrap();
        agents
            .iter()
            .map(|agent| agent["status"].as_str().unwrap().to_owned())
            .collect()
    }

    fn remove(&self) {
        let all = ["down", "--networks", "--images", "--volumes"];
        run(self.xtask(&all)).expect(0);
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The failure is what matters; the next run removes the rest.
            let _ = self
                .xtask(&["down", "--networks", "--images", "--volumes"])
                .output();
            return;
        }
        self.remove();
        assert_eq!(containers_of(&self.name), Vec::<String>::new());
    }
}

/// Waits until `done` says so, with a bound.
#[track_caller]
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !done() {
        assert!(Instant::now() < deadline, "did not happen: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
