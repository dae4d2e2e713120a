//! The one configuration: `config/millrace.yml`, then `MILLRACE__SECTION__KEY` variables, checked at start.

#![forbid(unsafe_code)]

pub mod sections;

pub use sections::*;
