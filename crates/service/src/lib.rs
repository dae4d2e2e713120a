//! What the services share: the [`process`] they run as, [`registry`] and [`topics`] look-ups at
//! the start, the process's [`instance`] name, what the settings say of how jobs are run, the jobs
//! of aggregates in two stages ([`windowed`]) and of state by key ([`keyed`]) as these say, a
//! service that runs such jobs ([`host`]), and a [`sink`]'s process.

#![forbid(unsafe_code)]

mod allocator;
pub mod handover;
pub mod host;
pub mod instance;
mod job_config;
pub mod keyed;
pub mod process;
pub mod registry;
pub mod sink;
pub mod source;
pub mod topics;
pub mod windowed;

pub use instance::Instance;
pub use job_config::{job_config, refusal};
