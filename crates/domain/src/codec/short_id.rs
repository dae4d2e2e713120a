//! Ids in an Avro body.

use millrace_contract::DecodeError;
use millrace_contract::wire::Cursor;

use crate::ShortId;

/// Reading of an id, as of the primitive types.
pub(super) trait ReadShortId {
    /// Reads a string that is an id; `field` is its name in the contract.
    fn short_id(&mut self, field: &'static str) -> Result<ShortId, DecodeError>;
}

impl ReadShortId for Cursor<'_> {
    fn short_id(&mut self, field: &'static str) -> Result<ShortId, DecodeError> {
        Ok(ShortId::new(self.string(field)?, field)?)
    }
}
