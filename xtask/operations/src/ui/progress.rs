//! One line per agent, image or network while a plan is carried out: live on
//! a terminal, one plain line per change elsewhere, none for JSON.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use diagnostics::words::seconds;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use model::plan::{Action, Plan, Step};

use super::{Paint, Ui};
use crate::carry_out::{Event, StepResult, Watch};

/// With more lines than this a terminal scrolls; plain lines read better then.
const LIVE_ROWS: usize = 24;

#[derive(Debug)]
pub struct Progress {
    ui: Ui,
    live: Option<MultiProgress>,
    rows: Mutex<BTreeMap<String, Row>>,
    /// Position of each subject's last step: its end is the subject's.
    last: BTreeMap<String, usize>,
    width: usize,
}

#[derive(Debug)]
struct Row {
    bar: Option<ProgressBar>,
    /// Agents whose gates are still waited for.
    waits: BTreeSet<String>,
    started: Option<Instant>,
    over: bool,
}

impl Progress {
    pub fn new(ui: Ui, plan: &Plan) -> Self {
        let mut last = BTreeMap::new();
        let mut order: Vec<&str> = Vec::new();
        for (position, step) in plan.steps.iter().enumerate() {
            if last.insert(step.subject.clone(), position).is_none() {
                order.push(&step.subject);
            }
        }
        let width = order.iter().map(|subject| subject.len()).max().unwrap_or(0);
        let live = (ui.live && order.len() <= LIVE_ROWS)
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(12)));
        let progress = Progress {
            ui,
            live,
            rows: Mutex::default(),
            last,
            width,
        };
        let rows = order
            .iter()
            .map(|subject| ((*subject).to_owned(), progress.row(plan, subject)))
            .collect();
        *progress.rows.lock().unwrap_or_else(PoisonError::into_inner) = rows;
        progress
    }

    fn row(&self, plan: &Plan, subject: &str) -> Row {
        let waits: BTreeSet<String> = plan
            .steps
            .iter()
            .filter(|step| {
                step.subject == subject && !matches!(step.action, Action::RemoveContainer { .. })
            })
            .flat_map(|step| &step.after)
            .map(|position| &plan.steps[*position])
            .filter(|step| step.subject != subject && awaited(&step.action))
            .map(|step| step.subject.clone())
            .collect();
        let bar = self.live.as_ref().map(|live| {
            let bar = live.add(ProgressBar::new_spinner());
            let template = format!("{{spinner}} {{prefix:<{}}}  {{wide_msg}}", self.width);
            let style = ProgressStyle::with_template(&template).expect("the template is valid");
            bar.set_style(style.tick_strings(&["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", " "]));
            bar.set_prefix(subject.to_owned());
            bar.set_message(self.waiting(&waits));
            bar
        });
        Row {
            bar,
            waits,
            started: None,
            over: false,
        }
    }

    fn waiting(&self, waits: &BTreeSet<String>) -> String {
        if waits.is_empty() {
            return String::new();
        }
        let names: Vec<&str> = waits.iter().map(String::as_str).collect();
        let names = match names.len() {
            0..=3 => names.join(", "),
            count => format!("{count} others"),
        };
        self.ui.paint(Paint::Dim, &format!("waiting for {names}"))
    }

    /// A state that may be gone in a moment: not worth a plain line.
    fn passing(row: &Row, text: &str) {
        if let (Some(bar), false) = (&row.bar, row.over) {
            bar.set_message(text.to_owned());
        }
    }

    /// A state worth a line of its own.
    fn lasting(&self, subject: &str, row: &Row, text: &str) {
        match &row.bar {
            Some(bar) if !row.over => {
                bar.set_message(text.to_owned());
                bar.enable_steady_tick(Duration::from_millis(90));
            }
            Some(_) => {}
            None => self
                .ui
                .note(format!("{subject:<width$}  {text}", width = self.width)),
        }
    }

    fn end(&self, subject: &str, row: &mut Row, text: &str) {
        self.lasting(subject, row, text);
        if let Some(bar) = &row.bar {
            bar.disable_steady_tick();
            bar.finish();
        }
        row.over = true;
    }

    fn ended(
        &self,
        rows: &mut BTreeMap<String, Row>,
        position: usize,
        step: &Step,
        result: &StepResult,
    ) {
        let is_last = self.last.get(&step.subject) == Some(&position);
        let gate = matches!(step.action, Action::Gate(_));
        let done = matches!(result, StepResult::Done { .. });
        // An image is waited for until its packages have been imported.
        if done && awaited(&step.action) && (is_last || gate) {
            for row in rows.values_mut() {
                if row.waits.remove(&step.subject) {
                    Self::passing(row, &self.waiting(&row.waits.clone()));
                }
            }
        }
        let Some(row) = rows.get_mut(&step.subject).filter(|row| !row.over) else {
            return;
        };
        let took = row
            .started
            .map_or(0, |started| started.elapsed().as_millis() as u64);
        let (paint, text) = match result {
            StepResult::Done { .. } if !is_last && !gate => return,
            StepResult::Done { passed, .. } => {
                let words = step.action.words();
                let took = match words.timed {
                    true => format!(" in {}", seconds(took)),
                    false => String::new(),
                };
                let again = match passed.map_or(1, |passed| passed.attempts) {
                    1 => String::new(),
                    attempts => format!(" (attempt {attempts})"),
                };
                (Paint::Good, format!("{}{took}{again}", words.done))
            }
            StepResult::Failed(failure) => {
                let restored = if failure.restored && step.on_failure.len() > 1 {
                    "; the former state is restored"
                } else {
                    ""
                };
                let reason = failure.reason.short();
                let text = format!("failed: {}{restored}", first_line(&reason));
                (Paint::Bad, text)
            }
            StepResult::Blocked { .. } => {
                let text = "not started: what it needs has failed";
                (Paint::Warn, text.to_owned())
            }
            StepResult::PutBack(None) => {
                let text = "interrupted; the former state is restored";
                (Paint::Warn, text.to_owned())
            }
            StepResult::PutBack(Some(reason)) => {
                let text = format!("not restored: {}", first_line(&reason.short()));
                (Paint::Bad, text)
            }
            StepResult::Cancelled | StepResult::Spared => return,
        };
        self.end(&step.subject, row, &self.ui.paint(paint, &text));
    }
}

