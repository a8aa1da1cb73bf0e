//! What a container sees that is given a GPU.
//!
//! It runs as agents do, without privileges and with a read-only root, so that
//! it proves what agents get.

use super::{
    argv,
    engine::Engine,
    run::{Call, PodmanError},
};

/// Long enough for a slow host; a hook that hangs must not hold us.
const DEADLINE_MS: u64 = 45_000;

/// Asks `nvidia-smi`, if the device brings it, and lists the device files. A
/// driver that hangs inside is ended by podman's deadline.
const LOOK: &str = "\
if command -v nvidia-smi >/dev/null 2>&1; then
  nvidia-smi --query-gpu=uuid --format=csv,noheader 2>&1 | while read -r line; do echo \"smi $line\"; done
fi
for node in /dev/nvidia[0-9]*; do [ -e \"$node\" ] && echo \"node $node\"; done
echo end";

/// What was seen inside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Lines of `nvidia-smi`, UUIDs or a complaint; `None` without it.
    pub smi: Option<Vec<String>>,
    /// `/dev/nvidia0` and the like.
    pub nodes: Vec<String>,
}

/// Runs a container of `image` with this device, and tells what it sees.
///
/// # Errors
/// podman does not run it, or it does not end in time.
pub fn look(engine: &Engine, image: &str, device: &str) -> Result<Seen, PodmanError> {
    let call = Call::change(
        format!("run a container with {device}"),
        look_args(engine, image, device),
    );
    let output = engine.podman.run(&call.deadline_ms(DEADLINE_MS))?;
    Ok(read(&output.stdout))
}

/// The command line behind `look`.
pub fn look_args(engine: &Engine, image: &str, device: &str) -> Vec<String> {
    let program = ["/bin/sh", "-c", LOOK].map(str::to_owned);
    argv::run_inside_with(image, &[device.to_owned()], &program, &engine.quirks)
}

fn read(stdout: &str) -> Seen {
    let mut seen = Seen::default();
    for line in stdout.lines() {
        match line.split_once(' ') {
            Some(("smi", text)) => seen
                .smi
                .get_or_insert_default()
                .push(text.trim().to_owned()),
            Some(("node", path)) => seen.nodes.push(path.to_owned()),
            _ => {}
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_is_read_line_by_line() {
        let seen = read("smi GPU-1\nsmi GPU-2\nnode /dev/nvidia0\nend\n");
        assert_eq!(seen.smi.unwrap(), ["GPU-1", "GPU-2"]);
        assert_eq!(seen.nodes, ["/dev/nvidia0"]);
        assert_eq!(read("end\n"), Seen::default());
    }
}
