//! The millrace command: up, down, init, status, verify, env.

pub mod init;
pub mod verify;

#![forbid(unsafe_code)]

pub mod env;
