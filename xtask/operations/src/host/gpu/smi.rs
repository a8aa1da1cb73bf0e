//! Asks `nvidia-smi` and `nvidia-ctk`, each under a deadline, and reads their
//! answers. Nothing is judged here.

use std::collections::BTreeMap;

use diagnostics::excerpt::printable;
use process::{Cancel, Command, OnCancel, ProcessError};

/// A driver that hangs makes `nvidia-smi` hang.
pub const DEADLINE_MS: u64 = 10_000;
/// Lines of a program's complaint that are kept.
const LINES_KEPT: usize = 3;

/// How asking a program went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked<T> {
    NotInstalled,
    TimedOut {
        deadline_ms: u64,
    },
    /// It ended with a complaint, or could not be started.
    Failed(String),
    /// It answered something that is not understood.
    Garbage(String),
    Answered(T),
}

/// A GPU as `nvidia-smi` describes it. What it does not tell (`[N/A]`) is
/// absent. Memory is in MB of 2^20 bytes, as `nvidia-smi` counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gpu {
    pub index: u32,
    pub uuid: String,
    pub name: String,
    pub total_mb: Option<u64>,
    pub free_mb: Option<u64>,
    pub used_mb: Option<u64>,
    /// `Default`, `Exclusive_Process` or `Prohibited`.
    pub compute_mode: Option<String>,
    /// Divided into slices; absent where it cannot be.
    pub mig: Option<bool>,
    pub driver: Option<String>,
}

/// A process that computes on a GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    /// Of the GPU.
    pub uuid: String,
    pub used_mb: Option<u64>,
}

const GPU_FIELDS: &str = "index,uuid,name,memory.total,memory.free,memory.used,compute_mode,mig.mode.current,driver_version";
const PROCESS_FIELDS: &str = "pid,gpu_uuid,used_gpu_memory";
const FORMAT: &str = "--format=csv,noheader,nounits";

impl<T> Asked<T> {
    pub fn answer(&self) -> Option<&T> {
        match self {
            Asked::Answered(answer) => Some(answer),
            _ => None,
        }
    }

    fn then<U>(self, read: impl FnOnce(T) -> Result<U, String>) -> Asked<U> {
        match self {
            Asked::Answered(answer) => match read(answer) {
                Ok(answer) => Asked::Answered(answer),
                Err(problem) => Asked::Garbage(problem),
            },
            Asked::NotInstalled => Asked::NotInstalled,
            Asked::TimedOut { deadline_ms } => Asked::TimedOut { deadline_ms },
            Asked::Failed(why) => Asked::Failed(why),
            Asked::Garbage(problem) => Asked::Garbage(problem),
        }
    }
}

/// All GPUs, in the order of their indices.
pub fn gpus(cancel: &Cancel) -> Asked<Vec<Gpu>> {
    let query = format!("--query-gpu={GPU_FIELDS}");
    ask("nvidia-smi", &[&query, FORMAT], cancel).then(|text| {
        // What it says with exit code 0 where the driver shows no GPU.
        if text.contains("No devices were found") {
            return Ok(Vec::new());
        }
        let mut gpus = lines(&text, gpu)?;
        gpus.sort_by_key(|gpu| gpu.index);
        Ok(gpus)
    })
}

/// Processes that compute on any GPU.
pub fn processes(cancel: &Cancel) -> Asked<Vec<Process>> {
    let query = format!("--query-compute-apps={PROCESS_FIELDS}");
    ask("nvidia-smi", &[&query, FORMAT], cancel).then(|text| lines(&text, process))
}

/// Version of nvidia-container-toolkit.
pub fn toolkit(cancel: &Cancel) -> Asked<String> {
    ask("nvidia-ctk", &["--version"], cancel).then(|text| {
        let first = text.lines().next().unwrap_or_default();
        let version = first.split_whitespace().next_back().unwrap_or_default();
        let known = version.starts_with(|c: char| c.is_ascii_digit() || c == 'v');
        known
            .then(|| version.trim_start_matches('v').to_owned())
            .ok_or_else(|| excerpt(&text))
    })
}

