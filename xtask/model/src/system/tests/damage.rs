//! Damaged copies of the real manifest: whatever stands in the file, the answer
//! is a system or a list of problems, never a panic.

use super::{RealCopy, load_from};

/// Small and fixed, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit.max(1)
    }
}

#[test]
fn damaged_manifests_never_panic() {
    const PIECES: [&str; 16] = [
        "\"", "'''", "[", "]", "{", "}", "=", "\n", "\r\n", "é", ".", "[[", "0", "\\u0000", "#",
        "\t",
    ];
    let copy = RealCopy::new();
    let mut random = Random(1);
    let boundary = |mut at: usize| {
        while !copy.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let lines: Vec<&str> = copy.text.lines().collect();
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..900 {
        let at = boundary(random.below(copy.text.len()));
        let text = match round % 4 {
            0 => copy.text[..at].to_owned(),
            1 => format!(
                "{}{}{}",
                &copy.text[..at],
                PIECES[random.below(16)],
                &copy.text[at..]
            ),
            2 => {
                let end = boundary((at + random.below(40)).min(copy.text.len()));
                format!("{}{}", &copy.text[..at], &copy.text[end.max(at)..])
            }
            _ => {
                let mut lines = lines.clone();
                let (from, to) = (random.below(lines.len()), random.below(lines.len()));
                lines[to] = lines[from];
                lines.join("\n")
            }
        };
        copy.write(&text);
        match load_from(copy.path()) {
            Ok(_) => accepted += 1,
            Err(error) => {
                refused += 1;
                assert!(!error.render(round % 2 == 0).is_empty());
                assert!(!error.problems().is_empty());
            }
        }
    }
    // Comments can be damaged at will; most other damage must be noticed.
    assert!(
        accepted > 20 && refused > 300,
        "accepted {accepted}, refused {refused}"
    );
}

#[test]
fn other_line_ends_and_a_byte_order_mark_are_read() {
    let copy = RealCopy::new();
    copy.write(&copy.text.replace('\n', "\r\n"));
    copy.load();
    copy.write(&format!("\u{feff}{}", copy.text));
    copy.load();
    copy.write(&format!(
        "\u{feff}{}",
        copy.text.replacen("port = 7120", "port = 0", 1)
    ));
    let error = load_from(copy.path())
        .expect_err("no such port")
        .render(false);
    assert!(error.contains("port = 0\n"), "{error}");
}
