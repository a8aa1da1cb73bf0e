//! How a command ends that carries out a plan.

use diagnostics::Failure;

use super::dry_run::Script;

/// What there is to tell at the end.
#[derive(Debug)]
pub enum Ending<T> {
    /// A dry run: what would be run.
    Planned(Script),
    Done(T),
    /// What was reached, and why that is not all.
    Failed(T, Failure),
}

impl<T> Ending<T> {
    /// The result with its failure, if there is one.
    pub fn new(result: T, failure: Option<Failure>) -> Self {
        match failure {
            None => Ending::Done(result),
            Some(failure) => Ending::Failed(result, failure),
        }
    }
}
