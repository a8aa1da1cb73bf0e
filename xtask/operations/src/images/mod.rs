//! The files behind the images.

pub mod base_digest;
pub mod bill;
pub mod recipes;
