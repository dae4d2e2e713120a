//! Sending: paced, bounded, and with every record's outcome counted.

mod delivery;
mod pacer;
mod thread;

pub use delivery::{Deliveries, DeliveryContext};
pub use pacer::Pacer;
pub use thread::{Counters, Sender, Stop};
