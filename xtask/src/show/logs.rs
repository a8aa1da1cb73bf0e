//! Lines of logs, each with its agent's name.

use operations::{
    results::{LogLine, LogStream, Searched},
    ui::{Paint, Ui},
};

/// How a line is laid out.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Names are padded to this.
    pub width: usize,
    /// Of the agent, for its colour.
    pub position: usize,
    /// With its time.
    pub timestamps: bool,
}

/// One line.
pub fn show(ui: &Ui, line: &LogLine, look: Look) {
    if ui.json_wanted() {
        // One object a line: logs have no end that an array could close at.
        ui.out(serde_json::to_string(line).expect("strings serialise"));
        return;
    }
    let width = look.width;
    let name = ui.paint_apart(look.position, &format!("{:<width$}", line.agent));
    let time = match look.timestamps {
        true => ui.paint(Paint::Dim, &format!("{}  ", clock(&line.time))),
        false => String::new(),
    };
    let text = match line.stream {
        LogStream::Event => ui.paint(Paint::Bold, &line.text),
        LogStream::Stdout | LogStream::Stderr | LogStream::Unknown => line.text.clone(),
    };
    ui.out(format!("{time}{name}  {text}"));
}

/// How much was looked through, on stderr.
pub fn searched(ui: &Ui, searched: &Searched) {
    let (matches, lines, agents) = (searched.matches, searched.lines, searched.agents as u64);
    let count = |number: u64, one: &str, more: &str| {
        let word = if number == 1 { one } else { more };
        format!("{} {word}", grouped(number))
    };
    ui.note(format!(
        "{} in {} of {}",
        count(matches, "match", "matches"),
        count(lines, "line", "lines"),
        count(agents, "agent", "agents"),
    ));
}

/// `2026-11-30 21:40:03.676`, in the zone that it was written in.
fn clock(time: &str) -> String {
    let (date, rest) = time.split_once('T').unwrap_or(("", time));
    let end = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (seconds, fraction) = rest[..end].split_once('.').unwrap_or((&rest[..end], ""));
    let ms: String = fraction.chars().chain("000".chars()).take(3).collect();
    format!("{date} {seconds}.{ms}")
}

/// `12,431`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_of_one_length() {
        for (time, expected) in [
            (
                "2026-11-30T21:40:03.676751964+01:00",
                "2026-11-30 21:40:03.676",
            ),
            ("2026-11-30T21:40:03Z", "2026-11-30 21:40:03.000"),
            ("2026-11-30T21:40:03.5-05:00", "2026-11-30 21:40:03.500"),
        ] {
            assert_eq!(clock(time), expected);
        }
    }

    #[test]
    fn thousands_are_grouped() {
        for (number, expected) in [
            (0, "0"),
            (999, "999"),
            (12_431, "12,431"),
            (1_000_000, "1,000,000"),
        ] {
            assert_eq!(grouped(number), expected);
        }
    }
}
