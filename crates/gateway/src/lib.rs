//! Ingestion over HTTP: `POST /v1/STREAM` is answered once the brokers have acknowledged.
//!
//! A request is read within bounds (`body`), split into items (`items`), each of which is checked
//! and written as its record (`intake`); the records go to the sending thread of
//! `millrace_publisher` (`inbox`), which settles each (`batch`); what became of them is the answer
//! (`report`). Who may send and how much is `access`'s; what became of requests that may come again
//! is `idempotency`'s.
//!
//! # Guarantee
//! An item that is told as accepted is on every in-sync replica. One that is told as refused, and
//! all of a request that is refused whole, was never sent. One that is told as unacknowledged may
//! be in the topic or not.

#![forbid(unsafe_code)]

mod access;
mod api;
mod batch;
mod body;
mod idempotency;
mod inbox;
mod ingest;
mod intake;
mod items;
mod metrics;
mod openapi;
mod problem;
mod report;
mod run;
mod trace;

pub use run::run;
