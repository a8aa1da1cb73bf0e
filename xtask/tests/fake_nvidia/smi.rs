//! An `nvidia-smi` that only pretends. It knows the two questions that the tool
//! asks, panics on any other, and answers as its environment says:
//!
//! - `FAKE_NVIDIA_GPUS`: a GPU a line, as the fields of `--query-gpu` come;
//! - `FAKE_NVIDIA_APPS`: a process a line, as those of `--query-compute-apps`;
//! - `FAKE_NVIDIA_APPS_FILE`: a file with these lines instead, read each time;
//! - `FAKE_NVIDIA_SMI`: what goes wrong: `hang`, `garbage`, or `18:message`
//!   for an exit code with a complaint on stdout, where the real one puts it.

use std::{fs, process::exit, time::Duration};

const FORMAT: &str = "--format=csv,noheader,nounits";
const GPU: &str = "--query-gpu=index,uuid,name,memory.total,memory.free,memory.used,compute_mode,mig.mode.current,driver_version";
const APPS: &str = "--query-compute-apps=pid,gpu_uuid,used_gpu_memory";

fn main() {
    let told = |name: &str| std::env::var(name).unwrap_or_default();
    match told("FAKE_NVIDIA_SMI").split_once(':') {
        Some((code, message)) => {
            println!("{message}");
            exit(code.parse().expect("an exit code"));
        }
        None => match told("FAKE_NVIDIA_SMI").as_str() {
            "hang" => std::thread::sleep(Duration::from_secs(600)),
            "garbage" => {
                println!("usage: smi FILE");
                return;
            }
            "" => {}
            other => panic!("unknown fault {other}"),
        },
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        [GPU, FORMAT] => match told("FAKE_NVIDIA_GPUS").trim_end() {
            "" => println!("No devices were found"),
            gpus => println!("{gpus}"),
        },
        [APPS, FORMAT] => match std::env::var("FAKE_NVIDIA_APPS_FILE") {
            Ok(file) => print!("{}", fs::read_to_string(file).expect("a file")),
            Err(_) => println!("{}", told("FAKE_NVIDIA_APPS")),
        },
        args => panic!("the fake nvidia-smi does not know {args:?}"),
    }
}
