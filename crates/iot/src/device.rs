//! Devices: texts that are keys.
//!
//! The engine tells keys apart by 16 bytes. Those of a text are its hash as version 5 of UUIDs has
//! it (RFC 9562 §5.5), 122 bits of SHA-1 and six that are fixed, made once when a record is read.

use std::fmt;

use millrace_contract::json::{Text as JsonText, put_string};
use millrace_contract::kind::shown;
use millrace_contract::wire::{Cursor, put_bytes};
use millrace_contract::{DecodeError, Kind, Text};
use millrace_engine::RestoreError;
use millrace_engine::snapshot::{StateReader, StateWriter};
use millrace_engine::windowed::Key;
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// Namespace of the hash (a version 4 UUID drawn once for this pipeline). It is fixed for ever, as
/// states hold what it orders.
const NAMESPACE: Uuid = Uuid::from_u128(0x3d0e_6f52_a1c9_4b7d_8e34_5b90_c7f2_1a68);

/// A device by its id: 1 to 64 bytes without NUL.
#[derive(Clone, Copy)]
pub struct Device {
    id: Text<64>,
    hash: Uuid,
}

impl Device {
    /// The device of this id; `None` if it is none.
    #[must_use]
    pub fn new(id: &str) -> Option<Self> {
        let is_id = !id.is_empty() && !id.contains('\0');
        let id = Some(id).filter(|_| is_id).and_then(Text::new)?;
        let hash = Uuid::new_v5(&NAMESPACE, id.as_bytes());
        Some(Self { id, hash })
    }

    fn of(id: &str, field: &'static str) -> Result<Self, DecodeError> {
        Self::new(id).ok_or_else(|| DecodeError::Invalid {
            code: "invalid_id",
            message: format!(
                "{field} {:?} must be 1 to 64 bytes of UTF-8 without NUL",
                shown(id)
            ),
        })
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.id.as_str()
    }

    /// The 16 bytes by which it is told apart.
    #[must_use]
    pub fn hash(&self) -> Uuid {
        self.hash
    }
}

impl PartialEq for Device {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl Eq for Device {}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Key for Device {
    const LEAST_LEN: usize = 8 + 1;

    type Held = ();

    #[inline]
    fn words(&self) -> (u64, u64) {
        let number = u128::from_le_bytes(*self.hash.as_bytes());
        (number as u64, (number >> 64) as u64)
    }

    fn write(&self, writer: &mut StateWriter<'_>) {
        writer.text(self.as_str());
    }

    fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        let (at, what) = (reader.position(), "device");
        Self::new(reader.text(what)?).ok_or(RestoreError::Invalid { what, at })
    }
}

impl Kind for Device {
    type Value = Self;
    type Json<'de> = JsonText<'de>;

    const MAX_LEN: usize = Text::<64>::MAX_LEN;

    fn schema() -> Json {
        json!("string")
    }

    fn put(value: &Self, bytes: &mut Vec<u8>) {
        put_bytes(value.id.as_bytes(), bytes);
    }

    fn read(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Self, DecodeError> {
        Self::of(cursor.string(field)?, field)
    }

    fn put_json(value: &Self, bytes: &mut Vec<u8>) {
        put_string(bytes, value.as_str());
    }

    fn of_json(JsonText(text): JsonText<'_>, field: &'static str) -> Result<Self, DecodeError> {
        Self::of(&text, field)
    }
}
