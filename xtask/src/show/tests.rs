//! Tests in containers: failures at once, and the sums at the end.

use diagnostics::{excerpt::printable, words::seconds};
use operations::{
    results::{News, Subject, TestEvent, TestOutcome, TestReport},
    ui::{Paint, Ui, table},
};

use super::script;

/// What is told while tests run.
pub fn news(ui: &Ui, news: News<'_>) {
    match news {
        News::WouldRun(command, script) => script::show(ui, command, script),
        News::WouldRunLine(line) => ui.out(line),
        News::ImagesFailed(report) if ui.json_wanted() => ui.json("build-images", report),
        News::DeploymentFailed(deployment) if ui.json_wanted() => ui.json("deploy", deployment),
        News::ImagesFailed(_) | News::DeploymentFailed(_) => {}
        News::Event(subject, event) => show_event(ui, subject, &event),
        News::Ended(subject) => show_end(ui, subject),
    }
}

/// Lines of a failure's text that are shown.
const DETAIL_LINES: usize = 40;

/// Shows a failure at once.
fn show_event(ui: &Ui, subject: &str, event: &TestEvent) {
    let (id, message, detail) = match event {
        TestEvent::Test(test) if test.outcome == TestOutcome::Failed => {
            (&test.id, &test.message, &test.detail)
        }
        TestEvent::Problem(problem) => (&problem.id, &problem.message, &problem.detail),
        _ => return,
    };
    let word = ui.paint(Paint::Bad, "FAILED");
    let mut text = format!("{word} {subject}: {id}\n  {}", printable(message));
    let lines: Vec<&str> = detail.lines().collect();
    for line in &lines[lines.len().saturating_sub(DETAIL_LINES)..] {
        text.push_str(&format!("\n  | {}", printable(line)));
    }
    ui.rendered(&text);
}

/// One line for a subject that has ended.
fn show_end(ui: &Ui, subject: &Subject) {
    let (paint, word) = match subject.good() {
        true => (Paint::Good, "passed"),
        false => (Paint::Bad, "failed"),
    };
    ui.note(format!(
        "{}  {}: {} of {} tests passed, {}",
        subject.title(),
        ui.paint(paint, word),
        subject.passed,
        subject.tests.len(),
        seconds(subject.elapsed_ms)
    ));
    if let Some(problem) = &subject.problem {
        ui.rendered(&format!("  {}", printable(problem)));
    }
}

/// All subjects, and the sums.
pub fn show(ui: &Ui, command: &str, report: &TestReport) {
    if ui.json_wanted() {
        ui.json(command, report);
        return;
    }
    let head = ["TESTS", "PASSED", "FAILED", "SKIPPED", "TIME", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(report.subjects.iter().map(|subject| {
        let failed = match subject.failed {
            0 => "0".to_owned(),
            count => ui.paint(Paint::Bad, &count.to_string()),
        };
        vec![
            subject.title(),
            subject.passed.to_string(),
            failed,
            subject.skipped.to_string(),
            seconds(subject.elapsed_ms),
            subject
                .problem
                .as_deref()
                .map(printable)
                .unwrap_or_default(),
        ]
    }));
    for line in table::render(&rows) {
        ui.out(line);
    }
    for test in report.subjects.iter().flat_map(|subject| &subject.tests) {
        if test.outcome == TestOutcome::Skipped {
            ui.out(format!("skipped {}: {}", test.id, printable(&test.message)));
        }
    }
    if !report.without_tests.is_empty() {
        ui.out(format!(
            "without tests: {}",
            report.without_tests.join(", ")
        ));
    }
    ui.out(format!(
        "{} passed, {} failed, {} skipped, {}; {}",
        report.passed,
        report.failed,
        report.skipped,
        seconds(report.elapsed_ms),
        report.junit.display()
    ));
}
