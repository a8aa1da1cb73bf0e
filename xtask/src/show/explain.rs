//! How explanations are laid out for people.

use operations::{
    results::{EntryTopic, Explanation, FieldRow, FieldTopic, NameGroup, TableTopic, Topic},
    ui::{Paint, Ui, table as grid},
};

/// No line is longer, unless a single word is.
const WIDTH: usize = 100;

/// All that a name stands for, or all names that can be explained.
pub fn show(ui: &Ui, explanation: &Explanation) {
    if ui.json_wanted() {
        ui.json("explain", explanation);
        return;
    }
    let lines = match explanation {
        Explanation::Topics { topics } => blocks(ui, topics),
        Explanation::Names { groups } => list(ui, groups),
    };
    lines.iter().for_each(|line| ui.out(line));
}

/// One block for each topic, with an empty line between.
fn blocks(ui: &Ui, topics: &[Topic]) -> Vec<String> {
    let mut lines = Vec::new();
    for topic in topics {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(block(ui, topic));
    }
    lines
}

fn block(ui: &Ui, topic: &Topic) -> Vec<String> {
    match topic {
        Topic::Field(topic) => field(ui, topic),
        Topic::Table(topic) => table(ui, topic),
        Topic::Entry(topic) => entry(ui, topic),
    }
}

fn headline(ui: &Ui, name: &str, what: &str) -> String {
    format!("{}: {what}", ui.paint(Paint::Bold, name))
}

fn field(ui: &Ui, topic: &FieldTopic) -> Vec<String> {
    let what = format!("a field of {}", topic.titles.join(" and "));
    let kind = match &topic.limits {
        Some(limits) => format!("{}: {limits}", topic.kind),
        None => topic.kind.clone(),
    };
    let default = match (&topic.default, topic.required) {
        (_, true) => "none; it is required",
        (Some(default), false) => default,
        (None, false) => "none",
    };
    let example = match topic.header {
        true => topic.example.to_owned(),
        false => format!("{} = {}", topic.name, topic.example),
    };
    let mut lines = vec![headline(ui, topic.name, &what)];
    lines.extend(wrapped("  ", "  ", topic.meaning));
    lines.extend(values(&[
        ("type", &kind),
        ("default", default),
        ("example", &example),
    ]));
    lines
}

fn table(ui: &Ui, topic: &TableTopic) -> Vec<String> {
    let mut lines = vec![headline(ui, topic.name, &topic.titles.join(" and "))];
    lines.extend(wrapped("  ", "  ", topic.meaning));
    let row = |field: &FieldRow| {
        let name = format!("  {}", field.name);
        vec![name, field.kind.clone(), field.default.clone()]
    };
    let rows: Vec<Vec<String>> = topic.fields.iter().map(row).collect();
    lines.extend(grid::render(&rows));
    if !topic.shared.is_empty() {
        let shared = format!("shared with other tables: {}", topic.shared.join(" "));
        lines.extend(wrapped("  ", "  ", &shared));
    }
    lines
}

fn entry(ui: &Ui, topic: &EntryTopic) -> Vec<String> {
    let what = format!("{} ({})", topic.section, topic.document);
    let columns = topic.columns.iter();
    let pairs: Vec<(&str, &str)> = columns
        .map(|column| (column.name.as_str(), column.text.as_str()))
        .collect();
    let mut lines = vec![headline(ui, &topic.name, &what)];
    lines.extend(values(&pairs));
    lines
}

/// Names in a column, values wrapped beside them.
fn values(pairs: &[(&str, &str)]) -> Vec<String> {
    let width = pairs
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    let indent = " ".repeat(width + 4);
    let line = |(name, text): &(&str, &str)| wrapped(&format!("  {name:width$}  "), &indent, text);
    pairs.iter().flat_map(line).collect()
}

/// All names that can be explained, by group.
fn list(ui: &Ui, groups: &[NameGroup]) -> Vec<String> {
    let mut lines = vec![ui.paint(
        Paint::Bold,
        "Fields of the manifest, by table (docs/manifest.md)",
    )];
    let (fields, others): (Vec<&NameGroup>, Vec<&NameGroup>) = groups
        .iter()
        .partition(|group| group.document == "docs/manifest.md");
    let joined: Vec<String> = fields.iter().map(|group| group.names.join(" ")).collect();
    let titles = fields.iter().map(|group| group.title.as_str());
    let pairs: Vec<(&str, &str)> = titles.zip(joined.iter().map(String::as_str)).collect();
    lines.extend(values(&pairs));
    for group in others {
        let title = format!("{} ({})", group.title, group.document);
        lines.push(String::new());
        lines.push(ui.paint(Paint::Bold, &title));
        lines.extend(wrapped("  ", "  ", &group.names.join(" ")));
    }
    lines
}

/// `text` in lines, the first behind `first` and the others behind `next`.
fn wrapped(first: &str, next: &str, text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = first.to_owned();
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(std::mem::replace(&mut line, next.to_owned()));
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests;