fn ask(program: &str, args: &[&str], cancel: &Cancel) -> Asked<String> {
    let Ok(path) = which::which(program) else {
        return Asked::NotInstalled;
    };
    let command = Command::new(path, args)
        .deadline_ms(DEADLINE_MS)
        .on_cancel(OnCancel::End);
    match command.run(cancel, None) {
        Ok(output) if output.code == 0 => Asked::Answered(output.stdout),
        Ok(output) => {
            // nvidia-smi complains on stdout.
            let said = excerpt(&format!("{}\n{}", output.stdout, output.stderr));
            Asked::Failed(format!("exit code {}: {said}", output.code))
        }
        Err(ProcessError::TimedOut { deadline_ms, .. }) => Asked::TimedOut { deadline_ms },
        Err(error) => Asked::Failed(error.to_string()),
    }
}

fn lines<T>(text: &str, read: impl Fn(&[&str]) -> Option<T>) -> Result<Vec<T>, String> {
    let rows = text.lines().filter(|line| !line.trim().is_empty());
    rows.map(|line| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        read(&fields).ok_or_else(|| excerpt(line))
    })
    .collect()
}

fn gpu(fields: &[&str]) -> Option<Gpu> {
    let [index, uuid, name, total, free, used, mode, mig, driver] = fields else {
        return None;
    };
    let mig = match *mig {
        "Enabled" => Some(true),
        "Disabled" => Some(false),
        _ => None,
    };
    Some(Gpu {
        index: index.parse().ok()?,
        uuid: told(uuid)?,
        name: told(name)?,
        total_mb: told(total).and_then(|text| text.parse().ok()),
        free_mb: told(free).and_then(|text| text.parse().ok()),
        used_mb: told(used).and_then(|text| text.parse().ok()),
        compute_mode: told(mode),
        mig,
        driver: told(driver),
    })
}

fn process(fields: &[&str]) -> Option<Process> {
    let [pid, uuid, used] = fields else {
        return None;
    };
    Some(Process {
        pid: pid.parse().ok()?,
        uuid: told(uuid)?,
        used_mb: told(used).and_then(|text| text.parse().ok()),
    })
}

/// `[N/A]`, `[Not Supported]`, `[Insufficient Permissions]` tell nothing.
fn told(field: &str) -> Option<String> {
    let nothing = field.is_empty() || field.starts_with('[') || field == "N/A";
    (!nothing).then(|| printable(field))
}

fn excerpt(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<String> = lines.take(LINES_KEPT).map(printable).collect();
    let joined = lines.join("; ");
    if joined.is_empty() {
        return "no output".into();
    }
    joined.chars().take(300).collect()
}

/// Memory in use by GPU and agent: the sum over the processes whose owner is
/// known. `owners` maps process ids to names.
pub fn used_by_owner(
    processes: &[Process],
    owners: &BTreeMap<u32, String>,
) -> BTreeMap<(String, String), u64> {
    let mut used = BTreeMap::new();
    for process in processes {
        if let (Some(owner), Some(used_mb)) = (owners.get(&process.pid), process.used_mb) {
            *used
                .entry((process.uuid.clone(), owner.clone()))
                .or_default() += used_mb;
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_is_read_and_what_is_not_told_is_absent() {
        let text = "0, GPU-1a2b, NVIDIA RTX 4090, 24564, 23000, 1200, Default, [N/A], 550.90.07\n";
        let read = lines(text, gpu).unwrap();
        let expected = Gpu {
            index: 0,
            uuid: "GPU-1a2b".into(),
            name: "NVIDIA RTX 4090".into(),
            total_mb: Some(24_564),
            free_mb: Some(23_000),
            used_mb: Some(1_200),
            compute_mode: Some("Default".into()),
            mig: None,
            driver: Some("550.90.07".into()),
        };
        assert_eq!(read, [expected]);
        let sparse = "1, GPU-3c, A100, [N/A], [N/A], [Not Supported], [N/A], Enabled, [N/A]";
        let read = &lines(sparse, gpu).unwrap()[0];
        assert_eq!(
            (read.total_mb, read.mig, &read.driver),
            (None, Some(true), &None)
        );
        assert!(lines("what, is, this", gpu).is_err());
        assert_eq!(lines("", gpu), Ok(Vec::new()));
    }

    #[test]
    fn processes_are_summed_by_owner() {
        let text = "10, GPU-a, 500\n11, GPU-a, 700\n12, GPU-b, [N/A]\n13, GPU-a, 9\n";
        let read = lines(text, process).unwrap();
        let owners = [(10, "A"), (11, "A"), (12, "A")].map(|(pid, name)| (pid, name.to_owned()));
        let used = used_by_owner(&read, &BTreeMap::from(owners));
        let expected = (("GPU-a".to_owned(), "A".to_owned()), 1_200);
        assert_eq!(used.into_iter().collect::<Vec<_>>(), [expected]);
    }
}
