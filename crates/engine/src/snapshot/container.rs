//! The container that a state is kept in: it says whose state it is and of which moment, and notices damage.
//!
//! All numbers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | the magic number |
//! | 2 | version of this format |
//! | 8 | length of the whole snapshot |
//! | 8 + n | length and name of the job, UTF-8 |
//! | 4 | partition of the job's input |
//! | 8 | offset: the next record to process |
//! | 1 or 9 | whether there is a watermark, and the watermark in milliseconds since 1970 |
//! | 8 + n | length and text of the configuration's fingerprint, UTF-8 |
//! | n | the state |
//! | 4 | CRC-32 (IEEE) of everything before |

use thiserror::Error;

use super::{StateReader, StateWriter};
use crate::RestoreError;

/// What every snapshot starts with. Like PNG's, it holds a byte above 127 and line ends, so that a transfer as text
/// is noticed.
const MAGIC: [u8; 8] = *b"\x89MRSNP\r\n";
/// The version that is written, and the highest that is read.
const VERSION: u16 = 1;
const LENGTH_AT: usize = 10;
const CHECKSUM_LEN: usize = 4;

/// Whose state it is, and of which moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// Name of the job.
    pub job: &'a str,
    /// Partition of the job's input.
    pub partition: i32,
    /// Every record before this offset, and none from it on, is in the state.
    pub offset: i64,
    /// The operator's watermark in milliseconds since 1970.
    pub watermark_ms: Option<i64>,
    /// Description of every setting that the state depends on.
    pub fingerprint: &'a str,
}

/// Whose state the reader wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected<'a> {
    /// Name of the job.
    pub job: &'a str,
    /// Partition of the job's input.
    pub partition: i32,
    /// The present configuration's fingerprint.
    pub fingerprint: &'a str,
}

/// A snapshot that was read and found whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot<'a> {
    /// Whose, and of which moment.
    pub header: Header<'a>,
    /// What [`crate::Operator::snapshot`] wrote.
    pub state: &'a [u8],
}

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
        /// The length it was written with; of a piece too short to say, the least that a snapshot has.
        expected: u64,
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
            Self::Torn { .. } => "torn",
            Self::Damaged { .. } => "damaged",
            Self::Foreign { .. } => "foreign",
            Self::OtherConfiguration { .. } => "other_configuration",
            Self::State(RestoreError::UnknownVersion { .. }) => "unknown_state_version",
            Self::State(_) => "invalid_state",
        }
    }
}

/// Writes a container around a state, in one buffer: the state is appended in place, and the checksum can be left to
/// another thread.
#[derive(Debug)]
pub struct SnapshotWriter {
    bytes: Vec<u8>,
}

impl SnapshotWriter {
    /// Starts a snapshot.
    #[must_use]
    pub fn new(header: &Header<'_>) -> Self {
        let mut bytes = Vec::new();
        let mut writer = StateWriter::new(&mut bytes);
        writer.raw(&MAGIC);
        writer.raw(&VERSION.to_le_bytes());
        writer.u64(0);
        writer.text(header.job);
        writer.raw(&header.partition.to_le_bytes());
        writer.i64(header.offset);
        writer.option_i64(header.watermark_ms);
        writer.text(header.fingerprint);
        Self { bytes }
    }

    /// Where the state is appended.
    pub fn state(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Adds length and checksum, and gives the whole snapshot.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let length = (self.bytes.len() + CHECKSUM_LEN) as u64;
        self.bytes[LENGTH_AT..LENGTH_AT + 8].copy_from_slice(&length.to_le_bytes());
        let checksum = crc32fast::hash(&self.bytes);
        self.bytes.extend_from_slice(&checksum.to_le_bytes());
        self.bytes
    }
}

/// Reads a snapshot and refuses whatever is not whole and of `expected`.
///
/// # Errors
/// Each [`SnapshotError`] but [`SnapshotError::State`], which is the operator's to find.
pub fn read<'a>(bytes: &'a [u8], expected: &Expected<'_>) -> Result<Snapshot<'a>, SnapshotError> {
    let snapshot = read_any(bytes)?;
    let header = &snapshot.header;
    if (header.job, header.partition) != (expected.job, expected.partition) {
        return Err(SnapshotError::Foreign {
            found: format!("partition {} of job {:?}", header.partition, header.job),
            expected: format!("partition {} of job {:?}", expected.partition, expected.job),
        });
    }
    if header.fingerprint != expected.fingerprint {
        return Err(SnapshotError::OtherConfiguration {
            found: header.fingerprint.to_owned(),
            expected: expected.fingerprint.to_owned(),
        });
    }
    Ok(snapshot)
}

