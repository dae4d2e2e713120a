//! The one error of bytes that are no record of the contract.

use thiserror::Error;

/// Why a value could not be decoded. The message names the field and what is wrong with it;
/// [`DecodeError::code`] is the bounded name that metrics and dead-letter headers carry.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// There are no bytes at all.
    #[error("the value is empty")]
    Empty,
    /// The first byte is neither the framing's 0x00 nor the start of a JSON object.
    #[error("the value starts with byte {0:#04x}, not with 0x00 (the framing of a schema id) or '{{' (JSON)")]
    WrongMagic(u8),
    /// The bytes end within a field.
    #[error("the value ends early, within {field} at byte {at}")]
    Truncated {
        /// The field's name in the schema.
        field: &'static str,
        /// Where the field's missing part should have started, in bytes after the framing.
        at: usize,
    },
    /// Bytes are left after the last field.
    #[error("the value has {extra} bytes after its last field")]
    TrailingBytes {
        /// How many.
        extra: usize,
    },
    /// An integer that does not fit 64 bits.
    #[error("{field} is an integer of more than 64 bits")]
    VarintTooLong {
        /// The field's name in the schema.
        field: &'static str,
    },
    /// A negative length of a string or of bytes.
    #[error("{field} has the negative length {length}")]
    NegativeLength {
        /// The field's name in the schema.
        field: &'static str,
        /// The length.
        length: i64,
    },
    /// A string that is not UTF-8.
    #[error("{field} is not UTF-8")]
    NotUtf8 {
        /// The field's name in the schema.
        field: &'static str,
    },
    /// An enum or union index that the schema does not have.
    #[error("{field} has index {index}, which is not below {count}")]
    IndexOutOfRange {
        /// The field's name in the schema.
        field: &'static str,
        /// The index.
        index: i64,
        /// How many symbols or branches the schema has.
        count: usize,
    },
    /// A boolean that is neither 0 nor 1.
    #[error("{field} is a boolean with byte {byte:#04x}")]
    BadBoolean {
        /// The field's name in the schema.
        field: &'static str,
        /// The byte.
        byte: u8,
    },
    /// An integer or decimal outside what the field may hold.
    #[error("{field} {value} is out of range")]
    OutOfRange {
        /// The field's name in the schema.
        field: &'static str,
        /// The value.
        value: i128,
    },
    /// NaN or infinity where a number is wanted.
    #[error("{field} is not a finite number")]
    NotFinite {
        /// The field's name in the schema.
        field: &'static str,
    },
    /// A decimal of no bytes, or of more than 16.
    #[error("{field} is a decimal of {length} bytes, not of 1 to 16")]
    BadDecimal {
        /// The field's name in the schema.
        field: &'static str,
        /// How many bytes.
        length: usize,
    },
    /// The registry has no schema with this id.
    #[error("the schema registry knows no schema with id {id}")]
    UnknownSchema {
        /// The id in the framing.
        id: u32,
    },
    /// The registry refuses this id while it answers for others.
    #[error("the schema registry refuses schema id {id}: {status}: {message}")]
    RefusedSchema {
        /// The id in the framing.
        id: u32,
        /// The HTTP status.
        status: u16,
        /// What the registry says.
        message: String,
    },
    /// The writer's schema refers to one that the registry does not give.
    #[error(
        "schema id {id} refers to {name}, version {version} of subject {subject}, which the schema registry {why}"
    )]
    MissingReference {
        /// The id in the framing.
        id: u32,
        /// The name that the schema calls it by.
        name: String,
        /// Its subject.
        subject: String,
        /// Its version within the subject.
        version: u32,
        /// What the registry says.
        why: String,
    },
    /// The writer's schema cannot be read as ours.
    #[error("a value written with schema id {id} cannot be read as {wanted}: {message}")]
    IncompatibleSchema {
        /// The id in the framing.
        id: u32,
        /// The full name of our schema.
        wanted: &'static str,
        /// What does not fit.
        message: String,
    },
    /// A body that its own writer's schema does not fit.
    #[error("a value with schema id {id} is not of that schema: {message}")]
    Unresolvable {
        /// The id in the framing.
        id: u32,
        /// What is wrong.
        message: String,
    },
    /// Text that is no JSON object.
    #[error("not a JSON object: {0}")]
    BadJson(String),
    /// A JSON object without a field of the contract.
    #[error("field {0} is missing")]
    MissingField(&'static str),
    /// A JSON object with a field twice.
    #[error("field {0} is there twice")]
    DuplicateField(&'static str),
    /// A JSON field of another type, or an enum symbol that the contract does not have.
    #[error("field {field}: {message}")]
    BadField {
        /// The field's name in the contract.
        field: &'static str,
        /// What is wrong.
        message: String,
    },
    /// A field that the contract of its type refuses.
    #[error("{message}")]
    Invalid {
        /// A short name from a fixed set, as `invalid_currency`.
        code: &'static str,
        /// The field, the value, and what would be right.
        message: String,
    },
}

impl DecodeError {
    /// Whether the registry's word is all that is wrong, which may be another one later.
    #[must_use]
    pub fn is_of_registry(&self) -> bool {
        matches!(
            self,
            Self::UnknownSchema { .. } | Self::RefusedSchema { .. } | Self::MissingReference { .. }
        )
    }

    /// A short name from a fixed set, fit for a metric label.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::WrongMagic(_) => "wrong_magic",
            Self::Truncated { .. } => "truncated",
            Self::TrailingBytes { .. } => "trailing_bytes",
            Self::VarintTooLong { .. } => "varint_too_long",
            Self::NegativeLength { .. } => "negative_length",
            Self::NotUtf8 { .. } => "not_utf8",
            Self::IndexOutOfRange { .. } => "index_out_of_range",
            Self::BadBoolean { .. } => "bad_boolean",
            Self::OutOfRange { .. } => "out_of_range",
            Self::NotFinite { .. } => "not_finite",
            Self::BadDecimal { .. } => "bad_decimal",
            Self::UnknownSchema { .. } => "unknown_schema",
            Self::RefusedSchema { .. } => "refused_schema",
            Self::MissingReference { .. } => "missing_reference",
            Self::IncompatibleSchema { .. } => "incompatible_schema",
            Self::Unresolvable { .. } => "unresolvable",
            Self::BadJson(_) => "bad_json",
            Self::MissingField(_) => "missing_field",
            Self::DuplicateField(_) => "duplicate_field",
            Self::BadField { .. } => "bad_field",
            Self::Invalid { code, .. } => code,
        }
    }
}
