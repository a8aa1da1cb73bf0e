//! Planner tests: a system, an observed state and a request go in, and the
//! text of the plan is the oracle. Nothing here runs anything.

mod agents;
mod cut_short;
mod down;
mod drift;
mod handover;
mod images;
mod networks;
mod refusals;
mod refused;
mod released;
mod rollback;
mod scale;
mod secrets;
mod volumes;
mod world;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use world::World;

use super::{
    agents::{DeployRequest, Order, plan},
    *,
};
use crate::system::{self, System};

/// Everything that a planner is given.
#[derive(Clone)]
struct Case {
    system: System,
    world: World,
    request: DeployRequest,
}

impl Case {
    /// Images are built and networks stand; there is no container.
    fn new(sketch: &str) -> Self {
        Case::with(sketch, &[])
    }

    /// `settings` are manifest lines of the agent or group in front of them.
    fn with(sketch: &str, settings: &[(&str, &str)]) -> Self {
        Case::of(manifest(sketch, settings))
    }

    fn of(manifest: String) -> Self {
        let system = system::from_text(&manifest, &fixtures().join("sketch.toml"))
            .unwrap_or_else(|error| panic!("{}", error.render(false)));
        let agents = system.agents.iter().filter(|agent| !agent.optional);
        Case {
            request: DeployRequest {
                agents: agents.map(|agent| agent.name.clone()).collect(),
                order: Order::Groups,
                keep: false,
                recreate: BTreeSet::new(),
                prune: false,
                restart_hung: false,
                go_back: true,
                keep_images: false,
                specs: Default::default(),
                settle_ms: 0,
            },
            world: World::with_images(&system),
            system,
        }
    }

    /// As `new`, and then deployed.
    fn deployed(sketch: &str) -> Self {
        Case::new(sketch).deploy()
    }

    fn deploy(mut self) -> Self {
        let plan = self.plan();
        self.world.apply_all(&plan);
        self
    }

    fn plan(&self) -> Plan {
        plan(&self.system, &self.world.state, &self.request).unwrap_or_else(|e| panic!("{e:?}"))
    }

    fn errors(&self) -> Vec<PlanError> {
        plan(&self.system, &self.world.state, &self.request).expect_err("no plan is possible")
    }

    /// The pointer of the agents' image now stands for another image.
    fn rebuild_image(&mut self) {
        self.build("demo-code-2");
    }

    /// The agents' image is built from these inputs.
    fn build(&mut self, inputs: &str) {
        let images = &mut self.world.state.images;
        let mut image = images["localhost/demo/demo-code:latest"].clone();
        image.id = format!("id of {inputs}");
        image.labels.insert(label::INPUTS.into(), inputs.into());
        images.insert(
            content_tag(&self.system, "demo-code", inputs),
            image.clone(),
        );
        images.insert(pointer_tag(&self.system, "demo-code"), image);
    }

    /// The manifest changes in a way that changes this agent's container.
    fn reconfigure(&mut self, agent: &str, memory_mb: u64) {
        let agents = &mut self.system.agents;
        let found = agents.iter_mut().find(|known| known.name == agent);
        found.expect("a known agent").memory_mb = memory_mb;
    }

    fn recreate_all(&mut self) {
        self.request.recreate.clone_from(&self.request.agents);
    }

    fn container(&mut self, name: &str) -> &mut state::Container {
        let containers = &mut self.world.state.containers;
        containers.get_mut(name).expect("it exists")
    }

    fn healthy(&mut self, agent: &str, healthy: bool) {
        if healthy {
            self.world.state.healthy.insert(agent.into());
        } else {
            self.world.state.healthy.remove(agent);
        }
    }

    #[track_caller]
    fn check(&self, expected: &str) {
        assert_text(&self.plan(), expected);
    }
}

#[track_caller]
fn assert_text(plan: &Plan, expected: &str) {
    let expected: Vec<&str> = expected.trim().lines().map(str::trim).collect();
    let actual = text(plan);
    assert!(
        actual.lines().eq(expected.iter().copied()),
        "the plan is\n{actual}\nand not\n{}\n",
        expected.join("\n")
    );
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests")
}

/// The system of a sketch.
pub fn sketch(sketch: &str, settings: &[(&str, &str)]) -> System {
    let text = manifest(sketch, settings);
    system::from_text(&text, &fixtures().join("sketch.toml"))
        .unwrap_or_else(|error| panic!("{}", error.render(false)))
}

