//! The container that a state is kept in: it says whose state it is and of which moment, and
//! notices damage.
//!
//! All numbers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | the magic number |
//! | 2 | version of this format |
//! | 8 + n | length and name of the job, UTF-8 |
//! | 4 | partition of the job's input |
//! | 8 | offset: the next record to process |
//! | 1 or 9 | whether there is a watermark, and the watermark in milliseconds since 1970 |
//! | 8 + n | length and text of the configuration's fingerprint, UTF-8 |
//! | n | the state |
//! | 8 | length of the whole snapshot |
//! | 4 | CRC-32 (IEEE) of everything before |
//!
//! The length comes last, as a snapshot leaves in parts before anybody knows it. Version 1 had it
//! after the version.

use super::{SnapshotError, StateReader};
use crate::RestoreError;

pub use super::writer::SnapshotWriter;

/// What every snapshot starts with. Like PNG's, it holds a byte above 127 and line ends, so that a
/// transfer as text is noticed.
pub(super) const MAGIC: [u8; 8] = *b"\x89MRSNP\r\n";
/// The version that is written, and the highest that is read.
pub(super) const VERSION: u16 = 2;
/// The version with its length in front.
const LENGTH_FIRST: u16 = 1;
const VERSION_END: usize = 10;
const LENGTH_LEN: usize = 8;
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
        expected: (VERSION_END + LENGTH_LEN + CHECKSUM_LEN) as u64,
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
    let length: [u8; LENGTH_LEN] = reader.array().map_err(too_short)?;
    let Some((covered, checksum)) = bytes.split_last_chunk::<CHECKSUM_LEN>() else {
        return Err(too_short(RestoreError::Truncated { at: 0 }));
    };
    let (header_at, content) = if version <= LENGTH_FIRST {
        let expected = u64::from_le_bytes(length);
        if expected != found {
            return Err(SnapshotError::Torn { expected, found });
        }
        (VERSION_END + LENGTH_LEN, covered)
    } else {
        match covered.split_last_chunk::<LENGTH_LEN>() {
            Some((content, length)) if u64::from_le_bytes(*length) == found => (VERSION_END, content),
            _ => return Err(SnapshotError::NoEnd { found }),
        }
    };
    let (stored, computed) = (u32::from_le_bytes(*checksum), crc32fast::hash(covered));
    if stored != computed {
        return Err(SnapshotError::Damaged { stored, computed });
    }
    let mut reader = StateReader::new(content);
    reader.raw(header_at)?;
    let header = Header {
        job: reader.text("job")?,
        partition: i32::from_le_bytes(reader.array()?),
        offset: reader.i64()?,
        watermark_ms: reader.option_i64("watermark")?,
        fingerprint: reader.text("fingerprint")?,
    };
    Ok(Snapshot {
        header,
        state: &content[reader.position()..],
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

    /// As releases with version 1 wrote it.
    fn with_length_first(header: &Header<'_>, state: &[u8]) -> Vec<u8> {
        let present = snapshot(header, state);
        let content = &present[VERSION_END..present.len() - LENGTH_LEN - CHECKSUM_LEN];
        let mut bytes = [&MAGIC[..], &LENGTH_FIRST.to_le_bytes()].concat();
        bytes.extend_from_slice(&(present.len() as u64).to_le_bytes());
        bytes.extend_from_slice(content);
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    #[test]
    fn comes_back_whole() {
        for bytes in [snapshot(&HEADER, b"state"), with_length_first(&HEADER, b"state")] {
            let read = read(&bytes, &EXPECTED).unwrap();
            assert_eq!((read.header, read.state), (HEADER, b"state".as_slice()));
        }
    }

    proptest! {
        #[test]
        fn every_cut_and_every_flipped_bit_is_noticed(
            state in prop::collection::vec(any::<u8>(), 0..60),
            is_length_first: bool,
        ) {
            let written = if is_length_first { with_length_first } else { snapshot };
            let bytes = written(&HEADER, &state);
            for length in 0..bytes.len() {
                let error = read(&bytes[..length], &EXPECTED).unwrap_err();
                prop_assert_eq!(error.code(), "torn", "{}", length);
            }
            let mut longer = bytes.clone();
            longer.push(0);
            prop_assert_eq!(read(&longer, &EXPECTED).unwrap_err().code(), "torn");
            let length = if is_length_first { 10..18 } else { bytes.len() - 12..bytes.len() - 4 };
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let error = read(&flipped, &EXPECTED).unwrap_err();
                let expected: &[&str] = match bit / 8 {
                    0..8 => &["not_a_snapshot"],
                    8..10 => &["future_version", "damaged", "torn"],
                    at if length.contains(&at) => &["torn"],
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
