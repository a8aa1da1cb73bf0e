//! Causes of a container that has ended, or ends again and again.

use crate::{
    carry_out::exit_words,
    doctor::{
        causes::cause::{Cause, Rule, deploy},
        evidence::{AgentEvidence, Evidence, Look, Standing},
    },
};

pub const RULES: &[Rule] = &[
    out_of_memory,
    command_fails,
    stopped,
    crashed,
    killed,
    ended,
    restart_loop,
];

/// 128 and the number of SIGKILL.
const KILLED: i32 = 137;
/// 128 and the number of SIGTERM, with which containers are told to stop.
const TERMINATED: i32 = 143;
/// Restarts that are more than bad luck.
const LOOP: u64 = 2;

fn out_of_memory(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let details = agent.details.seen();
    let podman = details.is_some_and(|seen| seen.oom_killed);
    let kernel = agent.killed_for_memory == Look::Seen(true);
    let usage = agent.usage.seen();
    let inside = usage.is_some_and(|usage| usage.oom_kills > 0);
    let said = super::words::out_of_memory(agent);
    // SIGKILL that nobody has sent comes from the kernel.
    let guessed = agent.exit_code() == Some(KILLED) && agent.told_to_stop == Look::Seen(false);
    if agent.healthy() && !inside {
        return None;
    }
    let (weight, evidence) = if podman {
        (98, "podman says so".to_owned())
    } else if kernel {
        (98, "the kernel's log has the kill".to_owned())
    } else if inside {
        (83, "the kernel has killed one of its processes".to_owned())
    } else if let Some(said) = said {
        (96, said)
    } else if guessed {
        let text = "killed with SIGKILL, and nobody told podman to stop it";
        (74, text.to_owned())
    } else {
        return None;
    };
    let limit_mb = details
        .map(|seen| seen.memory_limit_mb)
        .filter(|limit| *limit > 0)
        .unwrap_or(agent.wanted.memory_mb);
    let peak = usage
        .and_then(|usage| usage.memory_peak_mb)
        .map(|peak| format!("it used at most {peak} MB since its last start"));
    let title = format!("out of memory: its limit is {limit_mb} MB");
    let next = format!(
        "raise `memory_mb` of {} in the manifest (to {}, say), then {}",
        agent.wanted.name,
        limit_mb * 2,
        deploy(agent)
    );
    Some(Cause::new("out-of-memory", weight, title, evidence, next).and(peak))
}

fn command_fails(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let code = agent.exit_code().filter(|code| [126, 127].contains(code))?;
    Some(Cause::new(
        "command-fails",
        95,
        "its command cannot be run in its image",
        format!("exited with {}", exit_words(code)),
        format!(
            "fix `command` or `script` of {} in the manifest, then {}",
            agent.wanted.name,
            deploy(agent)
        ),
    ))
}

/// A stop is no crash: `deploy` stops what did not pass its gate.
fn stopped(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let code = agent.exit_code()?;
    // Nothing but a stop sends SIGTERM, whatever podman's events have.
    let told = agent.told_to_stop == Look::Seen(true) || code == TERMINATED;
    if !told {
        return None;
    }
    let evidence = match agent.told_to_stop {
        Look::Seen(true) => "podman was told to stop it".to_owned(),
        _ => format!("exited with {}", exit_words(code)),
    };
    let name = &agent.wanted.name;
    Some(Cause::new(
        "stopped",
        62,
        "it was stopped, by hand or because a deployment failed",
        evidence,
        format!(
            "{}; if that fails, `cargo xtask deploy {name} --keep` keeps it running \
             for `cargo xtask doctor {name}`",
            deploy(agent)
        ),
    ))
}

fn crashed(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let code = agent.exit_code().unwrap_or(0);
    let looping = restarts(agent) >= LOOP && !agent.healthy();
    let log = agent.log.seen();
    let raised = log.and_then(|log| log.raised.as_ref());
    let last = raised.filter(|raised| raised.last || looping);
    let told = agent.told_to_stop == Look::Seen(true);
    let by_signal = code > 128;
    let ended = matches!(agent.standing, Standing::Exited { .. }) || looping;
    if !ended || last.is_some_and(|raised| raised.importing()) {
        return None;
    }
    let words = log.and_then(|log| log.error.clone());
    let (weight, title, evidence) = match (last, words) {
        (Some(raised), _) => {
            let at = raised.at.clone().unwrap_or_else(|| "in its log".into());
            (85, format!("it crashed: {}", raised.line()), at)
        }
        (None, Some(words)) if code != 0 && !by_signal => (
            84,
            format!("it ended with an error: {words}"),
            format!("exited with {}", exit_words(code)),
        ),
        (None, _) if code != 0 && !by_signal && !told && ![126, 127].contains(&code) => (
            70,
            format!("it ended with {}", exit_words(code)),
            "its log has no traceback".to_owned(),
        ),
        _ => return None,
    };
    let name = &agent.wanted.name;
    let next =
        format!("fix the code, then cargo xtask up {name}; `cargo xtask logs {name}` has more");
    Some(Cause::new("crashed", weight, title, evidence, next))
}

fn killed(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let code = agent
        .exit_code()
        .filter(|code| (129..=192).contains(code))?;
    let told = agent.told_to_stop == Look::Seen(true);
    if told || code == TERMINATED {
        return None;
    }
    let name = &agent.wanted.name;
    Some(Cause::new(
        "killed",
        72,
        format!("it was ended by signal {}", code - 128),
        format!("exited with {}", exit_words(code)),
        format!(
            "`cargo xtask logs {name}` shows its last words; {} starts it",
            deploy(agent)
        ),
    ))
}

fn ended(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let told = agent.told_to_stop == Look::Seen(true);
    (agent.exit_code() == Some(0) && !told).then(|| {
        let (title, evidence) = match &agent.told_to_stop {
            Look::Failed(why) => (
                "it ended by itself, or was stopped",
                format!("exited with code 0; not known: {why}"),
            ),
            _ => (
                "it ended by itself, as if its work were done",
                "exited with code 0, and nobody told podman to stop it".to_owned(),
            ),
        };
        let name = &agent.wanted.name;
        Cause::new(
            "ended",
            71,
            title,
            evidence,
            format!("an agent runs until it is stopped: `cargo xtask logs {name}` shows what it did last"),
        )
    })
}

fn restart_loop(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let restarts = restarts(agent);
    (restarts >= LOOP && !agent.healthy()).then(|| {
        let name = &agent.wanted.name;
        Cause::new(
            "restart-loop",
            55,
            "it ends again and again",
            format!("podman has restarted it {restarts} times by its policy"),
            format!("cargo xtask logs {name} --tail 200"),
        )
    })
}

fn restarts(agent: &AgentEvidence) -> u64 {
    agent.details.seen().map_or(0, |seen| seen.restarts)
}
