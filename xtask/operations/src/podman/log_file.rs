//! The logs of containers as conmon writes them (driver `k8s-file`), one record a
//! line: time, stream, `F` or `P` (the line goes on in the next record of its
//! stream), text.
//!
//! Read directly they cost no podman, which takes 33 MB and a process for each
//! container that is followed, and puts the pieces of lines in a wrong order
//! with `--tail` (both podman 4.3.1).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest line that is put together from pieces.
const LINE_LIMIT_BYTES: usize = 64 * 1024;

/// Where a line was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// One of the two: podman, which follows a log that cannot be read here, does not
    /// tell which.
    Unknown,
    /// None of the agent's: what became of its container, while it is followed.
    Event,
}

impl LogStream {
    pub fn as_str(self) -> &'static str {
        match self {
            LogStream::Stdout => "stdout",
            LogStream::Stderr => "stderr",
            LogStream::Unknown => "unknown",
            LogStream::Event => "event",
        }
    }
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// When its first piece was written, RFC 3339.
    pub time: String,
    pub stream: LogStream,
    pub text: String,
}

/// Puts the pieces of lines together.
#[derive(Debug, Default)]
pub struct Joiner {
    /// What the two streams have begun.
    begun: [Option<LogRecord>; 2],
}

impl Joiner {
    /// Takes the next line of the file; returns a line of the log when it is
    /// whole. What is no record is nothing.
    pub fn push(&mut self, line: &str) -> Option<LogRecord> {
        let mut words = line.splitn(4, ' ');
        let (time, stream, tag) = (words.next()?, words.next()?, words.next()?);
        let text = words.next().unwrap_or_default();
        let stream = match stream {
            "stdout" => LogStream::Stdout,
            "stderr" => LogStream::Stderr,
            _ => return None,
        };
        let begun = &mut self.begun[stream as usize];
        let mut record = begun.take().unwrap_or_else(|| LogRecord {
            time: time.to_owned(),
            stream,
            text: String::new(),
        });
        record.text.push_str(text);
        if tag == "P" && record.text.len() < LINE_LIMIT_BYTES {
            *begun = Some(record);
            return None;
        }
        Some(record)
    }

    /// The beginnings of lines that nobody has ended, as of a process that died.
    pub fn rest(&mut self) -> Vec<LogRecord> {
        let mut rest: Vec<LogRecord> = self.begun.iter_mut().filter_map(Option::take).collect();
        rest.sort_by(|a, b| a.time.cmp(&b.time));
        rest
    }
}

/// The file that holds the log of a container, from what `podman container
/// inspect` says of it; `None` with another driver.
pub fn path(inspected: &Value) -> Option<PathBuf> {
    let log = inspected.pointer("/HostConfig/LogConfig")?;
    let driver = log.get("Type")?.as_str()?;
    let path = log.get("Path")?.as_str()?;
    let known = ["k8s-file", "json-file"].contains(&driver) && path.starts_with('/');
    known.then(|| PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_both_streams_are_joined() {
        let mut joiner = Joiner::default();
        let mut whole = Vec::new();
        for line in [
            "2026-11-23T00:36:07.1+00:00 stdout P one ",
            "2026-11-23T00:36:07.2+00:00 stderr F from the other",
            "2026-11-23T00:36:07.3+00:00 stdout P and ",
            "no record",
            "2026-11-23T00:36:07.4+00:00 stdout F two",
            "2026-11-23T00:36:07.5+00:00 stdout F",
            "2026-11-23T00:36:07.6+00:00 stderr P cut",
        ] {
            whole.extend(joiner.push(line));
        }
        let text = |record: &LogRecord| format!("{} {}", &record.time[17..21], record.text);
        let whole: Vec<String> = whole.iter().map(text).collect();
        assert_eq!(whole, ["07.2 from the other", "07.1 one and two", "07.5 "]);
        let rest: Vec<String> = joiner.rest().iter().map(text).collect();
        assert_eq!(rest, ["07.6 cut"]);
    }

    #[test]
    fn an_endless_line_is_cut() {
        let mut joiner = Joiner::default();
        let piece = format!("2026-11-23T00:36:07.1+00:00 stdout P {}", "x".repeat(8192));
        let lines = (0..100).filter_map(|_| joiner.push(&piece));
        assert!(lines.count() > 10);
    }

    #[test]
    fn only_files_of_known_drivers_are_read() {
        let log = |driver: &str, path: &str| serde_json::json!({ "HostConfig": { "LogConfig": { "Type": driver, "Path": path } } });
        assert_eq!(path(&log("k8s-file", "/a")), Some(PathBuf::from("/a")));
        assert_eq!(path(&log("journald", "")), None);
        assert_eq!(path(&log("k8s-file", "")), None);
        assert_eq!(path(&Value::Null), None);
    }
}
