//! A pipeline of processes of its own beside any other, and what it is watched by: for
//! [`crate::chaos`] and [`crate::bench`].

pub mod apart;
pub mod fleet;
pub mod group;
pub mod monitor;
mod offsets;
pub mod processor;
pub mod program;
pub mod stack;
pub mod worker;
