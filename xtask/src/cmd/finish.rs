//! The end of a command that carries out a plan.

use diagnostics::Failure;
use operations::work::{App, ending::Ending};
use serde::Serialize;

use crate::show;

/// The result of a command that carries out a plan; `None` after a dry run, which
/// has been shown. A failed one is told as values where these are wanted.
pub fn finish<T: Serialize>(
    app: &App,
    command: &str,
    ending: Ending<T>,
) -> Result<Option<T>, Failure> {
    match ending {
        Ending::Planned(script) => {
            show::script::show(&app.ui, command, &script);
            Ok(None)
        }
        Ending::Done(result) => Ok(Some(result)),
        Ending::Failed(result, failure) => {
            if app.ui.json_wanted() {
                app.ui.json(command, &result);
            }
            Err(failure)
        }
    }
}
