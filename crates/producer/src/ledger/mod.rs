//! The ledger: what the brokers acknowledged, so that `millrace verify` can compare it with what came out.

mod file;
mod tally;

pub use file::{Ledger, LedgerError, LedgerFile, WindowLine};
pub use tally::{Tally, WindowKey, WindowTotals};
