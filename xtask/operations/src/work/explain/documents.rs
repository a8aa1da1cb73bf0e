//! Findings, causes and exit codes, as docs/troubleshooting.md and the README
//! explain them: the documents are the only source of these words.
//!
//! Reads tables of Markdown and nothing else; what is told is for `explain`.

/// Embedded, so that they can be asked wherever the tool runs.
const TROUBLESHOOTING: &str = include_str!("../../../../../docs/troubleshooting.md");
const README: &str = include_str!("../../../../../README.md");

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What the first column holds, without its backticks.
    pub name: String,
    /// The heading above the table.
    pub section: &'static str,
    /// The document's path.
    pub document: &'static str,
    /// Head and cell of the other columns; empty ones are left out.
    pub columns: Vec<(String, String)>,
}

/// Every id of docs/troubleshooting.md.
pub fn findings() -> Vec<Entry> {
    entries(TROUBLESHOOTING, "docs/troubleshooting.md", "id")
}

/// Every exit code of the README.
pub fn exit_codes() -> Vec<Entry> {
    let mut codes = entries(README, "README.md", "code");
    codes.retain(|entry| entry.section == "Exit codes");
    codes
}

/// The rows of all tables whose first column is called `first`.
fn entries(text: &'static str, document: &'static str, first: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut section = "";
    let mut head: Option<Vec<String>> = None;
    for line in text.lines() {
        if line.starts_with('#') {
            section = line.trim_start_matches('#').trim();
        }
        let Some(cells) = cells(line) else {
            head = None;
            continue;
        };
        let Some(head) = &head else {
            head = Some(cells);
            continue;
        };
        let rule = cells
            .iter()
            .all(|cell| cell.chars().all(|c| "-: ".contains(c)));
        let ours = head.first().is_some_and(|name| name == first);
        let Some((name, others)) = cells.split_first().filter(|_| ours && !rule) else {
            continue;
        };
        let columns = head[1..].iter().cloned().zip(others.iter().cloned());
        entries.push(Entry {
            name: name.trim_matches('`').to_owned(),
            section,
            document,
            columns: columns
                .filter(|(_, cell)| !matches!(cell.as_str(), "" | "–"))
                .collect(),
        });
    }
    entries
}

/// The cells of a table's row; `None` for any other line.
fn cells(line: &str) -> Option<Vec<String>> {
    let inside = line.trim_end().strip_prefix('|')?.strip_suffix('|')?;
    let mut cells = vec![String::new()];
    let mut letters = inside.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            // A bar inside a cell.
            '\\' if letters.peek() == Some(&'|') => {
                letters.next();
                cells.last_mut()?.push('|');
            }
            '|' => cells.push(String::new()),
            letter => cells.last_mut()?.push(letter),
        }
    }
    Some(cells.iter().map(|cell| cell.trim().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Title\n\n## One\n\nWords | no table\n\n| id | severity | fix |\n\
        |---|:--|---|\n| `a-b` | error | run `x \\| y` |\n| `c` | ok | – |\n\n\
        | the build says | what to do |\n|---|---|\n| `d` | that |\n\n### Two\n\n\
        | id | next |\n|---|---|\n| `a-b` | other |\n";

    #[test]
    fn rows_are_read_with_their_heads() {
        let told: Vec<String> = entries(TEXT, "x.md", "id")
            .iter()
            .map(|entry| format!("{} in {}: {:?}", entry.name, entry.section, entry.columns))
            .collect();
        assert_eq!(
            told,
            [
                r#"a-b in One: [("severity", "error"), ("fix", "run `x | y`")]"#,
                r#"c in One: [("severity", "ok")]"#,
                r#"a-b in Two: [("next", "other")]"#,
            ]
        );
        assert_eq!(entries(TEXT, "x.md", "code"), []);
        assert_eq!(entries("", "x.md", "id"), []);
    }

    #[test]
    fn lines_are_taken_apart_at_bars() {
        assert_eq!(cells("| a | b |"), Some(vec!["a".into(), "b".into()]));
        assert_eq!(cells("||"), Some(vec![String::new()]));
        for no_row in ["", "a | b", "| a", "|", "    | a |"] {
            assert_eq!(cells(no_row), None, "{no_row}");
        }
    }

    /// Found here by the tables, and there by no more than the look of a line.
    #[test]
    fn every_id_of_the_document_is_found() {
        let rows = TROUBLESHOOTING
            .split("\n## Symptoms")
            .next()
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
        let ids: Vec<&str> = rows.map(|(id, _)| id).collect();
        assert!(ids.len() > 150, "only {}", ids.len());
        let found = findings();
        let names: Vec<&str> = found.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ids);
        for entry in &found {
            assert!(
                !entry.columns.is_empty() && !entry.section.is_empty(),
                "{entry:?}"
            );
        }
    }

    #[test]
    fn every_exit_code_is_found() {
        use diagnostics::Exit;
        let codes = exit_codes();
        let names: Vec<&str> = codes.iter().map(|entry| entry.name.as_str()).collect();
        for code in [Exit::Other, Exit::Usage, Exit::Conflict, Exit::Interrupted] {
            assert!(
                names.contains(&(code as u8).to_string().as_str()),
                "{names:?}"
            );
        }
        assert_eq!((names.first(), names.len()), (Some(&"0"), 13));
    }
}
