//! A value and the place it was read from.

use std::ops::Deref;

use super::problem::Span;

/// A value and the place it was read from.
#[derive(Debug, Clone)]
pub struct At<T> {
    pub at: Span,
    pub value: T,
}

impl<T> Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
