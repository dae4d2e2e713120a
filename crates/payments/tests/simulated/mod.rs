//! The parts of the simulation.

pub(crate) mod partition;
pub(crate) mod world;
