//! Harness of the integration tests: the shared stack, topics per test, and waiting for conditions.
