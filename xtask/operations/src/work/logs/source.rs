//! Where the lines of one agent come from: its log file, read as it is needed, or
//! what podman tells of a log that cannot be read directly.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    path::Path,
};

use super::tail::LogTail;
use crate::{
    carry_out::in_one_piece,
    podman::{
        Podman, PodmanError,
        clock::nanos,
        log_file::{LogRecord, LogStream},
        run::Call,
    },
};

/// The lines of one agent, oldest first.
#[derive(Debug)]
pub struct Source {
    /// As in the manifest.
    pub agent: String,
    /// Lines that come before what the file has next.
    kept: VecDeque<LogRecord>,
    tail: Option<LogTail>,
    /// The file grows; else its last line need not be whole.
    grows: bool,
}

impl Source {
    /// The last `count` lines of a file, or all; none if there is no file (yet).
    pub fn file(agent: &str, path: &Path, count: Option<usize>, grows: bool) -> Self {
        let mut tail = LogTail::open(path).ok();
        let last = tail.as_mut().zip(count);
        let kept = last.and_then(|(tail, count)| tail.last(count).ok());
        Source {
            agent: agent.to_owned(),
            kept: kept.unwrap_or_default(),
            tail,
            grows,
        }
    }

    /// The last `count` of these lines, or all.
    pub fn told(agent: &str, mut lines: Vec<LogRecord>, count: Option<usize>) -> Self {
        let first = count.map_or(0, |count| lines.len().saturating_sub(count));
        Source {
            agent: agent.to_owned(),
            kept: lines.drain(first..).collect(),
            tail: None,
            grows: false,
        }
    }

    /// The file, behind all that has been taken.
    pub fn into_tail(self) -> Option<LogTail> {
        self.tail
    }
}

impl Iterator for Source {
    type Item = LogRecord;

    fn next(&mut self) -> Option<LogRecord> {
        if let Some(record) = self.kept.pop_front() {
            return Some(record);
        }
        let tail = self.tail.as_mut()?;
        if let Some(record) = tail.next() {
            return Some(record);
        }
        if !self.grows {
            self.kept.extend(tail.rest());
            self.tail = None;
        }
        self.kept.pop_front()
    }
}

/// Goes through all sources in the order of time; of each, one line is held.
/// Ends early when `tell` says that nobody listens any more.
pub fn merge(sources: &mut [Source], tell: &mut dyn FnMut(&str, LogRecord) -> bool) -> bool {
    let mut heads: Vec<Option<LogRecord>> = sources.iter_mut().map(Iterator::next).collect();
    let time = |record: &LogRecord| nanos(&record.time).unwrap_or(0);
    let first = heads.iter().enumerate();
    let mut queue: BinaryHeap<Reverse<(i64, usize)>> = first
        .filter_map(|(index, head)| Some(Reverse((time(head.as_ref()?), index))))
        .collect();
    while let Some(Reverse((_, index))) = queue.pop() {
        let next = sources[index].next();
        if let Some(next) = &next {
            queue.push(Reverse((time(next), index)));
        }
        let Some(record) = std::mem::replace(&mut heads[index], next) else {
            continue;
        };
        if !tell(&sources[index].agent, record) {
            return false;
        }
    }
    true
}

/// The whole log of a container as podman tells it, oldest first.
///
/// # Errors
/// podman failed.
pub fn told(
    podman: &Podman,
    agent: &str,
    container: &str,
    since: Option<i64>,
) -> Result<Vec<LogRecord>, PodmanError> {
    // Not with `--tail`: podman 4.3.1 garbles lines that were written in pieces.
    let since_s = since.map(|nanos| (nanos / 1_000_000_000).to_string());
    let mut args = vec!["logs", "--timestamps"];
    if let Some(since_s) = &since_s {
        args.extend(["--since", since_s]);
    }
    args.push(container);
    let call = Call::look(&format!("read the log of {agent}"), &args);
    let output = podman.run(&call)?;
    let streams = [
        (LogStream::Stdout, &output.stdout),
        (LogStream::Stderr, &output.stderr),
    ];
    let mut lines: Vec<LogRecord> = streams
        .into_iter()
        .flat_map(|(stream, text)| text.lines().filter_map(move |line| stamped(line, stream)))
        .collect();
    lines.sort_by_key(|record| nanos(&record.time));
    Ok(lines)
}

/// A line of `podman logs --timestamps`; `None` for what podman says besides.
pub fn stamped(line: &str, stream: LogStream) -> Option<LogRecord> {
    let (time, text) = line.split_once(' ')?;
    nanos(time)?;
    Some(LogRecord {
        time: time.to_owned(),
        stream,
        text: in_one_piece(text),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn lines_of_all_come_in_the_order_of_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        // The clock was put back an hour: zones differ, times do not.
        fs::write(
            &path,
            "2026-11-23T02:00:01.5+02:00 stdout F a1\n\
             2026-11-23T01:00:03+01:00 stderr F a2\n\
             2026-11-23T01:00:04+01:00 stderr P a3\n",
        )
        .unwrap();
        let b = ["2026-11-23T00:00:01.25Z b1", "2026-11-23T00:00:03.5Z b2"];
        let b = b.iter().filter_map(|line| stamped(line, LogStream::Stdout));
        let mut sources = [
            Source::file("a", &path, None, false),
            Source::told("b", b.collect(), None),
            Source::file("c", &folder.path().join("none"), Some(3), false),
        ];
        let mut told = Vec::new();
        merge(&mut sources, &mut |agent, record| {
            told.push(format!("{agent} {}", record.text));
            true
        });
        assert_eq!(told, ["b b1", "a a1", "a a2", "b b2", "a a3"]);
    }

    #[test]
    fn nobody_listens_any_more() {
        let lines = |count: usize| {
            let line =
                |second| stamped(&format!("2026-11-23T00:00:0{second}Z x"), LogStream::Stdout);
            (0..count).filter_map(line).collect::<Vec<_>>()
        };
        let mut sources = [Source::told("a", lines(5), Some(4))];
        let mut count = 0;
        let went_on = merge(&mut sources, &mut |_, _| {
            count += 1;
            count < 2
        });
        assert_eq!((went_on, count), (false, 2));
    }
}