/// Reads a snapshot of whatever job, partition and configuration, if it is whole.
///
/// # Errors
/// It is no snapshot, of a future version, torn or damaged.
pub fn read_any(bytes: &[u8]) -> Result<Snapshot<'_>, SnapshotError> {
    let known = bytes.len().min(MAGIC.len());
    if bytes[..known] != MAGIC[..known] {
        return Err(SnapshotError::NotASnapshot);
    }
    let found = bytes.len() as u64;
    let mut reader = StateReader::new(bytes);
    let too_short = |_| SnapshotError::Torn {
        expected: (LENGTH_AT + 8) as u64,
        found,
    };
    reader.raw(MAGIC.len()).map_err(too_short)?;
    let version = u16::from_le_bytes(reader.array().map_err(too_short)?);
    if version > VERSION {
        return Err(SnapshotError::FutureVersion {
            found: version,
            known: VERSION,
        });
    }
    let expected = reader.u64().map_err(too_short)?;
    if expected != found {
        return Err(SnapshotError::Torn { expected, found });
    }
    let Some((covered, checksum)) = bytes.split_last_chunk::<CHECKSUM_LEN>() else {
        return Err(SnapshotError::Torn { expected, found });
    };
    let (stored, computed) = (u32::from_le_bytes(*checksum), crc32fast::hash(covered));
    if stored != computed {
        return Err(SnapshotError::Damaged { stored, computed });
    }
    let mut reader = StateReader::new(covered);
    reader.raw(LENGTH_AT + 8)?;
    let header = Header {
        job: reader.text("job")?,
        partition: i32::from_le_bytes(reader.array()?),
        offset: reader.i64()?,
        watermark_ms: reader.option_i64("watermark")?,
        fingerprint: reader.text("fingerprint")?,
    };
    Ok(Snapshot {
        header,
        state: &covered[reader.position()..],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: Header<'_> = Header {
        job: "aggregate-partial",
        partition: 3,
        offset: 1_234,
        watermark_ms: Some(-5),
        fingerprint: "window_ms=60000",
    };
    const EXPECTED: Expected<'_> = Expected {
        job: HEADER.job,
        partition: HEADER.partition,
        fingerprint: HEADER.fingerprint,
    };

    fn snapshot(header: &Header<'_>, state: &[u8]) -> Vec<u8> {
        let mut writer = SnapshotWriter::new(header);
        writer.state().extend_from_slice(state);
        writer.finish()
    }

    #[test]
    fn comes_back_whole() {
        let bytes = snapshot(&HEADER, b"state");
        let read = read(&bytes, &EXPECTED).unwrap();
        assert_eq!((read.header, read.state), (HEADER, b"state".as_slice()));
    }

    proptest! {
        #[test]
        fn every_cut_and_every_flipped_bit_is_noticed(state in prop::collection::vec(any::<u8>(), 0..60)) {
            let bytes = snapshot(&HEADER, &state);
            for length in 0..bytes.len() {
                let error = read(&bytes[..length], &EXPECTED).unwrap_err();
                prop_assert_eq!(error.code(), "torn", "{}", length);
            }
            let mut longer = bytes.clone();
            longer.push(0);
            prop_assert_eq!(read(&longer, &EXPECTED).unwrap_err().code(), "torn");
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let error = read(&flipped, &EXPECTED).unwrap_err();
                let expected: &[&str] = match bit / 8 {
                    0..8 => &["not_a_snapshot"],
                    8..10 => &["future_version", "damaged"],
                    10..18 => &["torn"],
                    _ => &["damaged"],
                };
                prop_assert!(expected.contains(&error.code()), "bit {}: {}", bit, error);
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            prop_assert!(read_any(&bytes).is_err());
        }
    }

    #[test]
    fn another_job_partition_or_configuration_is_refused_by_name() {
        let bytes = snapshot(&HEADER, b"");
        let refusal = |expected: Expected<'_>| read(&bytes, &expected).unwrap_err().to_string();
        let other_job = Expected {
            job: "detect",
            ..EXPECTED
        };
        let other_partition = Expected {
            partition: 4,
            ..EXPECTED
        };
        let other_window = Expected {
            fingerprint: "window_ms=1000",
            ..EXPECTED
        };
        assert_eq!(
            refusal(other_job),
            "it is of partition 3 of job \"aggregate-partial\", not of partition 3 of job \"detect\""
        );
        assert!(refusal(other_partition).contains("not of partition 4"));
        assert_eq!(
            refusal(other_window),
            "it was taken with the configuration \"window_ms=60000\", and the present one is \"window_ms=1000\""
        );
    }
}
