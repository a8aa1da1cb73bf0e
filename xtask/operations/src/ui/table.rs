//! Plain tables: columns aligned by what is visible, two spaces between.

/// Lines of a table; the last column is not padded.
pub fn render(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| width(cell))
                .max()
        })
        .map(Option::unwrap_or_default)
        .collect();
    rows.iter()
        .map(|row| {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                line.push_str(cell);
                if column + 1 < row.len() {
                    let pad = widths[column] - width(cell) + 2;
                    line.extend(std::iter::repeat_n(' ', pad));
                }
            }
            line.trim_end().to_owned()
        })
        .collect()
}

/// Characters shown, colour codes left out.
fn width(cell: &str) -> usize {
    let mut shown = 0;
    let mut in_code = false;
    for c in cell.chars() {
        match c {
            '\x1b' => in_code = true,
            'm' if in_code => in_code = false,
            _ if !in_code => shown += 1,
            _ => {}
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    #[test]
    fn colours_do_not_count() {
        let rows = [["\x1b[32mok\x1b[0m", "a"], ["longer", "b"]]
            .map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(
            super::render(&rows),
            ["\x1b[32mok\x1b[0m      a", "longer  b"]
        );
    }
}
