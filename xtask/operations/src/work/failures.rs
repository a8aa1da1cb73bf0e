//! How podman, files and plans fail, in words: each with its exit code and what
//! to do next.

use diagnostics::{Exit, Failure};
use model::plan::PlanError;

use crate::{images::recipes::Unreadable, podman::PodmanError};

pub fn podman_failure(error: PodmanError) -> Failure {
    match &error {
        PodmanError::Interrupted => Failure::interrupted("nothing was changed"),
        PodmanError::Failed {
            command, stderr, ..
        } => {
            let mut failure = Failure::new(Exit::Engine, error.to_string())
                .detail([format!("$ {command}")])
                .detail(stderr.clone());
            if stderr.iter().any(|line| line.contains("no space left")) {
                failure =
                    failure.hint("free disk space; `podman system df` shows what podman holds");
            }
            failure
        }
        PodmanError::Garbage {
            command, answer, ..
        } => Failure::new(Exit::Engine, error.to_string())
            .detail([format!("$ {command}"), format!("answer: {answer}")])
            .hint("is the `podman` on PATH really podman?"),
    }
}

pub fn unreadable(error: &Unreadable) -> Failure {
    let (path, error) = (error.path.display(), &error.error);
    Failure::new(Exit::Build, format!("cannot read {path}: {error}"))
}

/// All reasons why no plan can be made, as one failure.
pub fn plan_failure(errors: &[PlanError]) -> Failure {
    let exit = match errors.first() {
        Some(PlanError::ImageMissing { .. } | PlanError::ImageGone { .. }) => Exit::Build,
        Some(
            PlanError::GpuMissing { .. }
            | PlanError::GpusTooFew { .. }
            | PlanError::GpuUnknown { .. }
            | PlanError::DeviceMissing { .. }
            | PlanError::Unfit { .. }
            | PlanError::SecretMissing { .. },
        ) => Exit::Findings,
        Some(PlanError::NotImplemented { .. } | PlanError::PodMode { .. }) => Exit::Manifest,
        _ => Exit::Conflict,
    };
    let mut words = errors.iter().map(plan_error_words);
    let (message, hint) = words.next().unwrap_or_default();
    Failure::new(exit, message)
        .detail(words.map(|(message, _)| message))
        .hint(hint)
}

/// An agent needs what a container holds that this run would leave alone.
fn held_words(
    agent: &str,
    what: &str,
    container: &str,
    by: &str,
    orphan: bool,
) -> (String, String) {
    if orphan {
        return (
            format!(
                "{agent} needs {what}, which the container `{container}` of {by} holds; the manifest no longer has {by}"
            ),
            format!(
                "`cargo xtask deploy --prune` removes what the manifest no longer has; `cargo xtask down {container}` only that"
            ),
        );
    }
    (
        format!("{agent} needs {what}, which the container `{container}` of {by} still holds"),
        format!("deploy both together: `cargo xtask deploy {agent} {by}`"),
    )
}

