//! What podman knows about single containers: how they ended, what it was told
//! to do with them, and what a program in a running one sees.
//!
//! For those who look at sick agents; planners get along with the listing of
//! `observe`. Nothing here changes a container.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::run::{Call, Podman, PodmanError};

const DOCTOR: &str = include_str!("inside/doctor.py");
/// What the program in the container gives itself, in seconds. Connections that
/// nobody answers take one.
const INSIDE_S: f64 = 2.5;

/// The state of one container, as `podman container inspect` tells it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Details {
    pub id: String,
    pub exit_code: i32,
    /// Always false before podman 5.0.
    pub oom_killed: bool,
    /// Why the last start failed; empty if it did not.
    pub error: String,
    /// Restarts by the container's restart policy.
    pub restarts: u64,
    /// Seconds since 1970; `None`: never.
    pub started_at_s: Option<i64>,
    pub finished_at_s: Option<i64>,
    /// 0: no limit.
    pub memory_limit_mb: u64,
    /// CDI names of GPUs that it was created with.
    pub gpus: Vec<String>,
}

/// Where a program in the container is to look.
#[derive(Debug, Clone, Serialize)]
pub struct Question {
    /// The agent's health port.
    pub port: u16,
    pub paths: Vec<NamedPath>,
    pub gpu: bool,
}

/// A file or folder that the agent is told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedPath {
    /// The variable, or the mount.
    pub name: String,
    pub path: String,
}

/// What it saw. What did not answer in time is missing.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Inside {
    /// Variable to how a connection to its address fared.
    #[serde(default)]
    pub addresses: BTreeMap<String, Reached>,
    /// Variable to `host:port`, all that there are.
    #[serde(default)]
    pub targets: BTreeMap<String, String>,
    /// Name to what is at its path.
    #[serde(default)]
    pub paths: BTreeMap<String, AtPath>,
    pub own_port: Option<OwnPort>,
    /// Places that can be written to, and the MiB that are left there.
    #[serde(default)]
    pub free_mb: BTreeMap<String, u64>,
    pub gpu: Option<SeenGpu>,
    /// The user id that the agent runs as.
    #[serde(default)]
    pub user: u32,
}

