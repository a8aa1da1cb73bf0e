//! Lines of logs, each with its agent's name.

use operations::{
    results::LogLine,
    ui::{Paint, Ui},
};

/// One line; names are padded to `width`.
pub fn show(ui: &Ui, line: &LogLine, width: usize) {
    if ui.json_wanted() {
        // One object a line: logs have no end that an array could close at.
        ui.out(serde_json::to_string(line).expect("strings serialise"));
        return;
    }
    let name = ui.paint(Paint::Bold, &format!("{:<width$}", line.agent));
    ui.out(format!("{name}  {}", line.text));
}
