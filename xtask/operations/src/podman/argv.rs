//! From a step to the arguments of podman, and to lines that can be pasted
//! into a shell. Pure; nothing is run here.

pub mod secrets;

use model::plan::{
    Action, drift,
    handover::{addresses_label, health_label},
    label,
    spec::{
        self, BuildSpec, ContainerNet, ContainerSpec, FillSpec, MountSpec, NetworkSpec, Secret,
        SmokeSpec, TestSpec,
    },
    step::{BaseFrom, BaseSpec, Bootstrap},
};
use process::shell_line;

use super::{
    quirks::Quirks,
    sandbox::{self, Sandbox},
};

type Args = Vec<String>;

/// What questions to an image may take: importing several large libraries, each
/// with a thread for each core.
const INSIDE_MEMORY_MB: u64 = 8_192;
const INSIDE_PIDS: u32 = 4_096;
/// What a script that fills a folder may take.
const FILL_MEMORY_MB: u64 = 2_048;
const FILL_PIDS: u32 = 512;

const RUN_TESTS: &str = include_str!("inside/run_tests.py");
/// Imports packages, says what it is about, and fails if one does not import.
pub const SMOKE_TEST: &str = include_str!("inside/smoke_test.py");

/// The arguments behind podman's global options; `None` for actions that are
/// not one podman call.
pub fn render(action: &Action, quirks: &Quirks) -> Option<Args> {
    let args = match action {
        Action::BuildImage(build) | Action::FetchPackages(build) => build_image(build, quirks),
        Action::SmokeTest(test) => smoke_test(test, quirks),
        Action::TagImage { image, tag, .. } => words(&["tag", image, tag]),
        Action::CreateNetwork(network) => create_network(network),
        Action::CreateSecret(secret) => secrets::create(secret),
        Action::RemoveSecret { secret } => words(&["secret", "rm", secret]),
        Action::CreateContainer(container) => create_container(container, quirks),
        Action::InitContainer { container } => words(&["init", container]),
        Action::StartContainer { container, .. } => words(&["start", container]),
        Action::StopContainer {
            container,
            timeout_s,
        } => words(&["stop", "--time", &timeout_s.to_string(), container]),
        Action::UnpauseContainer { container } => words(&["unpause", container]),
        Action::RenameContainer { from, to } => words(&["rename", from, to]),
        Action::RemoveContainer { container, .. } => {
            words(&["rm", "--force", "--time", "5", container])
        }
        Action::RemoveNetwork { network } => words(&["network", "rm", network]),
        Action::ReloadNetworks { container } => words(&["network", "reload", container]),
        Action::RemoveImage { tag } => words(&["rmi", tag]),
        Action::PruneImages { system } => prune_images(system),
        Action::RemoveVolume { volume } => words(&["volume", "rm", volume]),
        Action::EnsureBase(_)
        | Action::WriteFile { .. }
        | Action::Gate(_)
        | Action::Settle { .. } => {
            return None;
        }
    };
    Some(args)
}

/// What `--dry-run` prints for an action: commands, or a comment for a wait.
pub fn script(
    action: &Action,
    quirks: &Quirks,
    podman: impl Fn(&[String]) -> String,
) -> Vec<String> {
    if let Some(args) = render(action, quirks) {
        let comment = match action {
            Action::CreateSecret(secret) => {
                format!("  # value from {}", secrets::origin(&secret.origin))
            }
            _ => String::new(),
        };
        return vec![podman(&args) + &comment];
    }
    match action {
        Action::EnsureBase(base) => ensure_base(base, &podman),
        Action::WriteFile { path, lines } => {
            let mut argv = words(&["printf", "%s\\n"]);
            argv.extend(lines.iter().cloned());
            let path = path.display().to_string();
            let parent = path
                .rsplit_once('/')
                .map_or("/", |(parent, _)| parent)
                .to_owned();
            vec![
                shell_line(&words(&["mkdir", "-p", &parent])),
                format!("{} > {}", shell_line(&argv), shell_line(&[path])),
            ]
        }
        Action::Gate(gate) => vec![format!(
            "# wait until {} is healthy on tcp://127.0.0.1:{}",
            gate.agent, gate.host_health_port
        )],
        Action::Settle { window_ms, .. } => vec![format!(
            "# look at all agents again after {} s",
            *window_ms as f64 / 1e3
        )],
        _ => unreachable!("rendered above"),
    }
}

