//! The one thing that `check-gpu --fix` changes: the CDI specification in
//! /etc/cdi, made anew by NVIDIA's toolkit.

use diagnostics::{Exit, Failure};
use process::{Cancel, Command, OnCancel, shell_line};

const PROGRAM: &str = "nvidia-ctk";
const ARGS: [&str; 3] = ["cdi", "generate", "--output=/etc/cdi/nvidia.yaml"];
/// It looks for some hundred libraries and asks the driver.
const DEADLINE_MS: u64 = 60_000;
/// Without this it fails with driver 565 (nvidia-container-toolkit issue 1517).
const FOR_565: (&str, &str) = (
    "NVIDIA_CTK_CDI_GENERATE_FEATURE_FLAGS",
    "disable-nvsandboxutils",
);

/// The command as a shell would take it.
pub fn line(driver: Option<&str>) -> String {
    let mut words: Vec<String> = environment(driver)
        .into_iter()
        .flat_map(|(name, value)| ["env".to_owned(), format!("{name}={value}")])
        .collect();
    words.push(PROGRAM.into());
    words.extend(ARGS.map(str::to_owned));
    shell_line(&words)
}

/// Makes the specification.
///
/// # Errors
/// No toolkit, not root, or the toolkit fails.
pub fn generate(driver: Option<&str>, cancel: &Cancel) -> Result<(), Failure> {
    let failed = |message: String| Failure::new(Exit::Findings, message);
    let Ok(program) = which::which(PROGRAM) else {
        return Err(failed(format!(
            "there is no {PROGRAM} to make a specification with"
        ))
        .hint("install the package nvidia-container-toolkit-base from NVIDIA's repository"));
    };
    if !rustix::process::geteuid().is_root() {
        return Err(
            failed("only root may write to /etc/cdi".into()).hint(format!("sudo {}", line(driver)))
        );
    }
    let mut command = Command::new(program, &ARGS)
        .deadline_ms(DEADLINE_MS)
        .on_cancel(OnCancel::End);
    let environment = environment(driver).into_iter();
    command
        .env
        .extend(environment.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let ended = command.run(cancel, None);
    if cancel.requested() {
        return Err(Failure::interrupted(
            "the specification may be incomplete; run it again",
        ));
    }
    match ended {
        Ok(output) if output.code == 0 => Ok(()),
        Ok(output) => {
            let said = crate::podman::run::tail(&output.stderr, 12);
            Err(
                failed(format!("{PROGRAM} failed: exit code {}", output.code))
                    .detail(said)
                    .hint(format!("run it by hand: {}", line(driver))),
            )
        }
        Err(error) => {
            Err(failed(format!("{PROGRAM} {error}"))
                .hint(format!("run it by hand: {}", line(driver))))
        }
    }
}

fn environment(driver: Option<&str>) -> Option<(&'static str, &'static str)> {
    driver
        .filter(|version| version.starts_with("565."))
        .map(|_| FOR_565)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_is_shown_with_what_a_driver_needs() {
        let plain = "nvidia-ctk cdi generate '--output=/etc/cdi/nvidia.yaml'";
        let shown = super::line(Some("550.90.07"));
        assert_eq!(shown.replace('\'', ""), plain.replace('\'', ""));
        assert!(super::line(Some("565.57.01")).starts_with("env "));
    }
}
