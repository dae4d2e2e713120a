//! The millrace command: up, down, init, status, verify, chaos, bench, env, and each service in one
//! binary.

#![forbid(unsafe_code)]

pub mod bench;
pub mod chaos;
pub mod cli;
pub mod dispatch;
pub mod dlq;
pub mod dotenv;
pub mod down;
pub mod env;
pub mod health;
mod http;
pub mod init;
pub mod map;
pub mod metrics;
pub mod named;
pub mod repeat;
pub mod rig;
pub mod service;
pub mod state;
pub mod status;
pub mod up;
pub mod verify;
pub mod wait;
