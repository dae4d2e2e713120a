//! The millrace command: up, down, init, status, verify, env.

#![forbid(unsafe_code)]

pub mod env;
pub mod init;
pub mod verify;
