//! Why a snapshot is refused.

use thiserror::Error;

use crate::RestoreError;

/// Why a snapshot is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// The bytes are something else.
    #[error("it is no snapshot: it does not start with the magic number")]
    NotASnapshot,
    /// A newer release wrote it.
    #[error("its format has version {found}, and this release reads up to version {known}")]
    FutureVersion {
        /// The version it has.
        found: u16,
        /// The highest known.
        known: u16,
    },
    /// It ends early, or goes on after its end.
    #[error("it is torn: it has {found} bytes and should have {expected}")]
    Torn {
        /// The length it was written with; of a piece too short to say, the least that a snapshot
        /// has.
        expected: u64,
        /// Its length.
        found: u64,
    },
    /// Its last bytes are not those that end a snapshot of its length: it ends early, or goes on
    /// after its end.
    #[error("it is torn: it has {found} bytes, and does not end as a snapshot of that length")]
    NoEnd {
        /// Its length.
        found: u64,
    },
    /// The checksum differs.
    #[error("it is damaged: its checksum is {computed:08x} and should be {stored:08x}")]
    Damaged {
        /// What it says.
        stored: u32,
        /// What its bytes give.
        computed: u32,
    },
    /// It belongs to another job or partition.
    #[error("it is of {found}, not of {expected}")]
    Foreign {
        /// Its job and partition.
        found: String,
        /// The reader's.
        expected: String,
    },
    /// The settings that the state depends on have changed since.
    #[error("it was taken with the configuration {found:?}, and the present one is {expected:?}")]
    OtherConfiguration {
        /// Its fingerprint.
        found: String,
        /// The present one.
        expected: String,
    },
    /// The container is whole, and the state in it is none of this operator.
    #[error(transparent)]
    State(#[from] RestoreError),
}

impl SnapshotError {
    /// A short name from a fixed set, fit for a metric label.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotASnapshot => "not_a_snapshot",
            Self::FutureVersion { .. } => "future_version",
            Self::Torn { .. } | Self::NoEnd { .. } => "torn",
            Self::Damaged { .. } => "damaged",
            Self::Foreign { .. } => "foreign",
            Self::OtherConfiguration { .. } => "other_configuration",
            Self::State(RestoreError::UnknownVersion { .. }) => "unknown_state_version",
            Self::State(_) => "invalid_state",
        }
    }
}
