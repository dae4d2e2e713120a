//! What a run is called, and how its records' ids begin.

use std::fmt;

use uuid::Uuid;

/// The run in the ids of its records: their first four bytes, which end the run's name too. Where
/// two runs should have the same one, the rest of their ids still differs, unless their seeds are
/// the same as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunTag([u8; 4]);

impl RunTag {
    /// The four bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 4] {
        self.0
    }

    /// Reads what [`RunTag`]'s display wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let bits = is_hex.then(|| u32::from_str_radix(text, 16).ok()).flatten()?;
        Some(Self(bits.to_be_bytes()))
    }
}

impl fmt::Display for RunTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// As `20261009T123456Z-1a2b3c4d`: sorts by time, and two runs of the same second differ.
#[derive(Debug, Clone)]
pub struct RunId {
    started_ms: i64,
    tag: RunTag,
}

impl RunId {
    /// The name of a run that started then, in milliseconds since 1970.
    #[must_use]
    pub fn new(started_ms: i64) -> Self {
        let [a, b, c, d, ..] = Uuid::new_v4().into_bytes();
        Self {
            started_ms,
            tag: RunTag([a, b, c, d]),
        }
    }

    /// The run in the ids of its records.
    #[must_use]
    pub fn tag(&self) -> RunTag {
        self.tag
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = jiff::Timestamp::from_second(self.started_ms.div_euclid(1_000));
        let second = second.unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{}-{}", second.strftime("%Y%m%dT%H%M%SZ"), self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_by_its_start_and_its_tag() {
        let run = RunId::new(1_791_549_296_789);
        let (second, tag) = (run.to_string()[..17].to_owned(), run.to_string()[17..].to_owned());
        assert_eq!(second, "20261009T123456Z-");
        assert_eq!(RunTag::parse(&tag), Some(run.tag));
        assert_ne!(run.tag, RunId::new(1_791_549_296_789).tag);
        assert_eq!(RunTag::parse("0000000a").unwrap().to_bytes(), [0, 0, 0, 10]);
        for wrong in ["", "1a2b3c", "+1234567", "1a2b3c4d5"] {
            assert_eq!(RunTag::parse(wrong), None, "{wrong:?}");
        }
    }
}
