//! Fraud rules and behaviour profiles on the engine. No I/O, no clock, no randomness.
