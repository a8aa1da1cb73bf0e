//! A podman of a few lines: applies actions to a `State` and panics on what the
//! real one would refuse, such as a step that refers to a missing container.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{
    handover::{addresses_label, addresses_of, health_label},
    secret::ObservedSecret,
    spec::{ContainerNet, hash_of, hash_of_container},
    state::{Container, ObservedImage, ObservedNetwork, Status},
    *,
};
use crate::system::System;

/// Of what the images of a test are made.
pub fn inputs(name: &str) -> String {
    format!("{name}-1")
}

#[derive(Clone)]
pub struct World {
    pub state: State,
}

impl World {
    /// Every image of the system is built, in layers that stand on each other.
    pub fn with_images(system: &System) -> Self {
        let mut state = State {
            now_s: 1_000_000,
            ..State::default()
        };
        let base = ObservedImage {
            id: "base".into(),
            layers: vec!["base".into()],
            ..ObservedImage::default()
        };
        // One that was made by hand.
        let base_tags = [
            local_tag(&system.base.name),
            content_tag(system, &system.base.name, &inputs(&system.base.name)),
            pointer_tag(system, &system.base.name),
        ];
        state
            .images
            .extend(base_tags.map(|tag| (tag, base.clone())));
        let all = system.images.keys().cloned().collect();
        for name in images::closure(system, &all) {
            let parent = system.images[&name].parent().expect("it stands on one");
            let parent = &state.images[&pointer_tag(system, parent)];
            let mut layers = parent.layers.clone();
            layers.push(name.clone());
            let labels = BTreeMap::from([
                (label::SYSTEM.into(), system.name.clone()),
                (label::INPUTS.into(), inputs(&name)),
            ]);
            let image = ObservedImage {
                id: format!("id of {name}"),
                labels,
                layers,
                ..ObservedImage::default()
            };
            let tags = [
                content_tag(system, &name, &inputs(&name)),
                pointer_tag(system, &name),
            ];
            state.images.extend(tags.map(|tag| (tag, image.clone())));
        }
        World { state }
    }

    pub fn apply_all(&mut self, plan: &Plan) {
        for step in &plan.steps {
            self.apply(&step.action);
        }
    }

    /// Step `broken` fails: it has no effect but its undoing, and what waits for
    /// it is not done. Everything else is; which steps that was is returned.
    pub fn apply_but(&mut self, plan: &Plan, broken: usize) -> Vec<bool> {
        let mut blocked = vec![false; plan.steps.len()];
        for (position, step) in plan.steps.iter().enumerate() {
            blocked[position] =
                position == broken || step.after.iter().any(|other| blocked[*other]);
            if position == broken {
                step.on_failure.iter().for_each(|action| self.apply(action));
            } else if !blocked[position] {
                self.apply(&step.action);
            }
        }
        blocked.into_iter().map(|blocked| !blocked).collect()
    }

    /// The run is interrupted when the first `done` steps are done.
    pub fn apply_and_cancel(&mut self, plan: &Plan, done: usize) {
        for step in &plan.steps[..done] {
            self.apply(&step.action);
        }
        for step in &plan.steps[done..] {
            if step.after.iter().all(|other| *other < done) {
                step.on_cancel.iter().for_each(|action| self.apply(action));
            }
        }
    }

