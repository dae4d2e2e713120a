//! The language of fraud rules (docs/rules.md): from a file to what fires.
//!
//! [`parse_rules`] reads a file and checks it; [`Problem`] says what is wrong, where, and what to
//! write.
//!
//! Nothing in this crate does I/O, reads a clock or draws a random number.

mod catalogue;
mod check;
mod file;
mod problem;
mod reference;
mod syntax;
mod term;
mod types;

pub use catalogue::{Entity, WINDOWS};
pub use file::{MAX_FILE_LEN, MAX_LISTS, MAX_NAME_LEN, MAX_REASON_LEN, MAX_RULES, Mode, Rule, parse_rules};
pub use problem::Problem;
pub use reference::reference;
pub use syntax::{MAX_DEPTH, MAX_EXPRESSION_LEN, MAX_TOKENS};
