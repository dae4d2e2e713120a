//! Fraud and anomaly detection per user, exactly once.
