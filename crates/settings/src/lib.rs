//! The one configuration: `config/millrace.yml`, then `MILLRACE__SECTION__KEY` variables, checked
//! at start.
//!
//! [`Settings::load`] is the way in. What it refuses, it refuses by name: the file or variable, the
//! full key, and what would be right; all that is wrong in one go, not the first alone.

#![forbid(unsafe_code)]

mod error;
mod load;
mod redact;
pub mod sections;
mod shape;
mod validate;
mod variables;

pub use error::{Problem, SettingsError};
pub use load::DEFAULT_PATH;
pub use redact::is_secret;
pub use sections::*;
pub use variables::PREFIX;
