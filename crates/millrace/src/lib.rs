//! The millrace command: up, down, init, status, verify, env.
