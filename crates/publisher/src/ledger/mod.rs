//! The ledger: what the brokers acknowledged, so that `millrace verify` can compare it with what
//! came out.

mod file;
mod running;
mod tally;

pub use file::{Heading, Ledger, LedgerError, LedgerFile};
pub use running::is_running;
pub use tally::Tally;

#[cfg(test)]
pub(crate) mod testing;
