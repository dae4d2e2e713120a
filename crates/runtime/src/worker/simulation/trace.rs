//! What happened in a schedule, step by step: one seed gives one trace.

use super::cluster::Output;
use super::random::mix;
use crate::control::ControlRecord;

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Happening {
    pub(super) what: &'static str,
    /// The worker or the partition that it happened to.
    pub(super) whose: usize,
    /// Stands for its details.
    pub(super) digest: u64,
}

/// All that happened, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    pub(super) happenings: Vec<Happening>,
    /// By partition of the input.
    pub(super) controls: Vec<Vec<ControlRecord>>,
    pub(super) outputs: Vec<Output>,
}

impl Trace {
    /// Compares two traces of one seed.
    ///
    /// # Panics
    /// They are not the same; where they part is told.
    pub fn assert_is(&self, other: &Self) {
        let both = self.happenings.iter().zip(&other.happenings);
        for (nth, (one, other)) in both.enumerate() {
            assert_eq!(one, other, "happening {nth}");
        }
        assert_eq!(self.happenings.len(), other.happenings.len());
        assert_eq!(self.controls, other.controls);
        assert_eq!(self.outputs, other.outputs);
    }
}

/// A number that stands for these bytes.
pub(super) fn digest(bytes: &[u8]) -> u64 {
    let word = |part: &[u8]| part.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte));
    let parts = bytes.chunks(8).map(word);
    parts.fold(bytes.len() as u64, |digest, word| mix(digest ^ word))
}
