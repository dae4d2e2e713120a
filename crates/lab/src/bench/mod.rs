//! `millrace-lab bench`: how fast each part is, against the targets of the project, on a stack of
//! its own.
//!
//! Each [`Line`] measures one thing and gives [`Figure`]s. Lines without a network run in this
//! process, on one core; the others start the services as processes and count the processor time
//! that the system has booked on each.

mod backlog;
mod codec;
mod command;
mod engine;
mod figure;
mod growth;
mod latency;
mod line;
mod machine;
mod session;
mod stream;
mod sustained;
mod usage;
mod warm_up;

pub use command::{Options, command};
pub use figure::{Figure, Measure, Target};
pub use line::Line;
