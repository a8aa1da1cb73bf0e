//! A second copy of the system for tests: deployed, tested, and removed whatever
//! happens.

use std::collections::BTreeSet;

use diagnostics::Failure;
use model::{
    plan::{down::Remove, testing},
    system::{Suite, System},
};
use process::Cancel;

use super::{
    app::App,
    choose::select,
    deploy::{self, Host, How},
    down,
    ending::Ending,
    exclusive::Scope,
    failures::podman_failure,
    project::Project,
    runs::Recorder,
    suites::{all, python_path},
    test_results::{News, Subject, Tell, TestOptions},
    unit_tests::{prepare, tests},
};
use crate::podman::{
    Engine, argv,
    observe::{self, Ask},
    pytest,
};

/// Deploys a copy, tests it, and removes it.
pub fn test(
    app: &App,
    project: &Project,
    suites: &[Suite],
    options: &TestOptions,
    tell: Tell<'_>,
) -> Result<Vec<Subject>, Failure> {
    let original = &project.system;
    let mut engine = app.engine(original)?;
    let images: BTreeSet<String> = original
        .agents
        .iter()
        .filter(|agent| !agent.optional)
        .map(|agent| agent.image.clone())
        .chain(suites.iter().map(|suite| suite.image.clone()))
        .chain(tests(original)?.fill.iter().map(|fill| fill.image.clone()))
        .chain([tests(original)?.image.clone()])
        .collect();
    prepare(app, project, &mut engine, &images, tell)?;
    let ask = Ask {
        networks: true,
        ..Ask::default()
    };
    let taken = observe::observe(&engine.podman, ask).map_err(podman_failure)?;
    let copy = Project::of(app, app.copy(original, &taken)?)?;
    let (system, project) = (&copy.system, &copy);
    let mut engine = app.engine(system)?;
    let _alone = app.lock(
        &engine,
        system,
        Scope::Agents,
        "test-integration --isolated",
    )?;
    if !app.settings.dry_run {
        // A run that was killed has left its copy.
        remove(app, system)?;
    }
    let chosen = select(system, &[], true)?;
    let result = fill(app, system, &mut engine, tell)
        .and_then(|()| deploy(app, project, &mut engine, &chosen, tell))
        .and_then(|()| all(app, system, &mut engine, suites, options, tell));
    if app.settings.dry_run {
        return result;
    }
    app.ui.note(format!("removing the copy `{}`", system.name));
    match (result, remove(app, system)) {
        (Ok(subjects), Ok(())) => Ok(subjects),
        (Ok(_), Err(failure)) => Err(failure),
        (Err(failure), removed) => Err(match removed {
            Ok(()) => failure,
            Err(left) => failure.detail([format!("and the copy was not removed: {left}")]),
        }),
    }
}

fn deploy(
    app: &App,
    copy: &Project,
    engine: &mut Engine,
    chosen: &BTreeSet<String>,
    tell: Tell<'_>,
) -> Result<(), Failure> {
    let (how, host) = (&How::quick(), Host::Unknown);
    match deploy::converge(app, copy, engine, chosen, how, host)? {
        Ending::Planned(script) => tell(News::WouldRun("deploy", &script)),
        Ending::Done(_) => {}
        Ending::Failed(deployment, failure) => {
            tell(News::DeploymentFailed(&deployment));
            return Err(failure);
        }
    }
    Ok(())
}

/// Puts into the copy's folders what the manifest wants to be there.
fn fill(app: &App, copy: &System, engine: &mut Engine, tell: Tell<'_>) -> Result<(), Failure> {
    for fill in &tests(copy)?.fill {
        let spec = testing::fill(copy, fill, python_path(copy));
        if app.settings.dry_run {
            let line = argv::fill_volume(&spec, &engine.quirks);
            tell(News::WouldRunLine(engine.podman.line(&line)));
            continue;
        }
        engine.ready()?;
        app.ui
            .note(format!("filling {} by {}", fill.target, fill.script));
        pytest::fill(engine, &spec).map_err(podman_failure)?;
    }
    Ok(())
}

/// Removes a copy with everything that belongs to it. Ctrl-C does not stop
/// this: it takes seconds, and nothing of the copy must stay.
fn remove(app: &App, copy: &System) -> Result<(), Failure> {
    let app = App {
        settings: app.settings.clone(),
        ui: app.ui,
        cancel: Cancel::default(),
        run: Recorder::default(),
    };
    let engine = app.engine(copy)?;
    pytest::remove_left(&engine, &copy.name).map_err(podman_failure)?;
    let everything = Remove {
        networks: true,
        images: false,
        volumes: true,
    };
    match down::take_down(&app, copy, &engine, &[], everything, true)? {
        Ending::Failed(_, failure) => Err(failure),
        Ending::Planned(_) | Ending::Done(_) => Ok(()),
    }
}
