//! What the services share: the [`process`] they run as, [`registry`] and [`topics`] look-ups at
//! the start, the process's [`instance`] name, and [`Jobs`], which runs jobs until the process is
//! told to stop.

#![forbid(unsafe_code)]

mod allocator;
mod clients;
pub mod handover;
pub mod instance;
mod jobs;
pub mod process;
pub mod registry;
pub mod source;
pub mod topics;

pub use clients::check_clients;
pub use instance::Instance;
pub use jobs::{Jobs, hash_seed, job_config};
