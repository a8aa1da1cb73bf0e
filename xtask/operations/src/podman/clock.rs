//! Times as podman writes them, as numbers that can be compared, and back.

use std::time::{SystemTime, UNIX_EPOCH};

use super::inspect::unix_time;

const DAY_S: i64 = 86_400;

/// Nanoseconds since 1970 of `2026-01-02T03:04:05.678901234+01:00`; `None` for
/// what is no time, and for Go's time that was never set.
pub fn nanos(text: &str) -> Option<i64> {
    let seconds = unix_time(text)?;
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    let mut nanos = 0;
    for digit in fraction.bytes().chain(*b"000000000").take(9) {
        let digit = if digit.is_ascii_digit() { digit } else { b'0' };
        nanos = nanos * 10 + i64::from(digit - b'0');
    }
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

/// Seconds since 1970 as RFC 3339, in UTC.
pub fn rfc3339(unix_s: i64) -> String {
    let (days, rest) = (unix_s.div_euclid(DAY_S), unix_s.rem_euclid(DAY_S));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Now, in seconds since 1970.
pub fn now_s() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.map_or(0, |elapsed| elapsed.as_secs() as i64)
}

/// Year, month and day of a day since 1970. Years start in March here, so that
/// the day that leap years add is the last one.
pub fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2024-02-29T11:00:00Z", 1_709_204_400),
            ("2024-12-31T23:59:59Z", 1_735_689_599),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
        ] {
            assert_eq!(rfc3339(seconds), text);
            assert_eq!(nanos(text), Some(seconds * 1_000_000_000), "{text}");
        }
    }

    #[test]
    fn fractions_and_zones_compare() {
        let at = |text| nanos(text).unwrap();
        assert_eq!(at("1970-01-01T00:00:01.5Z"), 1_500_000_000);
        assert_eq!(at("1970-01-01T01:00:00.000000007+01:00"), 7);
        assert!(at("1970-01-01T00:00:00.25+00:00") < at("1970-01-01T00:00:00.3Z"));
        assert_eq!(nanos("0001-01-01T00:00:00Z"), None);
        assert_eq!(nanos("no time"), None);
    }
}
