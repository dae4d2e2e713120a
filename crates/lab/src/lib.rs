//! The lab: faults done to a pipeline under load ([`chaos`]) and what each part can do
//! ([`mod@bench`]), with the harness that both start pipelines by. Its program, `millrace-lab`,
//! carries the services too, so that what is tried and what is measured are of one build with it.

#![forbid(unsafe_code)]

pub mod bench;
pub mod chaos;
pub mod cli;
pub mod harness;
pub mod wait;
