//! The tables of docs/manifest.md, made from the table of fields. The text
//! around them is written by hand.

use super::{Section, sections};

const END: &str = "<!-- end -->";

/// `text` with the tables between its markers made anew.
pub fn with_tables(text: &str) -> Result<String, String> {
    let mut made = text.to_owned();
    for section in sections() {
        let begin = format!("<!-- fields: {} -->", section.id);
        let (before, rest) = made
            .split_once(&begin)
            .ok_or_else(|| format!("has no `{begin}`"))?;
        let (_, after) = rest
            .split_once(END)
            .ok_or_else(|| format!("has no `{END}` behind `{begin}`"))?;
        made = format!("{before}{begin}\n\n{}\n{END}{after}", table(section));
    }
    match made.matches("<!-- fields: ").count() {
        count if count == sections().len() => Ok(made),
        _ => Err("has a marker for a table that there is not, or one twice".to_owned()),
    }
}

fn table(section: &Section) -> String {
    let mut rows =
        String::from("| field | type | default | meaning | example |\n|---|---|---|---|---|\n");
    for field in section.fields {
        let cells = [
            format!("`{}`", field.key),
            field.kind.words(),
            field.absent.words(),
            field.meaning.to_owned(),
            format!("`{}`", field.example),
        ];
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        rows.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    rows
}

#[test]
fn a_document_without_its_markers_is_refused() {
    let marked: Vec<String> = sections()
        .iter()
        .map(|section| format!("<!-- fields: {} -->STALE{END}", section.id))
        .collect();
    let good = marked.join("\n");
    let made = with_tables(&good).expect("all markers");
    assert!(!made.contains("STALE") && made.contains("| `memory_mb` | integer | 512 |"));
    assert_eq!(with_tables(&made), Ok(made.clone()));
    let lost = good.replace("<!-- fields: agents -->", "");
    assert_eq!(
        with_tables(&lost),
        Err("has no `<!-- fields: agents -->`".to_owned())
    );
    assert!(with_tables(&format!("{good}<!-- fields: attic -->")).is_err());
    assert!(with_tables(&good.replace(END, "")).is_err());
}
