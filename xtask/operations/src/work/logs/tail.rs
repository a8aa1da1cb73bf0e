//! One log file, read as it grows: from its beginning, from its last lines, and
//! through rotation, when conmon puts a new file in its place.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::podman::log_file::{Joiner, LogRecord};

/// Longest line of the file that is read as one.
const LINE_LIMIT_BYTES: u64 = 64 * 1024;
/// Where a search for the last lines begins, from the end.
const FIRST_STEP_BYTES: u64 = 64 * 1024;
/// Lines of the other stream that may stand between the pieces of one.
const BETWEEN_MAX: usize = 16;

/// A log that is being read. Nothing of it is kept in memory but a line that is
/// not whole yet.
#[derive(Debug)]
pub struct LogTail {
    path: PathBuf,
    file: BufReader<File>,
    joiner: Joiner,
    /// The beginning of a line whose end is not written yet.
    begun: Vec<u8>,
}

impl LogTail {
    /// From its beginning.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(LogTail {
            path: path.to_owned(),
            file: BufReader::new(File::open(path)?),
            joiner: Joiner::default(),
            begun: Vec::new(),
        })
    }

    /// The next line that is whole; `None` if there is none yet.
    pub fn next(&mut self) -> Option<LogRecord> {
        loop {
            if let Some(record) = self.next_of_file() {
                return Some(record);
            }
            if !self.was_replaced() {
                return None;
            }
            // What conmon has written to the old one until then.
            if let Some(record) = self.next_of_file() {
                return Some(record);
            }
            let next = LogTail::open(&self.path).ok()?;
            // A line may go on in the new file.
            self.file = next.file;
            self.begun.clear();
        }
    }

    /// The last `count` lines, oldest first; what is read next comes after them.
    pub fn last(&mut self, count: usize) -> io::Result<VecDeque<LogRecord>> {
        let length = self.file.get_ref().metadata()?.len();
        let mut step = FIRST_STEP_BYTES;
        loop {
            let from = length.saturating_sub(step);
            self.file.seek(SeekFrom::Start(from))?;
            (self.joiner, self.begun) = (Joiner::default(), Vec::new());
            if from > 0 {
                // Most likely the middle of a line.
                let _ = self.next_line();
            }
            let (mut last, mut read) = (VecDeque::new(), 0);
            while let Some(record) = self.next_of_file() {
                read += 1;
                if count == 0 {
                    continue;
                }
                if last.len() == count {
                    last.pop_front();
                }
                last.push_back(record);
            }
            if from == 0 || read > count.saturating_add(BETWEEN_MAX) {
                return Ok(last);
            }
            step = step.saturating_mul(4);
        }
    }

    /// Beginnings of lines that nobody will end.
    pub fn rest(&mut self) -> Vec<LogRecord> {
        self.joiner.rest()
    }

    fn next_of_file(&mut self) -> Option<LogRecord> {
        loop {
            let line = self.next_line()?;
            if let Some(record) = self.joiner.push(&line) {
                return Some(record);
            }
        }
    }

    fn next_line(&mut self) -> Option<String> {
        let limit = LINE_LIMIT_BYTES.saturating_sub(self.begun.len() as u64);
        let mut bounded = (&mut self.file).take(limit);
        bounded.read_until(b'\n', &mut self.begun).ok()?;
        let whole = self.begun.ends_with(b"\n") || self.begun.len() as u64 >= LINE_LIMIT_BYTES;
        if !whole {
            return None;
        }
        let line = String::from_utf8_lossy(&self.begun)
            .trim_end_matches('\n')
            .to_owned();
        self.begun.clear();
        Some(line)
    }

    /// Another file has its place, or it was cut.
    fn was_replaced(&mut self) -> bool {
        let (Ok(there), Ok(here)) = (fs::metadata(&self.path), self.file.get_ref().metadata())
        else {
            return false;
        };
        if (there.ino(), there.dev()) != (here.ino(), here.dev()) {
            return true;
        }
        let position = self.file.stream_position().unwrap_or(0);
        here.len() < position
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::OpenOptions, io::Write};

    use super::*;

    fn append(path: &Path, text: &str) {
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn line(number: usize) -> String {
        format!("2026-11-23T00:36:07.{number:09}+00:00 stdout F line {number}\n")
    }

    fn texts(tail: &mut LogTail) -> Vec<String> {
        std::iter::from_fn(|| tail.next())
            .map(|record| record.text)
            .collect()
    }

    #[test]
    fn lines_come_when_they_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ctr.log");
        append(&path, &line(1));
        let mut tail = LogTail::open(&path).unwrap();
        assert_eq!(texts(&mut tail), ["line 1"]);
        append(&path, "2026-11-23T00:36:07.2+00:00 std");
        assert!(texts(&mut tail).is_empty());
        append(&path, "out P half \n");
        assert!(texts(&mut tail).is_empty());
        append(&path, "2026-11-23T00:36:07.3+00:00 stderr F other\n");
        append(&path, "2026-11-23T00:36:07.3+00:00 stdout F and whole\n");
        assert_eq!(texts(&mut tail), ["other", "half and whole"]);
        append(&path, "2026-11-23T00:36:07.4+00:00 stdout P never ended\n");
        assert!(texts(&mut tail).is_empty());
        assert_eq!(tail.rest()[0].text, "never ended");
    }

    #[test]
    fn a_rotated_log_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ctr.log");
        append(&path, &line(1));
        let mut tail = LogTail::open(&path).unwrap();
        assert_eq!(texts(&mut tail), ["line 1"]);
        // As conmon does it: the old one is still written to, and then replaced.
        append(&path, &line(2));
        let new = folder.path().join("ctr.log.tmp");
        append(&new, &line(3));
        fs::rename(&new, &path).unwrap();
        append(&path, &line(4));
        assert_eq!(texts(&mut tail), ["line 2", "line 3", "line 4"]);
    }

    #[test]
    fn a_log_that_was_cut_is_read_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ctr.log");
        append(&path, &(line(1) + &line(2)));
        let mut tail = LogTail::open(&path).unwrap();
        assert_eq!(texts(&mut tail), ["line 1", "line 2"]);
        fs::write(&path, line(3)).unwrap();
        assert_eq!(texts(&mut tail), ["line 3"]);
    }

    #[test]
    fn a_log_that_is_gone_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ctr.log");
        append(&path, &line(1));
        let mut tail = LogTail::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(texts(&mut tail), ["line 1"]);
    }

    #[test]
    fn the_last_lines_of_a_long_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ctr.log");
        let all: String = (1..=10_000).map(line).collect();
        append(&path, &all);
        for count in [0, 1, 50, 3_000, 10_000, 20_000] {
            let mut tail = LogTail::open(&path).unwrap();
            let last = tail.last(count).unwrap();
            assert_eq!(last.len(), count.min(10_000));
            if count > 0 {
                let first = 10_001 - count.min(10_000);
                assert_eq!(last[0].text, format!("line {first}"));
                assert_eq!(last.back().unwrap().text, "line 10000");
            }
            append(&path, "2026-11-23T00:36:08+00:00 stdout F more\n");
            assert_eq!(texts(&mut tail), ["more"]);
            fs::write(&path, &all).unwrap();
        }
    }

    #[test]
    fn bytes_that_are_no_text_do_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ctr.log");
        let mut bytes = b"2026-11-23T00:36:07+00:00 stdout F a\xff\xfeb\0\n\n\xff\n".to_vec();
        bytes.extend(std::iter::repeat_n(b'x', 200_000));
        bytes.extend_from_slice(format!("\n{}", line(2)).as_bytes());
        fs::write(&path, bytes).unwrap();
        let mut tail = LogTail::open(&path).unwrap();
        assert_eq!(texts(&mut tail), ["a\u{fffd}\u{fffd}b\0", "line 2"]);
    }
}