    pub fn apply(&mut self, action: &Action) {
        self.state.now_s += 1;
        match action {
            Action::CreateContainer(spec) => {
                let image = &self
                    .state
                    .images
                    .get(&spec.image)
                    .expect("the image exists")
                    .id;
                let secrets: Vec<&str> = spec.secrets.iter().map(|s| s.name.as_str()).collect();
                let missing = secrets
                    .iter()
                    .find(|name| !self.state.secrets.contains_key(**name));
                assert!(missing.is_none(), "no secret with name {missing:?}");
                let mut labels = BTreeMap::from([
                    (label::SECRETS.into(), secrets.join(",")),
                    (label::SYSTEM.into(), spec.system.clone()),
                    (label::AGENT.into(), spec.workload.name().to_owned()),
                    (label::SPEC.into(), hash_of_container(spec)),
                    (label::HEALTH.into(), health_label(spec).unwrap_or_default()),
                ]);
                let files = drift::files_label(&spec.files);
                labels.extend(files.map(|files| (label::FILES.into(), files)));
                let networks = match &spec.network {
                    ContainerNet::Bridge(joined) => {
                        joined.iter().map(|(name, _)| name.clone()).collect()
                    }
                    ContainerNet::Host | ContainerNet::Pod(_) => BTreeSet::new(),
                };
                let container = Container {
                    image: spec.image.clone(),
                    image_id: image.clone(),
                    host_ports: spec.publish.iter().map(|(host, _)| *host).collect(),
                    addresses: addresses_of(&addresses_label(spec)),
                    networks,
                    labels,
                    ..Container::default()
                };
                let before = self.state.containers.insert(spec.name.clone(), container);
                assert!(before.is_none(), "the name `{}` is in use", spec.name);
                let left = self.state.half_made.contains(&spec.name);
                assert!(!left, "the name `{}` is in use in storage", spec.name);
            }
            Action::InitContainer { container } => self.init(container),
            Action::StartContainer { container, .. } => self.start(container),
            Action::StopContainer { container, .. } => {
                self.ill(container);
                let found = self.found(container);
                assert!(
                    found.started_at_s > 0 || found.status == Status::Initialized,
                    "podman refuses to stop `{container}`, which was never started"
                );
                assert_ne!(found.status, Status::Paused, "podman refuses to stop it");
                found.status = Status::Exited;
            }
            Action::UnpauseContainer { container } => {
                let found = self.found(container);
                assert_eq!(found.status, Status::Paused, "`{container}` is not paused");
                found.status = Status::Running;
            }
            Action::RenameContainer { from, to } => {
                assert!(!self.state.containers.contains_key(to), "`{to}` exists");
                self.ill(from);
                let moved = self.state.containers.remove(from);
                let moved = moved.unwrap_or_else(|| panic!("`{from}` does not exist"));
                self.state.containers.insert(to.clone(), moved);
            }
            Action::RemoveContainer { container, .. } => {
                if self.state.half_made.remove(container) {
                    return;
                }
                self.ill(container);
                let removed = self.state.containers.remove(container);
                assert!(
                    !removed.expect("it exists").half_stopped(),
                    "podman before 4.4 forgets `{container}` and leaves its processes"
                );
            }
            Action::Gate(gate) => {
                assert!(self.found(&gate.container).running(), "{}", gate.agent);
                self.state.healthy.insert(gate.agent.clone());
            }
            Action::Settle { gates, .. } => {
                for gate in gates {
                    assert!(self.state.healthy.contains(&gate.agent), "{}", gate.agent);
                }
            }
            Action::CreateNetwork(spec) => {
                let labels = BTreeMap::from([
                    (label::SYSTEM.into(), spec.system.clone()),
                    (label::SPEC.into(), hash_of(spec)),
                ]);
                let network = ObservedNetwork {
                    subnets: vec![spec.subnet.clone()],
                    isolated: spec.isolate,
                    internal: spec.internal,
                    labels,
                };
                let before = self.state.networks.insert(spec.name.clone(), network);
                assert!(before.is_none(), "network `{}` exists", spec.name);
            }
            Action::CreateSecret(spec) => {
                let secret = ObservedSecret {
                    id: format!("id of {}", spec.name),
                    system: Some(spec.system.clone()),
                };
                let before = self.state.secrets.insert(spec.name.clone(), secret);
                assert!(before.is_none(), "secret name in use: {}", spec.name);
            }
            Action::RemoveSecret { secret } => {
                for (name, container) in &self.state.containers {
                    let used = container.label(label::SECRETS).unwrap_or_default();
                    assert!(
                        !used.contains(secret),
                        "`{name}` starts no more without `{secret}`"
                    );
                }
                self.state.secrets.remove(secret).expect("it exists");
            }
            Action::RemoveNetwork { network } => {
                self.state.networks.remove(network).expect("it exists");
            }
            Action::ReloadNetworks { container } => assert!(self.found(container).running()),
            Action::RemoveImage { tag } => {
                self.state.images.remove(tag).expect("it exists");
            }
            Action::PruneImages { system } => assert!(self.state.replaced.remove(system)),
            Action::RemoveVolume { volume } => assert!(self.state.volumes.remove(volume)),
            Action::TagImage { image, tag, .. } => {
                if let Some(found) = self.state.images.get(image).cloned() {
                    self.state.images.insert(tag.clone(), found);
                }
            }
            Action::EnsureBase(_)
            | Action::WriteFile { .. }
            | Action::FetchPackages(_)
            | Action::BuildImage(_)
            | Action::SmokeTest(_) => {}
        }
    }

    /// Two containers must not fight for ports and addresses.
    fn start(&mut self, container: &str) {
        self.no_rival(container);
        let now_s = self.state.now_s;
        let found = self.found(container);
        assert!(
            matches!(
                found.status,
                Status::Created | Status::Initialized | Status::Exited
            ),
            "podman would take `{container}` for running: {:?}",
            found.status
        );
        found.status = Status::Running;
        found.started_at_s = now_s;
        self.ill(container);
    }

    fn init(&mut self, container: &str) {
        self.no_rival(container);
        let found = self.found(container);
        assert_eq!(found.status, Status::Created, "{container}");
        found.status = Status::Initialized;
    }

    fn no_rival(&mut self, container: &str) {
        let own = self.found(container).clone();
        let rival = self.state.containers.iter().find(|(name, other)| {
            *name != container
                && (other.running() || other.status == Status::Initialized)
                && (other.label(label::AGENT) == own.label(label::AGENT)
                    || !other.host_ports.is_disjoint(&own.host_ports)
                    || !other.addresses.is_disjoint(&own.addresses))
        });
        assert!(
            rival.is_none(),
            "{rival:?} holds the ports of `{container}`"
        );
    }

    /// An agent whose container is touched has to prove its health anew.
    fn ill(&mut self, container: &str) {
        let found = self.state.containers.get(container);
        if let Some(agent) = found.and_then(|found| found.label(label::AGENT)) {
            let agent = agent.to_owned();
            if !container.ends_with("-next") && !container.ends_with("-previous") {
                self.state.healthy.remove(&agent);
            }
        }
    }

    fn found(&mut self, container: &str) -> &mut Container {
        let containers = &mut self.state.containers;
        containers
            .get_mut(container)
            .unwrap_or_else(|| panic!("`{container}` does not exist"))
    }
}
