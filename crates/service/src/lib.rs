//! What the services share: the [`process`] they run as, [`registry`] and [`topics`] look-ups at
//! the start, the process's [`instance`] name, and [`Jobs`], which runs jobs until the process is
//! told to stop.

#![forbid(unsafe_code)]

mod allocator;
mod check;
pub mod handover;
pub mod instance;
mod jobs;
pub mod process;
pub mod registry;
pub mod source;
pub mod topics;

pub use check::check_settings;
pub use instance::Instance;
pub use jobs::{Jobs, hash_seed, job_config};
