//! What the services share: the [`process`] they run as, [`registry`] and [`topics`] look-ups at
//! the start, the process's [`instance`] name, what the settings say of how jobs are run, and the
//! jobs of aggregates in two stages as these say ([`windowed`]).

#![forbid(unsafe_code)]

mod allocator;
pub mod handover;
pub mod instance;
mod job_config;
pub mod process;
pub mod registry;
pub mod source;
pub mod topics;
pub mod windowed;

pub use instance::Instance;
pub use job_config::{job_config, refusal};
