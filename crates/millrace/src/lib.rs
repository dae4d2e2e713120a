//! The millrace command: up, down, init, status, verify, dlq, map, env, and each service in one
//! binary.

#![forbid(unsafe_code)]

#[macro_use]
mod say;
pub mod alerts;
pub mod cli;
pub mod detect;
pub mod dispatch;
pub mod dlq;
pub mod dotenv;
pub mod down;
pub mod env;
pub mod evaluate;
pub mod explain;
pub mod health;
pub mod init;
pub mod lab;
pub mod lake;
pub mod lists;
pub mod map;
pub mod named;
pub mod query;
pub mod rules;
mod running;
mod sender;
pub mod service;
pub mod state;
pub mod status;
pub mod up;
pub mod verify;
