//! Logs, metrics, and the health and metrics endpoints every service shares.
