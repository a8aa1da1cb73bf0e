//! Durations on the command line.

/// `10s`, `500ms`, `2m` or a plain number of seconds, in milliseconds.
pub fn duration_ms(text: &str) -> Result<u64, String> {
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "ms" => 1.0,
        "" | "s" => 1e3,
        "m" => 60e3,
        "h" => 3600e3,
        _ => return Err(format!("unknown unit `{unit}`; use ms, s, m or h")),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| "expected a number such as 10s".to_owned())?;
    let ms = number * factor;
    if ms > 7.0 * 24.0 * 3600e3 {
        return Err("longer than a week".to_owned());
    }
    Ok(ms as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration_ms("10s"), Ok(10_000));
        assert_eq!(duration_ms("1.5"), Ok(1_500));
        assert_eq!(duration_ms("250ms"), Ok(250));
        assert_eq!(duration_ms("2m"), Ok(120_000));
        for wrong in ["", "s", "-1s", "10 parsecs", "1..2s", "999999h"] {
            assert!(duration_ms(wrong).is_err(), "{wrong}");
        }
    }
}
