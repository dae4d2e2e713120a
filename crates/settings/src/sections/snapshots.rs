//! Snapshots of operator state.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::redact::redacted_debug;

/// Snapshots of operator state.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Snapshots {
    /// Whether snapshots are taken; without them recovery replays the log.
    pub enabled: bool,
    /// Where they are kept: a directory, or a URL of an object store.
    pub url: PathBuf,
    /// Options of the object store, by the names of the `object_store` crate, as `aws_region`; they
    /// go before the variables of the cloud's own tools, as `AWS_REGION`.
    pub store_options: BTreeMap<String, String>,
    /// Least time between two snapshots of a partition: those of a large state are further apart.
    pub interval_ms: u64,
    /// How many of a partition are kept.
    pub keep: usize,
    /// How many past ones of a partition of the detector are kept beside them, one of each
    /// `past_interval_ms`, for `millrace explain`; 0 for none.
    pub past_keep: usize,
    /// Time between two past ones.
    pub past_interval_ms: u64,
}

impl Default for Snapshots {
    fn default() -> Self {
        Self {
            enabled: true,
            url: PathBuf::from(".millrace/snapshots"),
            store_options: BTreeMap::new(),
            interval_ms: 5_000,
            keep: 3,
            past_keep: 24,
            past_interval_ms: 3_600_000,
        }
    }
}

redacted_debug!(Snapshots);