pub fn plan_error_words(error: &PlanError) -> (String, String) {
    match error {
        PlanError::ImageMissing { agent, image } => (
            format!("{agent} needs the image `{image}`, which has not been built"),
            "run `cargo xtask build-images`".into(),
        ),
        PlanError::ImageGone { agent, image } => (
            format!("{agent} ran in {image}, and that image has been removed"),
            "`cargo xtask history` shows what can be gone back to; `keep_images` in [system] says how many sets are kept".into(),
        ),
        PlanError::ImageTaken {
            image,
            owner: Some(owner),
            system,
        } => (
            format!(
                "the image {image} has the name of one of `{system}` and belongs to the system `{owner}`"
            ),
            format!(
                "give it another name (`podman tag {image} …`, then `podman untag {image} {image}`)"
            ),
        ),
        PlanError::ImageTaken {
            image,
            owner: None,
            system,
        } => (
            format!(
                "the image {image} has the name of one of `{system}`, and this tool did not build it"
            ),
            format!(
                "give it another name (`podman tag {image} …`, then `podman untag {image} {image}`)"
            ),
        ),
        PlanError::ContainerTaken { agent, container } => (
            format!(
                "{agent} needs the container name `{container}`, and a container that this tool did not create has it"
            ),
            format!(
                "rename or remove it (`podman rename {container} …`), or set `container` in the manifest"
            ),
        ),
        PlanError::NetworkDiffers {
            network,
            differences,
            ours,
        } => network_differs(network, differences, *ours),
        PlanError::NetworkOverlaps {
            network,
            subnet,
            other,
            other_subnet,
        } => (
            format!(
                "network `{network}` ({subnet}) overlaps podman's network `{other}` ({other_subnet})"
            ),
            "choose another subnet in the manifest, or remove the other network".into(),
        ),
        PlanError::Held {
            agent,
            what,
            container,
            by,
            orphan,
        } => held_words(agent, what, container, by, *orphan),
        PlanError::Unfit {
            agent,
            finding,
            title,
            fix,
        } => (
            format!("{agent} cannot be deployed here: {title} [{finding}]"),
            format!("{fix}; `--ignore {finding}` tries all the same"),
        ),
        PlanError::NotImplemented { agent, script } => (
            format!("{agent} has no implementation in this monorepo: {script} does not exist"),
            "leave it out, or write its script".into(),
        ),
        PlanError::PodMode { group } => (
            format!(
                "group `{group}` asks for network_mode `pod`, which can be described but not deployed yet"
            ),
            "use `bridge` or `host`".into(),
        ),
        PlanError::GpuMissing { agent } => (
            format!(
                "{agent} needs a GPU (gpu = \"required\"), and no CDI specification offers nvidia.com/gpu"
            ),
            "`cargo xtask check-gpu` says why; or set gpu = \"auto\"".into(),
        ),
        PlanError::GpusTooFew {
            agent,
            asked,
            offered,
        } => (
            format!(
                "{agent} asks for {asked} GPUs (gpu_count), and this host offers {}: {}",
                offered.len(),
                offered.join(", ")
            ),
            "lower `gpu_count`; `cargo xtask check-gpu` shows what there is".into(),
        ),
        PlanError::GpuUnknown {
            agent,
            device,
            offered,
        } => (
            format!(
                "{agent} asks for nvidia.com/gpu={device}, which no CDI specification of this host lists"
            ),
            format!(
                "set `gpu_device` to one of {}; `cargo xtask check-gpu` shows which is which",
                offered.join(", ")
            ),
        ),
        PlanError::SecretMissing { agent, secret } => (
            format!("{agent} needs podman's secret `{secret}`, which does not exist"),
            format!(
                "create it: `podman secret create {secret} FILE`; or give another source in [secrets]"
            ),
        ),
        PlanError::SecretTaken { agent, secret } => (
            format!(
                "{agent} needs the secret `{secret}`, and a secret that this tool did not create has that name"
            ),
            format!("remove it: `podman secret rm {secret}`"),
        ),
        PlanError::DeviceMissing { agent, device } => (
            format!("{agent} needs the device {device}, which this host does not have"),
            "set `optional = true` on it, or attach the device".into(),
        ),
    }
}

fn network_differs(network: &str, differences: &[String], ours: bool) -> (String, String) {
    let differences = match differences {
        [] => "was created from other settings than the manifest's".to_owned(),
        differences => format!(
            "is not as the manifest has it: it {}",
            differences.join(", ")
        ),
    };
    let anew = "run `cargo xtask down`";
    match ours {
        true => (
            format!("network `{network}` {differences}"),
            format!("{anew}, then `cargo xtask create-networks --recreate`"),
        ),
        false => (
            format!("network `{network}`, which this tool did not create, {differences}"),
            format!(
                "{anew} and `podman network rm {network}`, and `cargo xtask deploy` creates it; or let `[networks.{network}]` say what it is"
            ),
        ),
    }
}

#[cfg(test)]
mod tests;
