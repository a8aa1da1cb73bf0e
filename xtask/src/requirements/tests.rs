//! Tests that need the whole room.

mod reference;
