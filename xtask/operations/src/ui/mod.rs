//! Everything that is shown: results on stdout, everything else on stderr.
//!
//! Invariant: no other module decides on colours, terminals or formats.

pub mod progress;
pub mod table;

use std::io::{IsTerminal, Write};

use diagnostics::Failure;
use serde::Serialize;

/// Version of the JSON output's shape.
pub const SCHEMA: u32 = 1;

/// How results are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Human,
    Json,
}

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy)]
pub struct Ui {
    pub format: Format,
    /// Colours on stderr and stdout.
    pub color: bool,
    /// stderr is a terminal that live lines can be drawn on.
    pub live: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    Good,
    Bad,
    Warn,
    Dim,
    Bold,
}

impl Ui {
    pub fn new(format: Format, color: Color) -> Self {
        let terminal = std::io::stderr().is_terminal()
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let wanted = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                terminal && std::io::stdout().is_terminal() && !plain
            }
        };
        Ui {
            format,
            color: wanted,
            live: terminal && format == Format::Human,
        }
    }

    pub fn json_wanted(&self) -> bool {
        self.format == Format::Json
    }

    /// A line of the result, on stdout.
    pub fn out(&self, line: impl AsRef<str>) {
        write_line(std::io::stdout().lock(), line.as_ref());
    }

    /// Nobody reads stdout any more (`| head`): those who would write for ever end.
    pub fn reader_gone(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let stdout = std::io::stdout();
        let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut polled, Some(&at_once)).is_ok() && polled[0].revents().contains(PollFlags::ERR)
    }

    /// A JSON result: `schema` and `command` beside the value's own fields. Its
    /// schema stands in docs/schema.
    pub fn json(&self, command: &str, value: &impl Serialize) {
        #[derive(Serialize)]
        struct Envelope<'a, T> {
            schema: u32,
            command: &'a str,
            #[serde(flatten)]
            value: &'a T,
        }
        let envelope = Envelope {
            schema: SCHEMA,
            command,
            value,
        };
        let text = serde_json::to_string_pretty(&envelope).expect("results have string keys only");
        self.out(text);
    }

    /// A remark, on stderr; left out where JSON is wanted.
    pub fn note(&self, line: impl AsRef<str>) {
        if !self.json_wanted() {
            write_line(std::io::stderr().lock(), line.as_ref());
        }
    }

    pub fn warn(&self, line: impl AsRef<str>) {
        let word = self.paint(Paint::Warn, "warning:");
        write_line(
            std::io::stderr().lock(),
            &format!("{word} {}", line.as_ref()),
        );
    }

    /// Text that another library has laid out, on stderr.
    pub fn rendered(&self, text: &str) {
        write_line(std::io::stderr().lock(), text.trim_end());
    }

    /// A failure with its evidence and remedy, on stderr.
    pub fn failure(&self, failure: &Failure) {
        let mut text = format!("{} {failure}", self.paint(Paint::Bad, "error:"));
        for line in &failure.detail {
            text.push_str(&format!("\n  {line}"));
        }
        if let Some(hint) = &failure.hint {
            text.push_str(&format!("\n{} {hint}", self.paint(Paint::Bold, "hint:")));
        }
        write_line(std::io::stderr().lock(), &text);
    }

    /// In the colour of the thing at this position, so that neighbours differ.
    pub fn paint_apart(&self, position: usize, text: &str) -> String {
        const CODES: [&str; 10] = ["36", "33", "32", "35", "34", "96", "93", "92", "95", "94"];
        let code = CODES[position % CODES.len()];
        self.coloured(code, text)
    }

    pub fn paint(&self, paint: Paint, text: &str) -> String {
        let code = match paint {
            Paint::Good => "32",
            Paint::Bad => "1;31",
            Paint::Warn => "33",
            Paint::Dim => "2",
            Paint::Bold => "1",
        };
        self.coloured(code, text)
    }

    fn coloured(&self, code: &str, text: &str) -> String {
        if self.color {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// What is run, on stderr.
pub fn echo(line: &str) {
    write_line(std::io::stderr().lock(), line);
}

/// A reader that has gone (`| head`) is no reason to fail.
fn write_line(mut stream: impl Write, line: &str) {
    let _ = writeln!(stream, "{line}");
}