/// The calls that provide the base image from a registry.
pub fn pull_base(base: &BaseSpec, reference: &str) -> [Args; 2] {
    [
        words(&["pull", "--quiet", reference]),
        words(&["tag", reference, &base.tag]),
    ]
}

/// The program and the podman call that bootstrap the base image.
pub fn bootstrap_base(base: &BaseSpec, bootstrap: &Bootstrap) -> (Args, Args) {
    let archive = bootstrap.archive.display().to_string();
    let include = format!("--include={}", bootstrap.packages.join(","));
    let make = words(&[
        "mmdebstrap",
        "--variant=minbase",
        &include,
        &bootstrap.suite,
        &archive,
    ]);
    let mut import = words(&["import", "--quiet"]);
    for (name, value) in [
        (label::SYSTEM, &base.system),
        (label::INPUTS, &base.inputs_hash),
    ] {
        option(&mut import, "--change", &format!("LABEL {name}={value}"));
    }
    import.extend([archive, base.tag.clone()]);
    (make, import)
}

/// One program in a container that is gone afterwards: no network, nothing to
/// write to but temporary folders.
pub fn run_inside(image: &str, program: &[String], quirks: &Quirks) -> Args {
    run_inside_with(image, &[], program, quirks)
}

/// The same, with devices.
pub fn run_inside_with(
    image: &str,
    devices: &[String],
    program: &[String],
    quirks: &Quirks,
) -> Args {
    inside(image, devices, program, quirks)
}

fn inside(image: &str, devices: &[String], program: &[String], quirks: &Quirks) -> Args {
    let sandbox = Sandbox {
        // A program as the first process would not hear of its end: the container
        // would outlive its podman.
        init: true,
        ..Sandbox::closed(INSIDE_MEMORY_MB, INSIDE_PIDS)
    };
    let mut args = words(&["run", "--rm", "--network", "none"]);
    args.extend(sandbox.options(&quirks.container));
    // The home is a volume in a deployed container; here there is none.
    option(&mut args, "--env", "HOME=/tmp");
    for device in devices {
        option(&mut args, "--device", device);
    }
    sandbox::image(&mut args, image);
    args.extend(program.iter().cloned());
    args
}

fn smoke_test(test: &SmokeSpec, quirks: &Quirks) -> Args {
    let mut program = words(&["python3", "-c", SMOKE_TEST]);
    program.extend(test.packages.iter().cloned());
    inside(&test.tag, &[], &program, quirks)
}

/// Tests in a container that is as restricted as those of agents are.
pub fn run_test(test: &TestSpec, quirks: &Quirks) -> Args {
    let mut args = words(&["run", "--rm", "--name", &test.name]);
    option(
        &mut args,
        "--label",
        &format!("{}={}", label::TEST, test.system),
    );
    if test.networks.is_empty() {
        option(&mut args, "--network", "none");
    }
    for network in &test.networks {
        option(&mut args, "--network", network);
    }
    let sandbox = Sandbox {
        cpus: test.cpus,
        init: true,
        ..Sandbox::closed(test.memory_mb, test.pids)
    };
    args.extend(sandbox.options(&quirks.container));
    option(&mut args, "--log-driver", "none");
    for (name, value) in &test.env {
        option(&mut args, "--env", &format!("{name}={value}"));
    }
    option(
        &mut args,
        "--mount",
        &format!(
            "type=image,source={},destination={}",
            test.tools, test.tools_at
        ),
    );
    mounts(&mut args, &test.mounts);
    sandbox::image(&mut args, &test.image);
    args.extend(words(&["python3", "-c", RUN_TESTS, &test.config]));
    args
}

