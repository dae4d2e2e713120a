//! Avro and JSON for the contracts, Confluent framing, and the schema registry client.
