//! What agents import at their start: whether it should be there, before they are
//! deployed, and the proof, cold, in a container of the image that has their
//! packages.
//!
//! The scan says what should be there; a package may still fail to load, for
//! want of a system library or of a file that its wheel forgot.

use std::collections::{BTreeMap, BTreeSet};

use diagnostics::{Exit, Failure, finding::Finding};
use model::{
    plan::{State, images, pointer_tag},
    system::System,
};

use super::{
    app::{App, scratch},
    failures::podman_failure,
    project::Project,
};
use crate::{
    podman::{
        Engine,
        inside::{self, AskedImage, Imports},
    },
    scan::{self, AgentScan},
};

/// Agents that their image, or their code, would keep from starting are not
/// deployed: a container that ends at its first import helps nobody.
pub fn preflight(project: &Project, names: &BTreeSet<String>) -> Result<(), Failure> {
    if names.is_empty() {
        return Ok(());
    }
    let scans = project.scans()?;
    let named = scans.iter().filter(|agent| names.contains(&agent.name));
    let agents: Vec<&AgentScan> = named.collect();
    let provided = &project.requirements().provided;
    let findings = scan::check::check(&project.system, &agents, project.sources(), provided);
    let errors: Vec<&Finding> = scan::check::stopping(&findings).collect();
    let Some(first) = errors.first() else {
        return Ok(());
    };
    let line = |finding: &&Finding| {
        format!(
            "{}:{}: {} [{}]",
            finding.file, finding.line, finding.message, finding.id
        )
    };
    let hint = first.hint.clone().unwrap_or_default();
    Err(Failure::new(
        Exit::Findings,
        "agents would end at an import, so nothing was changed",
    )
    .detail(errors.iter().map(line))
    .hint(format!(
        "{hint}; `cargo xtask scan` shows all, `--no-import-check` deploys all the same"
    )))
}

/// What is to be imported, by image with packages.
#[derive(Debug)]
pub struct Questions(BTreeMap<String, Imports>);

impl Questions {
    /// What the agents in the images of `wanted` import at their start, as far
    /// as their image should have it: the rest is for `scan` to tell.
    pub fn of(project: &Project, wanted: &BTreeSet<String>) -> Result<Self, Failure> {
        let system = &project.system;
        let images: BTreeSet<String> = images::closure(system, wanted).into_iter().collect();
        let concerned = |name: &str| {
            let agent = system.agent(name);
            agent.is_some_and(|agent| images.contains(&agent.image))
        };
        let scans = project.scans()?;
        let agents = scans.iter().filter(|agent| concerned(&agent.name));
        Ok(Questions::about(agents))
    }

    /// The same of agents that have been scanned.
    pub fn about<'a>(agents: impl IntoIterator<Item = &'a AgentScan>) -> Self {
        let mut questions: BTreeMap<String, Imports> = BTreeMap::new();
        for agent in agents {
            let here = agent
                .packages
                .iter()
                .filter(|package| package.hard && package.in_image);
            for package in here {
                let at = &agent.closure.packages[&package.import];
                for module in &at.hard_modules {
                    questions
                        .entry(agent.manifest_image.clone())
                        .or_default()
                        .entry(module.clone())
                        .or_default()
                        .insert(agent.name.clone());
                }
            }
        }
        Questions(questions)
    }

    /// Images with packages for which nothing is left to be asked: all of it
    /// was imported in them before, without a failure.
    pub fn known(&self, system: &System, state: &State) -> Result<BTreeSet<&str>, Failure> {
        let cache = scratch()?;
        let known = self.0.iter().filter(|(name, imports)| {
            let tag = pointer_tag(system, name);
            state.images.get(&tag).is_some_and(|found| {
                let image = AskedImage {
                    tag: &tag,
                    id: &found.id,
                };
                inside::is_known(image, imports, &cache)
            })
        });
        Ok(known.map(|(name, _)| name.as_str()).collect())
    }

    /// The commands that `ask` would run, for a dry run: an image that is still
    /// to be built has no answer yet.
    pub fn lines(
        &self,
        system: &System,
        engine: &Engine,
        state: &State,
    ) -> Result<Vec<String>, Failure> {
        let known = self.known(system, state)?;
        let open = self
            .0
            .iter()
            .filter(|(name, _)| !known.contains(name.as_str()));
        let line = |(name, imports): (&String, &Imports)| {
            let tag = pointer_tag(system, name);
            let image = AskedImage { tag: &tag, id: "" };
            let args = inside::cold_import_args(engine, image, imports);
            engine.podman.line(&args)
        };
        Ok(open.map(line).collect())
    }

    /// Imports what has not been imported in these images before.
    ///
    /// # Errors
    /// With every module that does not import and the agents that it breaks.
    pub fn ask(
        &self,
        app: &App,
        system: &System,
        engine: &mut Engine,
        state: &State,
    ) -> Result<(), Failure> {
        let cache = scratch()?;
        let mut broken = Vec::new();
        for (name, imports) in &self.0 {
            let tag = pointer_tag(system, name);
            let Some(found) = state.images.get(&tag) else {
                continue;
            };
            let image = AskedImage {
                tag: &tag,
                id: &found.id,
            };
            if inside::is_known(image, imports, &cache) {
                continue;
            }
            engine.ready()?;
            app.ui
                .note(format!("{name}  importing what its agents need"));
            let failures =
                inside::cold_import(engine, image, imports, &cache).map_err(podman_failure)?;
            broken.extend(failures.into_iter().map(|one| {
                let agents = one.agents.join(", ");
                format!(
                    "`{}` does not import in {name}: {}; {agents} cannot start",
                    one.module, one.error
                )
            }));
        }
        if broken.is_empty() {
            return Ok(());
        }
        Err(
            Failure::new(Exit::Build, "images lack what their agents import at start")
                .detail(broken)
                .hint(
                    "a missing library of the system belongs in `system_packages` of the image, \
            a missing package into your requirements",
                ),
        )
    }
}
