//! Sending: bounded, and with every record's outcome counted.

mod delivery;
mod thread;

pub(crate) use delivery::{Deliveries, DeliveryContext};
pub(crate) use thread::{Counters, Sender, Stop};
