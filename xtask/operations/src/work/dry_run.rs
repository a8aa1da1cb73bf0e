//! What a run would do: the plan, and the very command lines that carrying it
//! out would start.

use std::path::Path;

use model::plan::{Action, Plan, Step};
use process::shell_line;
use serde::Serialize;

use crate::podman::{Engine, argv};

/// The end of a dry run.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Script {
    #[serde(flatten)]
    pub plan: Plan,
    /// Lines that a shell would take, comments among them.
    #[serde(skip)]
    pub lines: Vec<String>,
    /// No container has been run on this host yet, so that the options which
    /// podman needs here may be missing.
    #[serde(skip)]
    pub unproven: bool,
}

impl Script {
    pub fn new(engine: &Engine, plan: Plan) -> Self {
        Script {
            lines: lines(engine, &plan),
            unproven: engine.proof.is_none(),
            plan,
        }
    }
}

fn lines(engine: &Engine, plan: &Plan) -> Vec<String> {
    if plan.is_empty() {
        return vec!["# nothing to do".to_owned()];
    }
    let builds = |step: &Step| matches!(step.action, Action::BuildImage(_));
    let folder = engine.podman.build_folder.as_deref();
    let folder = folder.filter(|_| plan.steps.iter().any(builds));
    let mut lines: Vec<String> = folder.map(make_build_folder).into_iter().collect();
    let mut subject = "";
    for step in &plan.steps {
        if step.subject != subject {
            subject = &step.subject;
            lines.push(format!("# {subject}: {}", step.cause));
        }
        let line = |args: &[String]| engine.podman.line(args);
        lines.extend(argv::script(&step.action, &engine.quirks, line));
    }
    lines
}

/// Closed to others from the start, as a real run makes it.
fn make_build_folder(folder: &Path) -> String {
    let folder = folder.display().to_string();
    shell_line(&["mkdir", "-p", "-m", "700", &folder].map(str::to_owned))
}
