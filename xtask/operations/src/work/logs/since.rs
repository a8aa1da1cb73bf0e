//! Times on the command line: `10m`, `yesterday`, `14:30`, `2026-11-30 14:30`.

use process::{Cancel, Command, OnCancel};

use crate::podman::clock::{civil, nanos, now_s};

const DAY_S: i64 = 86_400;
const FORMS: &str = "use `10m`, `2h30m`, `3d`, `today`, `yesterday`, `14:30`, `2026-11-30`, `2026-11-30 14:30` or RFC 3339";

/// A time in the past, in nanoseconds since 1970.
///
/// # Errors
/// What is wrong, for a message about the command line.
pub fn parse_since(text: &str) -> Result<i64, String> {
    parse(text, now_s(), &local_offset_s)
}

/// `offset_s` gives the local time's distance to UTC at a moment, or `None`.
fn parse(text: &str, now_s: i64, offset_s: &dyn Fn(i64) -> Option<i64>) -> Result<i64, String> {
    let text = text.trim();
    let at = |unix_s: i64| {
        if unix_s > now_s {
            return Err("this is in the future".to_owned());
        }
        let nanos = unix_s.checked_mul(1_000_000_000);
        nanos.ok_or_else(|| "this is too long ago".to_owned())
    };
    if let Some(ago_s) = duration_s(text) {
        return at(now_s.saturating_sub(ago_s));
    }
    if let Some(nanos) = nanos(text) {
        return at(nanos / 1_000_000_000).map(|_| nanos);
    }
    let (date, time) = wall(text, now_s, offset_s)?;
    let unknown = || {
        "the local time zone is not known here; give the time in full, with its zone, as RFC 3339 has it".to_owned()
    };
    let local_s = date * DAY_S + time;
    let offset = offset_s(local_s).ok_or_else(unknown)?;
    at(local_s - offset)
}

/// Day since 1970 and second of it, by the local clock.
fn wall(
    text: &str,
    now_s: i64,
    offset_s: &dyn Fn(i64) -> Option<i64>,
) -> Result<(i64, i64), String> {
    let wrong = || format!("this is no time that is understood; {FORMS}");
    let today = (now_s + offset_s(now_s).unwrap_or(0)).div_euclid(DAY_S);
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None if text.contains(':') => ("today", Some(text)),
        None => (text, None),
    };
    let day = match date {
        "today" => today,
        "yesterday" => today - 1,
        date => nanos(&format!("{date}T00:00:00Z"))
            .map(|nanos| nanos / 1_000_000_000 / DAY_S)
            // The 31st of November would be another day.
            .filter(|day| date == civil_text(*day))
            .ok_or_else(wrong)?,
    };
    let time = time.map_or(Some(0), clock_s).ok_or_else(wrong)?;
    Ok((day, time))
}

fn civil_text(day: i64) -> String {
    let (year, month, day) = civil(day);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `14:30` or `14:30:05`, as a second of the day.
fn clock_s(text: &str) -> Option<i64> {
    let parts: Vec<&str> = text.split(':').collect();
    let number = |text: &str, below: i64| {
        let plain = !text.is_empty() && text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit());
        let value: i64 = text.parse().ok().filter(|_| plain)?;
        (value < below).then_some(value)
    };
    match parts[..] {
        [hour, minute] => Some(number(hour, 24)? * 3600 + number(minute, 60)? * 60),
        [hour, minute, second] => {
            Some(number(hour, 24)? * 3600 + number(minute, 60)? * 60 + number(second, 60)?)
        }
        _ => None,
    }
}

/// `90s`, `5min`, `2h30m`, `3 days ago`.
fn duration_s(text: &str) -> Option<i64> {
    let text = text.strip_suffix("ago").unwrap_or(text).trim();
    let mut rest = text;
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        let tail = rest[digits..].trim_start();
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic());
        let (unit, after) = tail.split_at(letters.unwrap_or(tail.len()));
        let unit_s = match unit {
            "s" | "sec" | "second" | "seconds" => 1,
            "m" | "min" | "minute" | "minutes" => 60,
            "h" | "hour" | "hours" => 3600,
            "d" | "day" | "days" => DAY_S,
            "w" | "week" | "weeks" => 7 * DAY_S,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit_s)?)?;
        rest = after.trim_start();
    }
    (!text.is_empty()).then_some(total)
}

/// What `date` says of the local time zone at that moment.
fn local_offset_s(unix_s: i64) -> Option<i64> {
    let moment = format!("@{unix_s}");
    let date = Command::new("date", &["-d", &moment, "+%z"])
        .deadline_ms(5_000)
        .on_cancel(OnCancel::End);
    let output = date.run(&Cancel::default(), None).ok()?;
    let zone = output.stdout.trim();
    let (sign, clock) = (zone.get(..1)?, zone.get(1..)?);
    let (hours, minutes): (i64, i64) = (
        clock.get(..2)?.parse().ok()?,
        clock.get(2..4)?.parse().ok()?,
    );
    let offset = hours * 3600 + minutes * 60;
    Some(if sign == "-" { -offset } else { offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-30T21:40:00Z, for a clock one hour ahead of UTC.
    const NOW_S: i64 = 1_796_074_800;

    fn since(text: &str) -> Result<i64, String> {
        parse(text, NOW_S, &|_| Some(3600)).map(|nanos| nanos / 1_000_000_000 - NOW_S)
    }

    #[test]
    fn times_of_many_forms() {
        for (text, before_now_s) in [
            ("0s", 0),
            ("90s", -90),
            ("5min", -300),
            ("5 minutes ago", -300),
            ("2h30m", -9000),
            ("3d", -3 * DAY_S),
            ("1 week", -7 * DAY_S),
            // It is 22:40 here.
            ("today", -(22 * 3600 + 40 * 60)),
            ("yesterday", -(46 * 3600 + 40 * 60)),
            ("yesterday 22:40", -DAY_S),
            ("22:30", -600),
            ("22:39:58", -2),
            ("2026-11-30", -(22 * 3600 + 40 * 60)),
            ("2026-11-30 22:00", -2400),
            ("2026-11-30T22:00", -2400),
            ("2026-11-30T21:00:00Z", -2400),
            ("2026-11-30T23:00:00.5+02:00", -2400),
        ] {
            assert_eq!(since(text), Ok(before_now_s), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "ago",
            "5",
            "5parsecs",
            "-5m",
            "yesterdays",
            "25:00",
            "12:60",
            "1:2:3:4",
            "2026-13-01",
            "2026-11-31",
            "noon",
            "5m yesterday",
            "99999999999999999999d",
            "12:",
            "+1:00",
        ] {
            let problem = since(text).expect_err(text);
            assert!(problem.contains("understood"), "{text}: {problem}");
        }
        for text in ["23:00", "2026-12-24", "2030-01-01T00:00:00Z"] {
            assert_eq!(
                since(text),
                Err("this is in the future".to_owned()),
                "{text}"
            );
        }
        let nowhere = parse("yesterday", NOW_S, &|_| None).unwrap_err();
        assert!(nowhere.contains("RFC 3339"), "{nowhere}");
    }
}
