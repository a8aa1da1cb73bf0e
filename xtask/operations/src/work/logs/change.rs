//! What became of a container between two looks at it. Pure.

use crate::podman::seen::Seen;

/// What those who follow its agent are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It runs, and was not there or did not run.
    Started,
    /// It ended and runs again; its exit code, if it is known already.
    Restarted(Option<i32>),
    /// Another container has its name.
    Replaced,
    /// It ended, and does not run.
    Exited(i32),
    /// There is no container of this name.
    Removed,
}

/// From what was told last to what is. A container that has ended or is gone may
/// be back or have a successor in a moment, so that is told when it is no longer
/// `fresh`.
pub fn change(told: Option<&Seen>, now: Option<&Seen>, fresh: bool) -> Option<Change> {
    match (told, now) {
        (None, None) => None,
        (None, Some(now)) => now.running.then_some(Change::Started),
        (Some(_), None) => (!fresh).then_some(Change::Removed),
        (Some(told), Some(now)) if told.id != now.id => Some(Change::Replaced),
        (Some(told), Some(now)) => match (told.running, now.running) {
            (true, true) if told.pid != now.pid || told.started != now.started => {
                Some(Change::Restarted(None))
            }
            (true, false) => (!fresh).then_some(Change::Exited(now.exit_code)),
            (false, true) => Some(Change::Started),
            _ => None,
        },
    }
}

impl Change {
    /// `── EmotionEngine restarted (exit 137) ──`
    pub fn words(self, agent: &str) -> String {
        let what = match self {
            Change::Started => "started".to_owned(),
            Change::Restarted(Some(code)) => format!("restarted (exit {code})"),
            Change::Restarted(None) => "restarted".to_owned(),
            Change::Replaced => "replaced".to_owned(),
            Change::Exited(code) => format!("exited (exit {code})"),
            Change::Removed => "removed".to_owned(),
        };
        format!("── {agent} {what} ──")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(id: &str, pid: u32) -> Option<Seen> {
        Some(Seen {
            id: id.to_owned(),
            pid,
            running: pid > 0,
            exit_code: 137,
            ..Seen::default()
        })
    }

    #[test]
    fn every_change_has_its_word() {
        let (run, again, ended, other) = (seen("a", 1), seen("a", 2), seen("a", 0), seen("b", 3));
        let other_ended = seen("b", 0);
        for (told, now, fresh, expected) in [
            (&run, &run, true, ""),
            (&run, &again, true, "restarted"),
            (&run, &ended, true, ""),
            (&run, &ended, false, "exited (exit 137)"),
            (&ended, &ended, false, ""),
            (&ended, &run, true, "started"),
            (&run, &other, true, "replaced"),
            (&run, &other_ended, true, "replaced"),
            (&run, &None, true, ""),
            (&run, &None, false, "removed"),
            (&None, &None, false, ""),
            (&None, &other_ended, true, ""),
            (&None, &other, true, "started"),
        ] {
            let found = change(told.as_ref(), now.as_ref(), fresh);
            let words = found.map_or_else(String::new, |found| found.words("X"));
            let expected = match expected {
                "" => String::new(),
                words => format!("── X {words} ──"),
            };
            assert_eq!(words, expected, "{told:?} {now:?} {fresh}");
        }
    }
}
