//! One-minute merchant aggregates in two stages, exactly once.
