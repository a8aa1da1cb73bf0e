//! Builds on a real podman: what a change of code costs, and what no change
//! does. The images with packages must be there; the first test builds them.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use super::support::{Small, podman, repository, run, xtask};

/// Wall time of a build after one line of code has changed, on an idle machine.
const CODE_CHANGE: Duration = Duration::from_secs(2);
/// How often as long as the least that podman can build it may take: what
/// decides on a machine that is slow or busy. Idle, it is about twice as long.
const TIMES_THE_LEAST: f64 = 3.0;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// How long podman takes for the least that can be built, with the options that
/// it needs here.
fn least_build(folder: &Path) -> Duration {
    let dry_run = run(xtask(&[
        "build-images",
        "--dry-run",
        "--force",
        "ai-system-core",
    ]))
    .expect(0);
    let line = dry_run.stdout.lines().find(|line| line.contains(" build "));
    let global = line.unwrap().split(" build ").next().unwrap();
    let text = "FROM localhost/ai-system/ai-system-core:latest\nRUN true\n";
    fs::write(folder.join("Containerfile"), text).unwrap();
    let tag = "localhost/xtask-engine-least";
    let script = format!("{global} build --layers=false --network none --tag {tag} .");
    let started = Instant::now();
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(folder)
        .output()
        .unwrap();
    let took = started.elapsed();
    assert!(output.status.success(), "{script}: {output:?}");
    podman(&["rmi", tag]);
    took
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn one_changed_line_rebuilds_service_images_alone_and_no_change_nothing() {
    let reference = repository().join("containers/reference");
    let (folder, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    copy(&reference, folder.path());
    let path = folder.path().to_str().unwrap();
    let build = |more: &[&str]| {
        let mut args = vec!["-v", "build-images", "--format", "json", "--monorepo", path];
        args.extend(more);
        run(xtask(&args)).expect(0)
    };
    build(&[]);
    let builds = |stderr: &str| stderr.matches(" build --tag ").count();

    let agent = folder
        .path()
        .join("main_pc_code/agents/coordinator_agent.py");
    // What was built before may still be on its way to the disk.
    rustix::fs::sync();
    let mut took = Vec::new();
    let mut least = Duration::MAX;
    for round in 0..5 {
        least = least.min(least_build(scratch.path()));
        let text = fs::read_to_string(&agent).unwrap();
        fs::write(&agent, format!("{text}# round {round}\n")).unwrap();
        let ended = build(&[]);
        assert_eq!(builds(&ended.stderr), 1, "{}", ended.stderr);
        for image in ended.json()["images"].as_array().unwrap() {
            let service = image["name"] == "ai-system-core-services";
            let expected = if service { "built" } else { "unchanged" };
            assert_eq!(image["result"], expected, "{image}");
        }
        took.push(ended.took);
    }
    eprintln!("one line changed, one service image: {took:?}, the least build {least:?}");
    // Other work may hold the cores in any of them.
    let best = took.iter().min().unwrap();
    let bound = CODE_CHANGE.max(least.mul_f64(TIMES_THE_LEAST));
    assert!(*best <= bound, "{took:?}, the least build {least:?}");

    let again = build(&[]);
    assert_eq!(builds(&again.stderr), 0, "{}", again.stderr);
    assert!(!again.stderr.contains(" run --rm "), "{}", again.stderr);
    eprintln!("no change: {:?}", again.took);

    // As it was before.
    run(xtask(&["build-images"])).expect(0);
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn images_that_were_replaced_go_once_no_container_stands_on_them() {
    let small = Small::new(62);
    let name = &small.name;
    let manifest = fs::read_to_string(small.manifest_path()).unwrap();
    let services = format!("[images.{name}-services]\nparent = \"ai-system-core\"");
    let below = format!(
        "[images.{name}-below]\nparent = \"ai-system-core\"\ncontainerfile = \"Below\"\n\
         [images.{name}-services]\nparent = \"{name}-below\""
    );
    assert!(manifest.contains(&services));
    small.run(&["down", "--images"]).expect(0);
    let manifest = manifest.replace(&services, &below);
    let manifest = manifest.replace("[system]\n", "[system]\nkeep_images = 1\n");
    fs::write(small.manifest_path(), manifest).unwrap();
    let build = |generation: u32| {
        let text = format!("ARG PARENT\nFROM ${{PARENT}}\nENV GENERATION={generation}\n");
        fs::write(small.path().join("containers/Below"), text).unwrap();
        small.run(&["build-images"]).expect(0);
    };
    let label = format!("label=ai-system.system={name}");
    let there = || -> Vec<String> {
        let list = ["images", "--all", "--quiet", "--filter", &label];
        podman(&list).lines().map(str::to_owned).collect()
    };
    build(1);
    small.run(&["deploy", "--settle", "0s"]).expect(0);
    let first = there();
    let services = format!("localhost/{name}/{name}-services:latest");
    let runs = podman(&["image", "inspect", "--format", "{{.Id}}", &services]);
    build(2);
    assert!(
        there().iter().any(|id| runs.starts_with(id)),
        "the agents run in it"
    );
    assert_eq!(small.statuses(), ["healthy"; 4]);
    small.run(&["deploy", "--settle", "0s"]).expect(0);
    build(3);
    let left = there();
    assert!(
        left.iter().all(|id| !first.contains(id)),
        "{left:?} {first:?}"
    );
    assert_eq!(small.statuses(), ["healthy"; 4]);
}

/// Two systems whose images have the same names.
#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn systems_with_equal_names_of_images_do_not_touch_each_other() {
    let (one, two) = (Small::new(71), Small::new(72));
    let services = |small: &Small| format!("localhost/{}/services:latest", small.name);
    for small in [&one, &two] {
        let text = fs::read_to_string(small.manifest_path()).unwrap();
        let text = text.replace(&format!("{}-services", small.name), "services");
        fs::write(small.manifest_path(), text).unwrap();
        small.run(&["build-images"]).expect(0);
        small.run(&["deploy", "--settle", "0s"]).expect(0);
    }
    let id = |tag: &str| podman(&["image", "inspect", "--format", "{{.Id}}", tag]);
    let before = id(&services(&two));
    one.containerfile("ENV CHANGED=1");
    let built = one.run(&["build-images"]).expect(0);
    assert!(built.stdout.contains("1 built"), "{}", built.stdout);
    two.run(&["deploy", "--dry-run"])
        .expect(0)
        .says(&["nothing to do"]);
    assert_eq!(id(&services(&two)), before);
    // Its pointer has moved; what runs says which content it is, and stays with
    // it until it is deployed, also where it is repaired.
    let image = ["ps", "--format", "{{.Image}}", "--filter"];
    let name = format!("name={}", one.container(0));
    let running = || podman(&[&image[..], &[&name]].concat()).trim().to_owned();
    let first = running();
    let hash = first.strip_prefix(services(&one).strip_suffix("latest").unwrap());
    assert_eq!(hash.map(str::len), Some(24), "{first}");
    podman(&["rm", "--force", "--time", "1", &one.container(1)]);
    let repair = ["deploy", "--no-new-images", "--settle", "0s"];
    one.run(&repair)
        .expect(0)
        .says(&["4 agents healthy: 1 deployed, 3 unchanged"]);
    assert_eq!(running(), first);
    one.run(&["deploy", "--settle", "0s"]).expect(0);
    assert_ne!(running(), first);
    // An image of the other under its name is neither deployed nor built over.
    podman(&["tag", &services(&two), &services(&one)]);
    for command in ["deploy", "build-images"] {
        let says = format!("belongs to the system `{}`", two.name);
        one.run(&[command]).expect(11).says(&[&says]);
    }
    podman(&["rmi", &services(&one)]);
    one.run(&["down", "--images"]).expect(0);
    two.run(&["deploy", "--dry-run"])
        .expect(0)
        .says(&["nothing to do"]);
}