impl Watch for Progress {
    fn event(&self, position: usize, step: &Step, event: Event<'_>) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started => {
                let Some(row) = rows.get_mut(&step.subject) else {
                    return;
                };
                // What comes ahead of time is not what the display times.
                match step.action {
                    Action::StartContainer { .. } | Action::BuildImage(_) => {
                        row.started = Some(Instant::now());
                    }
                    _ => drop(row.started.get_or_insert_with(Instant::now)),
                }
                if let Some(word) = step.action.words().doing {
                    self.lasting(&step.subject, row, &format!("{word} ({})", step.cause));
                }
            }
            Event::Progress(line) => {
                let Some(row) = rows.get(&step.subject) else {
                    return;
                };
                // `STEP 2/7: RUN …`, behind `[1/2] ` where a file has stages.
                match (&step.action, line.split_once("STEP ")) {
                    (Action::BuildImage(_) | Action::FetchPackages(_), Some((_, stage))) => {
                        self.lasting(&step.subject, row, &self.ui.paint(Paint::Dim, stage));
                    }
                    (Action::EnsureBase(_), _) if !line.starts_with("I:") => {
                        self.lasting(&step.subject, row, &self.ui.paint(Paint::Dim, line));
                    }
                    (
                        Action::BuildImage(_) | Action::FetchPackages(_) | Action::EnsureBase(_),
                        _,
                    ) => {}
                    _ => Self::passing(row, line),
                }
            }
            Event::Ended(result) => self.ended(&mut rows, position, step, result),
        }
    }
}

impl Drop for Progress {
    /// Leaves the lines as they are, and the cursor below them.
    fn drop(&mut self) {
        let rows = self.rows.get_mut().unwrap_or_else(PoisonError::into_inner);
        for row in rows.values() {
            if let Some(bar) = row.bar.as_ref().filter(|_| !row.over) {
                bar.disable_steady_tick();
                bar.abandon();
            }
        }
    }
}

fn awaited(action: &Action) -> bool {
    matches!(
        action,
        Action::Gate(_)
            | Action::BuildImage(_)
            | Action::SmokeTest(_)
            | Action::TagImage { .. }
            | Action::EnsureBase(_)
    )
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