/// A container that fills a volume by a script of the tests, as the user that
/// agents run as: a new volume gets the owner of what it is mounted on.
pub fn fill_volume(fill: &FillSpec, quirks: &Quirks) -> Args {
    const FOLDER: &str = "/app/data";
    let mut args = words(&["run", "--rm", "--network", "none"]);
    let label = format!("{}={}", label::TEST, fill.system);
    option(&mut args, "--label", &label);
    let sandbox = Sandbox {
        init: true,
        ..Sandbox::closed(FILL_MEMORY_MB, FILL_PIDS)
    };
    args.extend(sandbox.options(&quirks.container));
    for (name, value) in &fill.env {
        option(&mut args, "--env", &format!("{name}={value}"));
    }
    mounts(&mut args, &fill.mounts);
    option(
        &mut args,
        "--volume",
        &format!("{}:{FOLDER}:rw", fill.volume),
    );
    sandbox::image(&mut args, &fill.image);
    args.extend(words(&["python3", &fill.script, FOLDER]));
    args
}

fn mounts(args: &mut Args, mounts: &[MountSpec]) {
    for mount in mounts {
        let mode = if mount.read_only { "ro" } else { "rw" };
        let value = format!("{}:{}:{mode}", mount.source, mount.target);
        option(args, "--volume", &value);
    }
}

fn ensure_base(base: &BaseSpec, podman: &impl Fn(&[String]) -> String) -> Vec<String> {
    let ways: Vec<String> = base
        .sources
        .iter()
        .map(|source| match source {
            BaseFrom::Pull { reference, .. } => {
                let [pull, tag] = pull_base(base, reference);
                format!("{{ {} && {}; }}", podman(&pull), podman(&tag))
            }
            BaseFrom::Bootstrap(bootstrap) => {
                let (make, import) = bootstrap_base(base, bootstrap);
                let folder = bootstrap.archive.parent().unwrap_or(&bootstrap.archive);
                let mkdir = shell_line(&words(&["mkdir", "-p", &folder.display().to_string()]));
                let make = shell_line(&make);
                format!("{{ {mkdir} && {make} && {}; }}", podman(&import))
            }
        })
        .collect();
    match ways.is_empty() {
        true => vec!["false  # no source for the base image is allowed".to_owned()],
        false => vec![ways.join(" || ")],
    }
}

fn build_image(build: &BuildSpec, quirks: &Quirks) -> Args {
    let mut args = words(&["build", "--tag", &build.tag]);
    option(
        &mut args,
        "--file",
        &build.containerfile.display().to_string(),
    );
    if let Some(ignorefile) = &build.ignorefile {
        option(&mut args, "--ignorefile", &ignorefile.display().to_string());
    }
    for (name, value) in &build.args {
        option(&mut args, "--build-arg", &format!("{name}={value}"));
    }
    for (name, value) in &build.env {
        option(&mut args, "--env", &format!("{name}={value}"));
    }
    for secret in &build.secrets {
        let value = match secret {
            Secret::File { id, path } => format!("id={id},src={}", path.display()),
            Secret::Env { id, variable } => format!("id={id},env={variable}"),
        };
        option(&mut args, "--secret", &value);
    }
    if let Some(system) = &build.system {
        let label = format!("{}={system}", label::SYSTEM);
        option(&mut args, "--label", &label);
    }
    if build.code {
        option(&mut args, "--network", "none");
    } else {
        args.extend(quirks.network.iter().cloned());
    }
    match &build.target {
        None => option(
            &mut args,
            "--label",
            &format!("{}={}", label::INPUTS, build.inputs_hash),
        ),
        Some(target) => {
            option(&mut args, "--target", target);
            // With times in it, each build would leave another image behind.
            option(&mut args, "--timestamp", "0");
            args.extend(quirks.fetch.iter().cloned());
        }
    }
    args.extend(quirks.build.iter().cloned());
    // One layer per image. Hashes decide what is built, so cached layers would
    // only fill the disk; and where a stage comes whole from the cache, a
    // mount from it is empty (seen with buildah 1.28, podman 4.3.1).
    args.push("--layers=false".to_owned());
    // Parents are local: without this podman would ask registries for them.
    // On `build` the value must follow in the same word.
    args.push("--pull=never".to_owned());
    args.push(build.context.display().to_string());
    args
}

/// Removes the system's images without a name that no container stands on.
pub fn prune_images(system: &str) -> Args {
    let mut args = words(&["image", "prune", "--force"]);
    option(
        &mut args,
        "--filter",
        &format!("label={}={system}", label::SYSTEM),
    );
    args
}

