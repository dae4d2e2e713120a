//! The lake's sink.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::sink::sink_section;

sink_section! {
    /// The lake's sink.
    LakeSink {
        /// Whether `up` starts it, and `status` looks for it.
        enabled: bool = false;
        /// Where the files are kept: a directory, or a URL of an object store.
        url: PathBuf = PathBuf::from(".millrace/lake");
        /// Options of the object store, as [`super::Snapshots::store_options`].
        store_options: BTreeMap<String, String> = BTreeMap::new();
        /// Files are written when rows of all partitions are this many …
        max_rows: usize = 250_000;
        /// … or this many bytes …
        max_bytes: usize = 100_000_000;
        /// … or the first of them is this old.
        max_age_ms: u64 = 30_000;
    }
}