/// How a TCP connection fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectOutcome {
    Open,
    Refused,
    Timeout,
    UnknownName,
    Unreachable,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Reached {
    pub outcome: ConnectOutcome,
    pub error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct OwnPort {
    pub outcome: ConnectOutcome,
    /// Somebody starts to talk, as ZeroMQ does.
    pub greets: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct AtPath {
    pub kind: PathKind,
    pub readable: bool,
    /// Files in it, those that only explain not counted.
    pub files: u64,
    pub bytes: u64,
    /// The first thing in it that this user may not read.
    pub unreadable: Option<String>,
    pub error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    File,
    Folder,
    Missing,
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SeenGpu {
    pub nodes: Vec<String>,
    pub count: u64,
    pub error: Option<String>,
}

/// Containers by name, all in one call.
///
/// # Errors
/// podman failed, which it also does if one of them is gone by now.
pub fn details(podman: &Podman, names: &[&str]) -> Result<BTreeMap<String, Details>, PodmanError> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut args = vec!["container", "inspect"];
    args.extend(names);
    let inspected: Vec<Inspected> = podman.json(&Call::look("inspect containers", &args))?;
    let named = |found: Inspected| (found.name.clone(), found.into_details());
    Ok(inspected.into_iter().map(named).collect())
}

/// When podman was last told to stop or kill each of the system's containers,
/// in seconds since 1970. podman keeps no note of that in the container, and its
/// `stop` event is missing at times (podman issue 21685); before 4.6 the second
/// cleanup tells, which a stop brings and an end by itself does not (podman pull
/// request 18462).
///
/// # Errors
/// podman failed; without an events log it always does.
pub fn told_to_stop(
    podman: &Podman,
    system_label: &str,
    since_s: i64,
) -> Result<BTreeMap<String, i64>, PodmanError> {
    let (since, label) = (since_s.to_string(), format!("label={system_label}"));
    let mut args = vec!["events", "--stream=false", "--since", &since];
    args.extend(["--filter", &label, "--format", "json"]);
    for event in ["event=stop", "event=kill", "event=cleanup"] {
        args.extend(["--filter", event]);
    }
    let output = podman.run(&Call::look("read podman's events", &args))?;
    Ok(stops(&output.stdout))
}

/// One event a line; a line in a form that is not known says nothing.
fn stops(lines: &str) -> BTreeMap<String, i64> {
    /// The two cleanups of a stop come this close: one waits for the other.
    const CLOSE_MS: i64 = 500;
    let mut told: BTreeMap<String, i64> = BTreeMap::new();
    let mut cleanups: BTreeMap<String, i64> = BTreeMap::new();
    let events = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Event>(line).ok());
    for event in events {
        let Some(time_ms) = event.time_ms() else {
            continue;
        };
        let stop = match event.status.as_str() {
            "cleanup" => {
                let before = cleanups.insert(event.name.clone(), time_ms);
                before.is_some_and(|before| (time_ms - before).abs() <= CLOSE_MS)
            }
            _ => true,
        };
        if stop {
            let last = told.entry(event.name).or_default();
            *last = (time_ms / 1000).max(*last);
        }
    }
    told
}

/// Looks around in a running container, for at most `deadline_ms`.
///
/// # Errors
/// podman could not run the program in time, or it answered nonsense.
pub fn look_inside(
    podman: &Podman,
    container: &str,
    question: &Question,
    deadline_ms: u64,
) -> Result<Inside, PodmanError> {
    let mut config = serde_json::to_value(question).expect("plain data");
    config["deadline_s"] = INSIDE_S.into();
    let config = config.to_string();
    let args = ["exec", container, "python3", "-c", DOCTOR, &config];
    let call = Call::look(&format!("look into {container}"), &args);
    podman.json(&call.deadline_ms(deadline_ms))
}

/// `2026-01-02T03:04:05.678901234+01:00` in seconds since 1970; `None` for what
/// is no time, and for Go's time that was never set.
pub fn unix_time(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once('T')?;
    let mut date = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let zone_at = rest.find(['Z', '+', '-'])?;
    let (time, zone) = rest.split_at(zone_at);
    let mut time = time
        .split('.')
        .next()?
        .splitn(3, ':')
        .map(str::parse::<i64>);
    let (hour, minute, second) = (time.next()?.ok()?, time.next()?.ok()?, time.next()?.ok()?);
    let offset_s = match zone.split_at(1) {
        ("Z", _) => 0,
        (sign, clock) => {
            let (hours, minutes) = clock.split_once(':')?;
            let seconds = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
            if sign == "-" { -seconds } else { seconds }
        }
    };
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year < 1970 {
        return None;
    }
    // Days from the civil calendar: years start in March, so that the day that
    // leap years add is the last one.
    let shifted = year - i64::from(month <= 2);
    let (era, month) = (shifted.div_euclid(400), (month + 9) % 12);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second - offset_s)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    name: String,
    state: InspectedState,
    #[serde(default)]
    restart_count: u64,
    host_config: Option<InspectedHost>,
    config: Option<InspectedConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedState {
    #[serde(default)]
    exit_code: i32,
    #[serde(rename = "OOMKilled", default)]
    oom_killed: bool,
    #[serde(default)]
    error: String,
    #[serde(default)]
    started_at: String,
    #[serde(default)]
    finished_at: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedHost {
    #[serde(default)]
    memory: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedConfig {
    create_command: Option<Vec<String>>,
}

impl Inspected {
    fn into_details(self) -> Details {
        let created = self.config.and_then(|config| config.create_command);
        let words = created.unwrap_or_default().into_iter();
        Details {
            id: self.id,
            exit_code: self.state.exit_code,
            oom_killed: self.state.oom_killed,
            error: self.state.error,
            restarts: self.restart_count,
            started_at_s: unix_time(&self.state.started_at),
            finished_at_s: unix_time(&self.state.finished_at),
            memory_limit_mb: self.host_config.map_or(0, |host| host.memory >> 20),
            gpus: words
                .filter(|word| word.starts_with("nvidia.com/gpu="))
                .collect(),
        }
    }
}

/// Before podman 5.0 the time is `Time`, a text; since then `timeNano`.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Status")]
    status: String,
    #[serde(rename = "Time")]
    text: Option<String>,
    #[serde(rename = "timeNano")]
    nanoseconds: Option<i64>,
}

impl Event {
    fn time_ms(&self) -> Option<i64> {
        let new = self.nanoseconds.map(|time| time / 1_000_000);
        new.or_else(|| {
            let text = self.text.as_deref()?;
            let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
            let digits: String = fraction.chars().take_while(char::is_ascii_digit).collect();
            let ms = format!("{digits:0<3}")[..3].parse::<i64>().ok()?;
            Some(unix_time(text)? * 1000 + ms)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_podman() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-11-22T22:41:09.123456789Z", Some(1_795_387_269)),
            ("2024-02-29T12:00:00+01:00", Some(1_709_204_400)),
            ("2024-03-01T00:00:00.5-00:30", Some(1_709_253_000)),
            ("0001-01-01T00:00:00Z", None),
            ("", None),
            ("yesterday", None),
            ("2024-13-01T00:00:00Z", None),
        ] {
            assert_eq!(unix_time(text), expected, "{text}");
        }
    }

    #[test]
    fn events_of_both_kinds_of_podman() {
        let old = r#"{"Name": "a", "Status": "kill", "Time": "1970-01-01T00:01:00.25Z"}"#;
        let new = r#"{"Name": "b", "Status": "stop", "time": 61, "timeNano": 61000000000}"#;
        let found = stops(&format!("{old}\nnonsense\n{new}\n"));
        assert_eq!(found, BTreeMap::from([("a".into(), 60), ("b".into(), 61)]));
    }

    #[test]
    fn a_second_cleanup_at_once_is_a_stop() {
        let cleanup = |name: &str, time: &str| {
            format!(
                r#"{{"Name": "{name}", "Status": "cleanup", "Time": "1970-01-01T00:00:{time}Z"}}"#
            )
        };
        // `a` was stopped; `b` ended by itself, and was stopped when it was over.
        let lines = [
            cleanup("a", "10.199420699"),
            cleanup("a", "10.203656163"),
            cleanup("b", "10.1"),
            cleanup("b", "11.3"),
        ];
        assert_eq!(stops(&lines.join("\n")), BTreeMap::from([("a".into(), 10)]));
    }

    #[test]
    fn an_answer_may_lack_what_was_not_known_in_time() {
        let text =
            r#"{"user": 1000, "addresses": {}, "targets": {"A_ADDRESS": "a:1"}, "paths": {}}"#;
        let inside: Inside = serde_json::from_str(text).unwrap();
        assert_eq!(inside.targets.len(), 1);
        assert_eq!((inside.own_port, inside.gpu), (None, None));
    }
}
