//! Logs, metrics, and the health and metrics endpoints every service shares.
//!
//! A service calls [`init`] first, makes one [`Shutdown::on_signals`], registers its metrics by
//! [`metrics`], and serves them with its [`Health`] by [`serve`].

#![forbid(unsafe_code)]

pub mod exposition;
mod health;
mod logs;
pub mod metrics;
mod process;
mod serve;
mod shutdown;
mod texts;

pub use health::{Component, Health, Report, State};
pub use logs::{InitError, init};
pub use serve::{ServeError, Server, serve};
pub use shutdown::{Shutdown, SignalError};