/// A manifest from a sketch: `one: A B(A); two<one: C(A,B)` is a group with two
/// agents, the second of which depends on the first, and a group after it.
fn manifest(sketch: &str, settings: &[(&str, &str)]) -> String {
    let more = |name: &str| {
        let lines = settings.iter().filter(|(owner, _)| *owner == name);
        lines
            .map(|(_, line)| format!("{line}\n"))
            .collect::<String>()
    };
    let list = |names: &str| {
        let names = names.split(',').filter(|name| !name.is_empty());
        names
            .map(|name| format!("{name:?}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut text = r#"
schema = 1
[system]
name = "demo"
monorepo = "monorepo"
code = ["main_pc_code"]
[base]
name = "demo-base"
sources = ["present"]
[networks.net]
subnet = "10.1.0.0/16"
[images.demo-code]
parent = "demo-base"
containerfile = "Containerfile"
code = true
"#
    .to_owned();
    let mut port = 7000;
    for group in sketch.split(';') {
        let (head, agents) = group.split_once(':').expect("`group: agents`");
        let (name, after) = head.split_once('<').unwrap_or((head, ""));
        let name = name.trim();
        text += &format!(
            "[groups.{name}]\nimage = \"demo-code\"\nafter = [{}]\n",
            list(after.trim())
        );
        if !more(name).contains("network_mode") {
            text += "network = \"net\"\n";
        }
        text += &more(name);
        for agent in agents.split_whitespace() {
            let (agent, needs) = agent.split_once('(').unwrap_or((agent, ")"));
            let needs = list(needs.trim_end_matches(')'));
            text += &format!(
                "[groups.{name}.agents.{agent}]\nport = {port}\ndepends_on = [{needs}]\n\
                 script = \"main_pc_code/agents/alpha.py\"\n{}",
                more(agent)
            );
            port += 10;
        }
    }
    text
}

/// One line per step: position, subject, action, what it waits for, cause, and
/// what undoes it. Then the subjects that stay as they are, and the warnings.
fn text(plan: &Plan) -> String {
    let mut lines: Vec<String> = Vec::new();
    for (position, step) in plan.steps.iter().enumerate() {
        let mut line = format!("{position} {}: {}", step.subject, words(&step.action));
        if !step.after.is_empty() {
            line += &format!(" after {:?}", step.after);
        }
        line += &format!(" ({})", step.cause);
        if !step.on_failure.is_empty() {
            let undo: Vec<String> = step.on_failure.iter().map(words).collect();
            line += &format!(" else {}", undo.join(", "));
        }
        if !step.on_cancel.is_empty() && step.on_cancel != step.on_failure {
            let undo: Vec<String> = step.on_cancel.iter().map(words).collect();
            line += &format!(" if cancelled {}", undo.join(", "));
        }
        lines.push(line);
    }
    if !plan.unchanged.is_empty() {
        lines.push(format!("unchanged: {}", plan.unchanged.join(" ")));
    }
    lines.extend(
        plan.warnings
            .iter()
            .map(|warning| format!("warning: {warning}")),
    );
    lines.join("\n")
}

fn words(action: &Action) -> String {
    match action {
        Action::EnsureBase(base) => format!("provide {}", base.tag),
        Action::WriteFile { path, .. } => format!("write {}", path.display()),
        Action::FetchPackages(_) => "fetch packages".to_owned(),
        Action::BuildImage(build) => format!("build {}", build.tag),
        Action::SmokeTest(test) => format!("import {}", test.packages.join(", ")),
        Action::TagImage { image, tag, .. } => {
            let short = |tag: &str| tag.rsplit('/').next().unwrap_or_default().to_owned();
            format!("tag {} {}", short(image), short(tag))
        }
        Action::CreateNetwork(network) => format!("create network {}", network.name),
        Action::CreateContainer(container) => format!("create {}", container.name),
        Action::InitContainer { container } => format!("init {container}"),
        Action::StartContainer { container, .. } => format!("start {container}"),
        Action::StopContainer { container, .. } => format!("stop {container}"),
        Action::UnpauseContainer { container } => format!("unpause {container}"),
        Action::RenameContainer { from, to } => format!("rename {from} to {to}"),
        Action::CreateSecret(spec) => format!("create secret {}", spec.name),
        Action::RemoveSecret { secret } => format!("remove secret {secret}"),
        Action::RemoveContainer { container, .. } => format!("remove {container}"),
        Action::RemoveNetwork { network } => format!("remove network {network}"),
        Action::ReloadNetworks { container } => format!("reload networks of {container}"),
        Action::RemoveImage { tag } => format!("remove image {tag}"),
        Action::PruneImages { .. } => "prune images".to_owned(),
        Action::RemoveVolume { volume } => format!("remove volume {volume}"),
        Action::Gate(gate) => format!("wait for {}", gate.host_health_port),
        Action::Settle { window_ms, gates } => {
            let agents: Vec<&str> = gates.iter().map(|gate| gate.agent.as_str()).collect();
            format!("settle {window_ms} ms [{}]", agents.join(" "))
        }
    }
}
