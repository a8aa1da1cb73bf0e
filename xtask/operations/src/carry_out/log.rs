//! The end of a container's log, as podman tells it.

use std::time::Duration;

use crate::podman::{
    Podman, PodmanError,
    run::{Call, tail},
};

/// Log lines shown of an agent that failed.
pub const LOG_LINES: usize = 15;

/// Before an empty log is read again.
pub const LAST_WORDS: Duration = Duration::from_millis(200);

/// The end of a container's log, both streams in the order of time; podman's
/// complaint if it cannot be read.
pub fn log_tail(podman: &Podman, container: &str) -> Vec<String> {
    let read = || log_lines(podman, container, LOG_LINES);
    let text = read().and_then(|lines| {
        if !lines.is_empty() {
            return Ok(lines);
        }
        // The last words of one that has just ended may still be on their way.
        std::thread::sleep(LAST_WORDS);
        read()
    });
    text.unwrap_or_else(|error| vec![error.to_string()])
}

/// The last `count` lines of a container's log, both streams in the order of
/// time, fit for a terminal. Empty also where podman knows no such container.
///
/// # Errors
/// podman did not end by itself.
pub fn log_lines(
    podman: &Podman,
    container: &str,
    count: usize,
) -> Result<Vec<String>, PodmanError> {
    // The whole of it: with `--tail`, podman 4.3.1 puts the pieces of a line that
    // was written in pieces behind the line before, the last one first. A log
    // ends at `max-size`.
    let args = ["logs", "--timestamps", container];
    let output = podman.probe(&Call::look("read the log", &args))?;
    let mut lines = tail(&output.stdout, count);
    lines.extend(tail(&output.stderr, count));
    // Times are of equal length and in UTC or one zone, so text order is time
    // order; the sort is stable, so lines of one stream keep theirs.
    lines.sort_by(|a, b| a.split(' ').next().cmp(&b.split(' ').next()));
    // A line that is just being written may be cut off within its time.
    let texts = lines.iter().filter_map(|line| line.split_once(' '));
    let mut texts: Vec<String> = texts.map(|(_, text)| in_one_piece(text)).collect();
    Ok(texts.split_off(texts.len().saturating_sub(count)))
}

/// A line without the times that podman puts before the second and each later
/// piece of it.
pub fn in_one_piece(text: &str) -> String {
    const TIME: &str = "0000-00-00T00:00:00.000000000";
    let is_time = |at: &[u8]| {
        let same = |(found, wanted): (&u8, &u8)| match wanted {
            b'0' => found.is_ascii_digit(),
            other => found == other,
        };
        at.len() >= TIME.len() && at.iter().zip(TIME.as_bytes()).all(same)
    };
    let mut whole = String::new();
    let mut rest = text;
    while let Some(at) = rest.as_bytes().windows(TIME.len()).position(is_time) {
        let behind = &rest[at + TIME.len()..];
        // `Z `, or an offset such as `+01:00 `.
        let zone = behind.split(' ').next().unwrap_or_default();
        let is_zone = zone == "Z" || zone.len() == 6 && zone.starts_with(['+', '-']);
        let end = at + TIME.len() + if is_zone { zone.len() + 1 } else { 0 };
        whole.push_str(&rest[..if is_zone { at } else { end }]);
        rest = rest.get(end..).unwrap_or_default();
    }
    whole + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_came_in_pieces_are_whole() {
        for (text, whole) in [
            (
                "   ^^2026-11-23T00:36:07.122808619Z ^^^2026-11-23T00:36:07.122817356Z ^",
                "   ^^^^^^",
            ),
            ("a2026-11-23T00:36:07.122808619+01:00 b", "ab"),
            ("ends2026-11-23T00:36:07.122808619Z", "ends"),
            (
                "at 2026-11-23T00:36:07.122808619, it said",
                "at 2026-11-23T00:36:07.122808619, it said",
            ),
            ("at 2026-11-23T00:36:07Z", "at 2026-11-23T00:36:07Z"),
            ("", ""),
        ] {
            assert_eq!(in_one_piece(text), whole, "{text}");
        }
    }
}
