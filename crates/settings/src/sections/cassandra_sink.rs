//! The sink into Cassandra.

use serde::{Deserialize, Serialize};

use super::sink::sink_section;

/// How many replicas must have a write, or be asked by a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// One of the local data centre.
    LocalOne,
    /// Most of the local data centre's.
    LocalQuorum,
    /// Most of each data centre's.
    EachQuorum,
}

sink_section! {
    /// The sink into Cassandra.
    CassandraSink {
        /// Whether `up` starts it with a node of Cassandra, and `status` looks for it.
        enabled: bool = false;
        /// Some nodes of the cluster, as `host:port,host:port`.
        contact_points: String = "127.0.0.1:9042".to_owned();
        /// The login, where the cluster wants one.
        username: Option<String> = None;
        /// The password to `username`.
        password: Option<String> = None;
        /// The data centre whose nodes are written to; any, where there is but one.
        local_datacenter: Option<String> = None;
        /// The keyspace of the tables; made where it is not there.
        keyspace: String = "millrace".to_owned();
        /// Replicas of a row in the data centre, of a keyspace that is made.
        replication_factor: u32 = 1;
        /// How many replicas must have a write.
        consistency: Consistency = Consistency::LocalQuorum;
        /// Days that a row is kept, from its window or event on; 0 is for ever.
        keep_days: u32 = 90;
        /// Requests under way at once.
        requests_in_flight: usize = 256;
        /// How long one request may take.
        request_timeout_ms: u64 = 10_000;
        /// Rows are written when there are this many …
        max_rows: usize = 2_000;
        /// … or this many bytes of them …
        max_bytes: usize = 2_000_000;
        /// … or the first of them is this old.
        max_age_ms: u64 = 200;
        /// Bytes of records that may wait because their table takes none, while others go on; at
        /// that many nothing more is read.
        set_aside_bytes: usize = 50_000_000;
    }
}
