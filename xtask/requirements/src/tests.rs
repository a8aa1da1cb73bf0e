//! Tests that need the whole room.

mod properties;
mod reference;
