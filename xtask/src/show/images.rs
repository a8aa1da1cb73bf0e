//! What `build-images` tells at its end: each image, how large it is, what of
//! that it shares, how long it took and why it was built or left alone.

use diagnostics::words::{bytes, seconds};
use operations::{
    results::{Ended, ImageReport},
    ui::{Paint, Ui, table},
};

/// The whole report.
pub fn show(ui: &Ui, report: &ImageReport) {
    if ui.json_wanted() {
        ui.json("build-images", report);
    } else {
        print(ui, report, true);
    }
}

/// Shows the report; without `always` the table only if something was built.
pub fn print(ui: &Ui, report: &ImageReport, always: bool) {
    let built = report
        .images
        .iter()
        .filter(|image| image.result == Ended::Built);
    let built = built.count();
    if built > 0 || always {
        let lines = lines(report, |result| {
            let paint = match result {
                Ended::Built => Paint::Good,
                Ended::Failed => Paint::Bad,
                Ended::Unchanged => Paint::Dim,
                _ => Paint::Warn,
            };
            ui.paint(paint, result.as_str())
        });
        lines.into_iter().for_each(|line| ui.out(line));
    }
    let unchanged = report.images.len() - built;
    let took = seconds(report.elapsed_ms);
    ui.out(format!(
        "images: {built} built, {unchanged} unchanged, {} unique, {took}",
        bytes(report.unique_bytes)
    ));
}

fn lines(report: &ImageReport, painted: impl Fn(Ended) -> String) -> Vec<String> {
    let head = ["IMAGE", "RESULT", "SIZE", "UNIQUE", "SHARED", "TIME", "WHY"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let shown = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), bytes);
    for image in &report.images {
        let shared = match (&image.shared_with, image.layers_shared, image.layers) {
            (Some(with), Some(shared), Some(all)) => {
                let size = shown(image.shared_bytes);
                format!("{size}, {shared} of {all} layers, with {with}")
            }
            _ => "-".to_owned(),
        };
        rows.push(vec![
            image.name.clone(),
            painted(image.result),
            shown(image.size_bytes),
            shown(image.unique_bytes),
            shared,
            image.elapsed_ms.map_or_else(|| "-".to_owned(), seconds),
            image.why.clone(),
        ]);
    }
    table::render(&rows)
}

#[cfg(test)]
mod tests;
