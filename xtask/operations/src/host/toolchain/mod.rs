//! Findings about podman and this host, measured against the manifest.
//!
//! Each topic has a file of pure functions that judge texts and numbers; here
//! these are read and handed over. Nothing is changed, and apart from one look
//! at the firewall's rules no program is run.

mod engine;
mod manifest;
mod names;
mod network;
mod resources;
mod rootless;

use std::{collections::BTreeSet, path::Path, time::SystemTime};

use model::{
    plan::State,
    system::{Agent, System},
};
pub use network::route;
use process::Command;

use super::{
    capacity::{
        Capacity, Demand, limits,
        read::{self, Whose},
    },
    findings::HostFinding,
    look::{Look, free_bytes},
};
use crate::podman::{Engine, facts::Facts};

/// What the findings are about.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    pub system: &'a System,
    pub state: &'a State,
    /// The agents that are to run.
    pub agents: Vec<&'a Agent>,
    /// So many more agents of this mixture, instead of these.
    pub count: Option<u64>,
    /// Images that are missing will be built; else they are not needed.
    pub builds: bool,
}

impl<'a> Asked<'a> {
    /// The agents of these names.
    pub fn named(
        system: &'a System,
        state: &'a State,
        names: &BTreeSet<String>,
        builds: bool,
    ) -> Self {
        let agents = system.agents.iter();
        Asked {
            system,
            state,
            agents: agents.filter(|agent| names.contains(&agent.name)).collect(),
            count: None,
            builds,
        }
    }

    fn demand(&self) -> Demand {
        let demand = Demand::of(self.system, self.state, &self.agents);
        match self.count {
            Some(count) => demand.new_agents(count),
            None => demand,
        }
    }
}

/// What can be said without asking podman for anything but itself.
pub fn of_engine(engine: &Engine, look: &Look) -> Vec<HostFinding> {
    let facts = &engine.facts;
    let own_rules = facts.rootless || facts.remote;
    let rules = if own_rules {
        String::new()
    } else {
        forward_rules(engine)
    };
    let mut found = vec![engine::version(&engine.podman.program, facts)];
    found.extend(of_facts(facts, look, &rules, &on_path));
    found.extend(own_clock());
    found
}

/// `rules` are those of the firewall for packets that pass through.
fn of_facts(
    facts: &Facts,
    look: &Look,
    rules: &str,
    installed: &dyn Fn(&str) -> bool,
) -> Vec<HostFinding> {
    let mut found: Vec<HostFinding> = engine::features(facts.version).collect();
    found.extend(engine::bugs(facts.version));
    found.extend(engine::network_backend(facts));
    found.extend(engine::vfs(facts));
    if facts.rootless {
        found.extend(of_user(facts, look));
    }
    if !facts.remote {
        found.extend(network::network_tools(installed));
        found.extend(of_names(facts, look));
    }
    // Rootless, these are matters of podman's own namespace.
    if !facts.remote && !facts.rootless {
        found.extend(of_root(facts, look, rules));
    }
    found
}

/// Everything else that can be said without running a container, and for how
/// many agents this host has room.
pub fn of_system(
    engine: &Engine,
    look: &Look,
    asked: &Asked<'_>,
) -> (Vec<HostFinding>, Option<Capacity>) {
    let nproc = nproc(&engine.quirks.container);
    of_agents(&engine.facts, nproc, look, asked)
}

fn of_agents(
    facts: &Facts,
    nproc: Option<u64>,
    look: &Look,
    asked: &Asked<'_>,
) -> (Vec<HostFinding>, Option<Capacity>) {
    let (system, state) = (asked.system, asked.state);
    let agents = asked.agents.as_slice();
    let count = asked.count.unwrap_or(agents.len() as u64);
    let text = |path: &str| look.text(path);
    let mut found = Vec::new();
    if let Some(free) = free_bytes(&facts.storage_root) {
        let to_build = if asked.builds { agents } else { &[] };
        found.push(resources::space(facts, free, system, state, to_build));
    }
    found.extend(resources::memory(agents, count, &text("/proc/meminfo")));
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    found.push(resources::cpus(agents, count, processors));
    found.extend(network::ports_taken(state, agents));
    let settings = "/proc/sys/net/ipv4/ip_local";
    let range = text(&format!("{settings}_port_range"));
    let reserved = text(&format!("{settings}_reserved_ports"));
    found.extend(network::ports_lent(system, agents, &range, &reserved));
    found.extend(network::routes(
        system,
        state,
        agents,
        &text("/proc/net/route"),
    ));
    if asked.builds {
        found.extend(manifest::base_sources(system, state, &on_path));
    }
    found.extend(manifest::relaxations(agents));
    found.extend(manifest::plain_secrets(agents));
    if look.number("/sys/fs/selinux/enforce") == Some(1) {
        let mounts = manifest::host_mounts(agents).into_iter();
        let labelled = mounts.map(|path| (path.clone(), manifest::label(&path)));
        found.extend(manifest::labels(&labelled.collect::<Vec<_>>()));
    }
    // A service elsewhere has other limits, which nobody here can read.
    let capacity = (!facts.remote).then(|| {
        let demand = asked.demand();
        let whose = whose(facts, nproc);
        let read = read::readings(look, &whose, state);
        let limits = limits::limits(system, state, &demand, &read, !facts.rootless);
        let capacity = Capacity::new(limits, &demand);
        found.extend(capacity.findings(&demand));
        capacity
    });
    (found, capacity)
}

