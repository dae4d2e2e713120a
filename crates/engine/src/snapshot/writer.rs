//! Writing a snapshot: whole, or in parts of a bounded size.

use std::mem;

use crc32fast::Hasher;

use super::StateWriter;
use super::container::{Header, MAGIC, VERSION};
use super::state_writer::Parts;
use crate::FrozenState;

/// What a part's buffer may hold more than the part: states are appended in pieces of up to a page.
const SLACK: usize = 128 * 1024;

/// Writes a container around a state.
#[derive(Debug)]
pub struct SnapshotWriter {
    bytes: Vec<u8>,
}

/// The end of a snapshot that was written in parts.
#[derive(Debug, PartialEq, Eq)]
pub struct LastPart {
    /// What no part before has; never empty.
    pub bytes: Vec<u8>,
    /// Length of the whole snapshot.
    pub snapshot_len: u64,
}

impl SnapshotWriter {
    /// Starts a snapshot.
    #[must_use]
    pub fn new(header: &Header<'_>) -> Self {
        let mut bytes = Vec::new();
        let mut writer = StateWriter::new(&mut bytes);
        writer.raw(&MAGIC);
        writer.raw(&VERSION.to_le_bytes());
        writer.text(header.job);
        writer.raw(&header.partition.to_le_bytes());
        writer.i64(header.offset);
        writer.option_i64(header.watermark_ms);
        writer.text(header.fingerprint);
        Self { bytes }
    }

    /// Where the state is appended, to be [finished](Self::finish) as a whole.
    pub fn state(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Adds length and checksum, and gives the whole snapshot.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        end(&mut self.bytes, 0, Hasher::new());
        self.bytes
    }

    /// Writes the state and ends the snapshot. Every `part_len` bytes are given to `take`, and what
    /// is left at the end is returned: so there is never more than a part of it in memory, and the
    /// state gets its pages back as soon as they are written. `expected_len` bytes are expected in
    /// all; it is a hint for the size of the buffer.
    ///
    /// # Errors
    /// The first one of `take`, which is then not called any more.
    pub fn write_in_parts<E>(
        mut self,
        state: FrozenState,
        part_len: usize,
        expected_len: usize,
        take: impl FnMut(Vec<u8>) -> Result<(), E>,
    ) -> Result<LastPart, E> {
        let part_len = part_len.max(1);
        self.bytes.reserve(expected_len.min(part_len) + SLACK);
        let mut parts = Taken {
            part_len,
            before: 0,
            hasher: Hasher::new(),
            take,
            failure: None,
        };
        state.write_to(&mut StateWriter::in_parts(&mut self.bytes, part_len, &mut parts));
        let Taken {
            before,
            hasher,
            mut take,
            failure,
            ..
        } = parts;
        if let Some(failure) = failure {
            return Err(failure);
        }
        let snapshot_len = end(&mut self.bytes, before, hasher);
        while self.bytes.len() > part_len {
            take(cut(&mut self.bytes, part_len))?;
        }
        Ok(LastPart {
            bytes: self.bytes,
            snapshot_len,
        })
    }
}

/// Appends length and checksum to the last bytes of a snapshot, where `before` bytes went before,
/// which were hashed; its length.
fn end(bytes: &mut Vec<u8>, before: u64, mut hasher: Hasher) -> u64 {
    let length = before + (bytes.len() + size_of::<u64>() + size_of::<u32>()) as u64;
    bytes.extend_from_slice(&length.to_le_bytes());
    hasher.update(bytes);
    bytes.extend_from_slice(&hasher.finalize().to_le_bytes());
    length
}

/// The first `len` bytes; the rest stays, in a buffer as large.
fn cut(bytes: &mut Vec<u8>, len: usize) -> Vec<u8> {
    let mut rest = Vec::with_capacity(bytes.capacity());
    rest.extend_from_slice(&bytes[len..]);
    bytes.truncate(len);
    mem::replace(bytes, rest)
}

/// The parts so far.
struct Taken<F, E> {
    part_len: usize,
    /// Their length in all.
    before: u64,
    hasher: Hasher,
    take: F,
    failure: Option<E>,
}

impl<E, F: FnMut(Vec<u8>) -> Result<(), E>> Parts for Taken<F, E> {
    fn take(&mut self, bytes: &mut Vec<u8>) {
        let part = cut(bytes, self.part_len);
        self.before += part.len() as u64;
        self.hasher.update(&part);
        if self.failure.is_none()
            && let Err(failure) = (self.take)(part)
        {
            self.failure = Some(failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: Header<'_> = Header {
        job: "writer",
        partition: 3,
        offset: 1_234,
        watermark_ms: None,
        fingerprint: "f",
    };

    fn state(pieces: Vec<Vec<u8>>) -> FrozenState {
        FrozenState::new(move |writer| {
            for piece in pieces {
                writer.raw(&piece);
                writer.u8(7);
            }
        })
    }

    proptest! {
        #[test]
        fn parts_are_the_whole_in_pieces_of_one_length(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..12),
            part_len in 1_usize..200,
        ) {
            let mut whole = SnapshotWriter::new(&HEADER);
            state(pieces.clone()).write(whole.state());
            let whole = whole.finish();
            let mut parts = Vec::new();
            let last = SnapshotWriter::new(&HEADER)
                .write_in_parts(state(pieces), part_len, whole.len(), |part| {
                    parts.push(part);
                    Ok::<_, ()>(())
                })
                .unwrap();
            prop_assert!(parts.iter().all(|part| part.len() == part_len));
            prop_assert!((1..=part_len).contains(&last.bytes.len()));
            prop_assert_eq!(last.snapshot_len, whole.len() as u64);
            parts.push(last.bytes);
            prop_assert_eq!(parts.concat(), whole);
        }
    }

    #[test]
    fn the_first_failure_is_the_last_call() {
        let mut calls = 0;
        let outcome =
            SnapshotWriter::new(&HEADER).write_in_parts(state(vec![vec![1; 100]; 9]), 64, 0, |_| {
                calls += 1;
                Err(calls)
            });
        assert_eq!((outcome, calls), (Err(1), 1));
    }
}