fn create_network(network: &NetworkSpec) -> Args {
    let mut args = words(&["network", "create", "--driver", "bridge"]);
    option(&mut args, "--subnet", &network.subnet);
    if let Some(range) = &network.ip_range {
        option(&mut args, "--ip-range", range);
    }
    if network.internal {
        args.push("--internal".into());
    }
    if network.isolate {
        option(&mut args, "--opt", "isolate=true");
    }
    option(
        &mut args,
        "--label",
        &format!("{}={}", label::SYSTEM, network.system),
    );
    option(
        &mut args,
        "--label",
        &format!("{}={}", label::SPEC, spec::hash_of(network)),
    );
    args.push(network.name.clone());
    args
}

fn create_container(container: &ContainerSpec, quirks: &Quirks) -> Args {
    let mut args = words(&[
        "create",
        "--name",
        &container.name,
        "--hostname",
        &container.hostname,
    ]);
    for (name, value) in labels(container) {
        option(&mut args, "--label", &format!("{name}={value}"));
    }
    networking(&mut args, container);
    let sandbox = Sandbox {
        capabilities: container.relax.capabilities.clone(),
        writable_root: container.relax.writable_root,
        root_user: container.relax.root_user,
        memory_mb: container.memory_mb,
        cpus: Some(container.cpus),
        pids: container.pids,
        init: true,
    };
    args.extend(sandbox.options(&quirks.container));
    option(&mut args, "--restart", &container.restart);
    option(
        &mut args,
        "--stop-timeout",
        &container.stop_timeout_s.to_string(),
    );
    // Rotated by conmon, so that a chatty agent cannot fill the disk.
    option(&mut args, "--log-driver", "k8s-file");
    option(&mut args, "--log-opt", "max-size=10mb");
    for (name, value) in &container.env {
        option(&mut args, "--env", &format!("{name}={value}"));
    }
    args.extend(secrets::options(container));
    mounts(&mut args, &container.mounts);
    for device in &container.devices {
        option(&mut args, "--device", device);
    }
    for group in &container.groups {
        option(&mut args, "--group-add", &group.to_string());
    }
    sandbox::image(&mut args, &container.image);
    args.extend(container.command.iter().cloned());
    args
}

fn labels(container: &ContainerSpec) -> Vec<(&'static str, String)> {
    let deployment = container.deployment;
    let own = container.workload.labels().into_iter();
    let own = own.map(|(name, value)| (name, value.to_owned()));
    let manifest = (label::MANIFEST, container.manifest.display().to_string());
    [(label::SYSTEM, container.system.clone())]
        .into_iter()
        .chain(own)
        .chain([(label::SPEC, spec::hash_of_container(container)), manifest])
        .chain(Some((label::ADDRESSES, addresses_label(container))).filter(|it| !it.1.is_empty()))
        .chain(health_label(container).map(|ports| (label::HEALTH, ports)))
        .chain(secrets::label(container))
        .chain(drift::files_label(&container.files).map(|files| (label::FILES, files)))
        .chain(deployment.map(|number| (label::DEPLOYMENT, number.to_string())))
        .collect()
}

fn networking(args: &mut Args, container: &ContainerSpec) {
    match &container.network {
        ContainerNet::Host => option(args, "--network", "host"),
        ContainerNet::Pod(pod) => option(args, "--pod", pod),
        ContainerNet::Bridge(networks) => {
            for (network, address) in networks {
                // The alias makes the agent's name resolve whatever the
                // container was called when it was created.
                let mut value = format!("{network}:alias={}", container.hostname);
                if let Some(address) = address {
                    value.push_str(&format!(
                        ",ip={address},mac={}",
                        spec::hardware_address(*address)
                    ));
                }
                option(args, "--network", &value);
            }
        }
    }
    for (host_port, port) in &container.publish {
        option(
            args,
            "--publish",
            &format!("{}:{host_port}:{port}", spec::LOOPBACK),
        );
    }
}

fn option(args: &mut Args, name: &str, value: &str) {
    args.push(name.to_owned());
    args.push(value.to_owned());
}

fn words(words: &[&str]) -> Args {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests;
