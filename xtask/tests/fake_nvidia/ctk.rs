//! An `nvidia-ctk` that only pretends. It tells its version, writes down what
//! else it is asked instead of doing it, and panics on what the tool never asks:
//!
//! - `FAKE_NVIDIA_CTK`: what goes wrong: `hang`, `garbage`, or `1:message` for
//!   an exit code with a complaint;
//! - `FAKE_NVIDIA_CTK_LOG`: file that `cdi generate` is written down in.

use std::{fs, process::exit, time::Duration};

fn main() {
    let told = |name: &str| std::env::var(name).unwrap_or_default();
    match told("FAKE_NVIDIA_CTK").split_once(':') {
        Some((code, message)) => {
            eprintln!("{message}");
            exit(code.parse().expect("an exit code"));
        }
        None => match told("FAKE_NVIDIA_CTK").as_str() {
            "hang" => std::thread::sleep(Duration::from_secs(600)),
            "garbage" => {
                println!("usage: ctk FILE");
                return;
            }
            "" => {}
            other => panic!("unknown fault {other}"),
        },
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["--version"] => {
            println!(
                "NVIDIA Container Toolkit CLI version 1.17.8\ncommit: f202b80a9b9d0db00d9b1d73c0128c8962c55f4d"
            );
        }
        ["cdi", "generate", output] if output.starts_with("--output=") => {
            let log = std::env::var("FAKE_NVIDIA_CTK_LOG").expect("a file to write to");
            fs::write(log, args.join(" ")).expect("a file");
        }
        args => panic!("the fake nvidia-ctk does not know {args:?}"),
    }
}
