//! Provides the Python base image: the sources of the plan, in their order, until
//! one works.

use std::fs;

use model::plan::step::{BaseFrom, BaseSpec};
use process::{Command, OnCancel};

use crate::{
    carry_out::report::Reason,
    images::base_digest,
    podman::{
        Engine, PodmanError, argv,
        run::{BUILD_DEADLINE_MS, Call, tail},
    },
};

pub fn ensure_base(
    engine: &Engine,
    base: &BaseSpec,
    say: &(dyn Fn(&str) + Sync),
) -> Result<(), Reason> {
    let mut reasons: Vec<(String, String)> = Vec::new();
    for source in &base.sources {
        if let Some((name, why)) = reasons.last() {
            say(&format!("{name} failed ({why}); trying the next source"));
        }
        let tried = match source {
            BaseFrom::Pull { reference, lock } => pull_base(engine, base, reference, lock, say),
            BaseFrom::Bootstrap(bootstrap) => bootstrap_base(engine, base, bootstrap, say),
        };
        match tried {
            Err(Reason::Base(mut more)) => reasons.append(&mut more),
            other => return other,
        }
    }
    Err(Reason::Base(reasons))
}

pub fn pull_base(
    engine: &Engine,
    base: &BaseSpec,
    reference: &str,
    lock: &std::path::Path,
    say: &(dyn Fn(&str) + Sync),
) -> Result<(), Reason> {
    say(&format!("pulling {reference}"));
    let [pull, tag] = argv::pull_base(base, reference);
    engine
        .podman
        .run(&Call::long("pull the base image", pull))
        .map_err(|error| match error {
            PodmanError::Interrupted => Reason::Interrupted,
            error => Reason::Base(vec![(format!("pull {reference}"), error.reason())]),
        })?;
    engine
        .podman
        .run(&Call::change("tag the base image", tag))?;
    if reference.contains("@sha256:") {
        return Ok(());
    }
    let format = "{{range .RepoDigests}}{{println .}}{{end}}";
    let args = ["image", "inspect", "--format", format, &base.tag];
    let call = Call::look("read the base image's digest", &args);
    let digests = engine.podman.run(&call)?.stdout;
    let name = reference
        .rsplit_once(':')
        .map_or(reference, |(name, _)| name);
    // podman may know the image under digests that the registry does not have
    // (that of a local copy, say), so the one to record is one that is pulled.
    for digest in digests.lines().filter(|line| line.starts_with(name)) {
        let [pull, _] = argv::pull_base(base, digest);
        let call = Call::long("pull the base image by its digest", pull);
        if engine.podman.probe(&call)?.code == 0 {
            return base_digest::record(lock, reference, digest).map_err(|error| Reason::File {
                path: lock.display().to_string(),
                error: error.to_string(),
            });
        }
    }
    Ok(())
}

pub fn bootstrap_base(
    engine: &Engine,
    base: &BaseSpec,
    bootstrap: &model::plan::step::Bootstrap,
    say: &(dyn Fn(&str) + Sync),
) -> Result<(), Reason> {
    let failed = |reason: String| Reason::Base(vec![("bootstrap with mmdebstrap".into(), reason)]);
    let (make, import) = argv::bootstrap_base(base, bootstrap);
    if let Some(folder) = bootstrap.archive.parent() {
        fs::create_dir_all(folder).map_err(|error| failed(error.to_string()))?;
    }
    let words: Vec<&str> = make[1..].iter().map(String::as_str).collect();
    let command = Command::new(&make[0], &words)
        .deadline_ms(BUILD_DEADLINE_MS)
        .on_cancel(OnCancel::End);
    let output = match command.run(&engine.podman.cancel, Some(say)) {
        Ok(output) => output,
        Err(process::ProcessError::Interrupted) => return Err(Reason::Interrupted),
        Err(error) => return Err(failed(error.to_string())),
    };
    if output.code != 0 {
        return Err(failed(tail(&output.stderr, 3).join("; ")));
    }
    say("importing the base image");
    let imported = engine
        .podman
        .run(&Call::long("import the base image", import));
    // Only a way to hand the tree over; a few hundred megabytes.
    let _ = fs::remove_file(&bootstrap.archive);
    imported.map(drop).map_err(Reason::from)
}