/// Whether podman's storage has space for anything new.
pub fn free_space(engine: &Engine, system: &System, state: &State) -> Option<HostFinding> {
    let facts = &engine.facts;
    let free = free_bytes(&facts.storage_root)?;
    Some(resources::space(facts, free, system, state, &[]))
}

/// The proof that containers run, and what it took.
pub fn proof(engine: &Engine) -> Vec<HostFinding> {
    engine
        .proof
        .as_ref()
        .map(engine::proven)
        .unwrap_or_default()
}

fn of_user(facts: &Facts, look: &Look) -> Vec<HostFinding> {
    let mut found: Vec<HostFinding> = rootless::limits(facts).into_iter().collect();
    found.extend(rootless::controllers(facts));
    let uid = rustix::process::getuid().as_raw().to_string();
    let name = rootless::user_name(&look.text("/etc/passwd"), &uid).unwrap_or_else(|| uid.clone());
    for file in ["/etc/subuid", "/etc/subgid"] {
        found.extend(rootless::subids(file, &look.text(file), &name, &uid));
    }
    let systemd = look.exists("/run/systemd/system");
    let lingers = look.exists(&format!("/var/lib/systemd/linger/{name}"));
    found.extend(rootless::linger(systemd, lingers, &name));
    found
}

fn of_names(facts: &Facts, look: &Look) -> Vec<HostFinding> {
    let server = names::name_server(has_name_server(facts, look));
    let resolved = look.text("/run/systemd/resolve/resolv.conf");
    let nameservers = names::nameservers(&look.text("/etc/resolv.conf"), &resolved);
    server.into_iter().chain(nameservers).collect()
}

fn of_root(facts: &Facts, look: &Look, rules: &str) -> Vec<HostFinding> {
    let mut found = Vec::new();
    if !has_dns_bind_port(look) {
        let tables =
            ["tcp", "udp", "tcp6", "udp6"].map(|name| look.text(&format!("/proc/net/{name}")));
        found.extend(names::dns_port(facts.version, &tables));
    }
    let setting = look.sysctl("net.ipv4.ip_forward");
    found.extend(names::forwarding(
        setting,
        look.read_only("/proc/sys/net/ipv4/ip_forward"),
    ));
    found.extend(names::firewalld(&process_names(look)));
    found.extend(names::forward_policy(rules));
    found
}

fn has_name_server(facts: &Facts, look: &Look) -> bool {
    // Where podman looks for its helpers (containers.conf(5), `helper_binaries_dir`).
    const FOLDERS: &[&str] = &[
        "/usr/local/libexec/podman",
        "/usr/local/lib/podman",
        "/usr/libexec/podman",
        "/usr/lib/podman",
    ];
    facts.name_server.is_some()
        || FOLDERS
            .iter()
            .any(|folder| look.exists(&format!("{folder}/aardvark-dns")))
        || look.program("aardvark-dns")
}

fn has_dns_bind_port(look: &Look) -> bool {
    let files = [
        "/usr/share/containers/containers.conf",
        "/etc/containers/containers.conf",
    ];
    files.iter().any(|file| {
        let text = look.text(file);
        text.lines()
            .any(|line| line.trim_start().starts_with("dns_bind_port"))
    })
}

fn process_names(look: &Look) -> Vec<String> {
    let processes = look.names("/proc").into_iter();
    processes
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .map(|name| look.text(&format!("/proc/{name}/comm")).trim().to_owned())
        .collect()
}

/// Empty where there is no iptables, or where it does not answer.
fn forward_rules(engine: &Engine) -> String {
    const DEADLINE_MS: u64 = 5_000;
    let command = Command::new("iptables", &["-S", "FORWARD"]).deadline_ms(DEADLINE_MS);
    let output = command.run(&engine.podman.cancel, None);
    output.map(|output| output.stdout).unwrap_or_default()
}

fn own_clock() -> Option<HostFinding> {
    let seconds = |time: SystemTime| {
        let since = time.duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs() as i64)
    };
    // The program's file is as old as the tool.
    let program = std::env::current_exe().ok()?;
    let built = std::fs::metadata(program).ok()?.modified().ok()?;
    resources::clock(seconds(SystemTime::now()), seconds(built))
}

fn whose(facts: &Facts, nproc: Option<u64>) -> Whose {
    Whose {
        rootless: facts.rootless.then(|| rustix::process::getuid().as_raw()),
        cgroups_v2: facts.cgroup_version == "v2",
        storage_root: facts.storage_root.clone(),
        nproc,
    }
}

/// The limit on processes among options of containers, `nproc=SOFT:HARD`.
fn nproc(options: &[String]) -> Option<u64> {
    let value = options
        .iter()
        .find_map(|option| option.strip_prefix("nproc="))?;
    value.split(':').next()?.parse().ok()
}

/// Root's folders are not on every user's PATH.
fn on_path(program: &str) -> bool {
    which::which(program).is_ok() || Path::new("/usr/sbin").join(program).exists()
}

#[cfg(test)]
mod tests;
