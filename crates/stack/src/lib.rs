//! The local stack: Kafka 3+3, schema registry and Elasticsearch as processes on loopback.
