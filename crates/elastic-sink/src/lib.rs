//! Transactions, aggregates and anomalies into Elasticsearch, idempotently.
