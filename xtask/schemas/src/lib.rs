//! JSON schemas of what commands write with `--format json`, made from the types
//! that are written. They stand in docs/schema, and a test keeps them up to date.
//!
//! Users' builds have no part of it: the types describe themselves only with the
//! feature `schema`, which nobody else asks for.

mod shape;
mod text;

use operations::results::{
    Creation, Deployment, DoctorReport, Explanation, Fleet, GpuReport, History, HostReport,
    ImageReport, LogLine, Preview, Rejection, Removal, Round, ScanReport, Script, SplitReport,
    TestReport, Up,
};
use schemars::JsonSchema;
use serde_json::Value;

/// The schema of one result.
#[derive(Debug)]
pub struct ResultSchema {
    /// Of its file in docs/schema.
    pub file: String,
    pub schema: Value,
}

impl ResultSchema {
    /// What stands in the file.
    pub fn text(&self) -> String {
        text::of(&self.schema)
    }
}

/// The schemas of all results.
pub fn all() -> Vec<ResultSchema> {
    vec![
        result::<HostReport>("check-toolchain"),
        result::<GpuReport>("check-gpu"),
        result::<ScanReport<'_>>("scan"),
        result::<SplitReport>("split-requirements"),
        result::<ImageReport>("build-images"),
        result::<Creation>("create-networks"),
        result::<Deployment>("deploy"),
        result::<Deployment>("rollback"),
        result::<History>("history"),
        result::<Round>("health-check"),
        result::<DoctorReport>("doctor"),
        result::<Fleet>("status"),
        line::<LogLine>("logs"),
        result::<Removal>("down"),
        result::<TestReport>("test-unit"),
        result::<TestReport>("test-integration"),
        result::<Up>("up"),
        result::<Explanation>("explain"),
        result::<Rejection>("error"),
        dry_run::<Script>("build-images"),
        dry_run::<Script>("create-networks"),
        dry_run::<Script>("deploy"),
        dry_run::<Script>("rollback"),
        dry_run::<Script>("down"),
        dry_run::<Preview>("up"),
    ]
}

/// What a command writes at its end.
fn result<T: JsonSchema>(command: &str) -> ResultSchema {
    written::<T>(command, command, &format!("`cargo xtask {command}`"))
}

/// What a command writes with `--dry-run`.
fn dry_run<T: JsonSchema>(command: &str) -> ResultSchema {
    let by = format!("`cargo xtask {command} --dry-run`");
    written::<T>(&format!("{command}-dry-run"), command, &by)
}

fn written<T: JsonSchema>(name: &str, command: &str, by: &str) -> ResultSchema {
    let title = match command {
        // Of any command.
        "error" => {
            "what any command writes with --format json about a file that it cannot use".to_owned()
        }
        _ => format!("what {by} writes with --format json"),
    };
    let mut schema = shape::of::<T>(&title);
    shape::wrap(&mut schema, command);
    ResultSchema {
        file: format!("{name}.schema.json"),
        schema: schema.to_value(),
    }
}

/// What a command writes as one object of many, each on a line.
fn line<T: JsonSchema>(command: &str) -> ResultSchema {
    let title = format!("one line of what `cargo xtask {command}` writes with --format json");
    ResultSchema {
        file: format!("{command}.schema.json"),
        schema: shape::of::<T>(&title).to_value(),
    }
}

#[cfg(test)]
mod tests;
