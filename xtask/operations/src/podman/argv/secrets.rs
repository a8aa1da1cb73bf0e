//! Arguments about secrets. Values are in none of them: arguments are seen by
//! everybody on the host.

use model::{
    plan::{
        label,
        secret::{SecretOrigin, SecretSpec},
        spec::ContainerSpec,
    },
    system::{SECRETS_FOLDER, SecretForm},
};
use process::shell_line;

/// The value follows on the standard input: arguments are seen by everybody.
pub fn create(secret: &SecretSpec) -> Vec<String> {
    let label = format!("{}={}", label::SYSTEM, secret.system);
    let words = ["secret", "create", "--label", &label, &secret.name, "-"];
    words.map(str::to_owned).to_vec()
}

/// Where a value comes from, in words for a line of a shell.
pub fn origin(origin: &SecretOrigin) -> String {
    match origin {
        SecretOrigin::File(path) => format!("the file {}", path.display()),
        SecretOrigin::Env(variable) => format!("the environment variable {variable}"),
        SecretOrigin::Command(command) => format!("the command {}", shell_line(command)),
        SecretOrigin::EnvFile { path, variable } => {
            format!("the line {variable} of {}", path.display())
        }
    }
}

/// The label that tells which secrets a container needs.
pub fn label(container: &ContainerSpec) -> Option<(&'static str, String)> {
    let names: Vec<&str> = container
        .secrets
        .iter()
        .map(|given| given.name.as_str())
        .collect();
    (!names.is_empty()).then(|| (label::SECRETS, names.join(",")))
}

/// The options by which a container is given its secrets.
pub fn options(container: &ContainerSpec) -> Vec<String> {
    let mut args = Vec::new();
    let below = format!("{SECRETS_FOLDER}/");
    let mut folder = false;
    for given in &container.secrets {
        let value = match &given.form {
            SecretForm::File(target) => {
                folder |= target.starts_with(&below);
                format!("{},type=mount,target={target}", given.name)
            }
            SecretForm::Env(variable) => format!("{},type=env,target={variable}", given.name),
        };
        args.extend(["--secret".to_owned(), value]);
    }
    if folder && !container.relax.writable_root {
        // podman mounts a folder of its own there, read-only where the root is, in which it then
        // cannot make the files (podman issue 15541; seen with 4.3.1).
        let folder = format!("{SECRETS_FOLDER}:rw,size=64k,mode=0755");
        args.extend(["--tmpfs".to_owned(), folder]);
    }
    args
}
