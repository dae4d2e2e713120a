//! Harness of the integration tests: one real stack for a run, topics and indices of its own for
//! each test, and waiting for conditions in place of time.

#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "the tests' `main` sees to the cryptography of all clients"
)]

pub mod cassandra;
pub mod checks;
pub mod containers;
pub mod context;
pub mod elastic;
pub mod environment;
#[cfg(test)]
mod errors;
pub mod groups;
pub mod oracle;
pub mod pipeline;
pub mod proxy;
pub mod pulse;
pub mod ready;
pub mod registry_proxy;
pub mod results;
pub mod s3;
pub mod sample;
pub mod secure;
pub mod send;
pub mod service;
pub mod sink;
pub mod spans;
pub mod streams;
pub mod tls_front;
pub mod token_provider;
pub mod topics;
pub mod verification;

pub use context::TestContext;
pub use environment::Environment;
pub use millrace_lab::wait::wait_until;
