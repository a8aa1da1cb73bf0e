//! Every cause against evidence that speaks for it, agents that need each other,
//! and what is not known.

mod evidence;
mod roots;
mod rules;
mod table;

use evidence::{agent, all};

use super::{
    causes,
    diagnose::{Diagnosis, Verdict, diagnose},
};
