//! From a place in the text to line and column.

use ruff_text_size::TextSize;

/// Finds lines one after the other, by counting from the last one: imports are
/// few, and an index of all lines would cost more than all that is asked of it.
pub struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: u32,
    /// A carriage return ends a line too; most files have none.
    returns: bool,
}

impl<'a> Lines<'a> {
    pub fn new(text: &'a str) -> Self {
        Lines {
            text,
            at: 0,
            line: 1,
            returns: text.contains('\r'),
        }
    }

    /// The line of `place`, from 1.
    pub fn line(&mut self, place: TextSize) -> u32 {
        let place = place.to_usize();
        match place >= self.at {
            true => self.line += line_ends(&self.text[self.at..place], self.returns),
            false => self.line -= line_ends(&self.text[place..self.at], self.returns),
        }
        self.at = place;
        self.line
    }

    /// The number of lines, where a last one without an end counts too.
    pub fn total(&mut self) -> u32 {
        let open = !self.text.is_empty() && !self.text.ends_with(['\n', '\r']);
        let end = TextSize::try_from(self.text.len()).unwrap_or_default();
        self.line(end) - 1 + u32::from(open)
    }
}

/// Line and column of `place`, both from 1, the column in characters.
pub fn line_and_column(text: &str, place: TextSize) -> (u32, u32) {
    let place = place.to_usize().min(text.len());
    let before = &text[..text.floor_char_boundary(place)];
    let line = 1 + line_ends(before, before.contains('\r'));
    let start = before.rfind(['\n', '\r']).map_or(0, |end| end + 1);
    let column = before[start..].chars().count() + 1;
    (line, u32::try_from(column).unwrap_or(u32::MAX))
}

/// Lines end with `\n`, `\r\n` or `\r`.
fn line_ends(text: &str, returns: bool) -> u32 {
    let mut ends = text.matches('\n').count();
    if returns {
        let pairs = text.matches("\r\n").count();
        ends += text.matches('\r').count() - pairs;
    }
    u32::try_from(ends).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_characters_and_all_line_ends() {
        let text = "aé\r\nb\rc\n\nü€d";
        let at = |what: char| {
            let place = TextSize::new(text.find(what).expect("it is there") as u32);
            (line_and_column(text, place), Lines::new(text).line(place))
        };
        assert_eq!(at('a'), ((1, 1), 1));
        assert_eq!(at('b'), ((2, 1), 2));
        assert_eq!(at('c'), ((3, 1), 3));
        assert_eq!(at('d'), ((5, 3), 5));
        assert_eq!(line_and_column(text, TextSize::new(999)).0, 5);
        assert_eq!(
            [text, "", "a\n", "a\n\n"].map(|text| Lines::new(text).total()),
            [5, 0, 1, 2]
        );
    }

    #[test]
    fn places_may_be_asked_for_in_any_order() {
        let mut lines = Lines::new("a\nb\nc\n");
        let ask = [4, 0, 2, 2, 6].map(|at| lines.line(TextSize::new(at)));
        assert_eq!(ask, [3, 1, 2, 2, 4]);
    }
}
