//! Records that no consumer can take, of every kind a consumer must name.

use millrace_domain::Transaction;

use crate::world::multiply_shift;

/// Far ahead of the clock in any run: the first day of the year 9000.
pub(super) const FAR_FUTURE_MS: i64 = 221_845_392_000_000;

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Malformation {
    /// The bytes end within a value.
    Truncated,
    /// The first byte is that of no format.
    WrongMagic,
    /// Framed with a schema id that the registry does not know.
    UnknownSchema,
    /// A user id that is not UTF-8.
    BadUtf8,
    /// A transaction type that the schema does not have.
    BadEnum,
    /// An amount that is not a number.
    NotANumber,
    /// An amount below 0.
    NegativeAmount,
    /// A valid record but for its time.
    FarFuture,
    /// Starts as JSON and is none.
    NotJson,
}

impl Malformation {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Truncated,
        Self::WrongMagic,
        Self::UnknownSchema,
        Self::BadUtf8,
        Self::BadEnum,
        Self::NotANumber,
        Self::NegativeAmount,
        Self::FarFuture,
        Self::NotJson,
    ];

    /// The kind that 32 random bits choose.
    pub(super) fn drawn(random: u32) -> Self {
        Self::ALL[multiply_shift(random, Self::ALL.len() as u32) as usize]
    }

    /// Spoils the encoded `value` of `transaction`. [`Malformation::FarFuture`] is spoilt before it
    /// is encoded.
    pub fn spoil(self, transaction: &Transaction, value: &mut Vec<u8>) {
        match self {
            Self::Truncated => value.truncate(value.len() / 2),
            Self::WrongMagic => value[0] = 0x01,
            Self::UnknownSchema => {
                value.clear();
                value.extend_from_slice(&[0, 0x7f, 0xff, 0xff, 0xff]);
                millrace_domain::codec::transaction::encode(transaction, value);
            }
            Self::BadUtf8 => {
                let user = transaction.user_id.text();
                if let Some(at) = find(value, user.as_bytes()) {
                    value[at] = 0xff;
                }
            }
            Self::BadEnum => spoil_enum(transaction, value),
            Self::NotANumber => spoil_amount(transaction, value, f64::NAN, b"NaN"),
            Self::NegativeAmount => spoil_amount(transaction, value, -transaction.amount.to_f64(), b"-1.5"),
            Self::FarFuture => {}
            Self::NotJson => {
                value.clear();
                value.extend_from_slice(b"{\"transactionId\": oops");
            }
        }
    }
}

fn is_avro(value: &[u8]) -> bool {
    value.first() == Some(&millrace_contract::framing::MAGIC)
}

/// The amount follows the user id in Avro; in JSON it follows its name.
fn spoil_amount(transaction: &Transaction, value: &mut Vec<u8>, double: f64, text: &[u8]) {
    if is_avro(value) {
        let user = transaction.user_id.text();
        if let Some(at) = find(value, user.as_bytes()) {
            let from = at + user.as_bytes().len();
            value[from..from + 8].copy_from_slice(&double.to_le_bytes());
        }
    } else if let Some(at) = find(value, b"\"amount\":") {
        let from = at + b"\"amount\":".len();
        let length = value[from..].iter().position(|&byte| byte == b',').unwrap_or(0);
        value.splice(from..from + length, text.iter().copied());
    }
}

/// The type follows the merchant id in Avro, as one byte; in JSON it is quoted.
fn spoil_enum(transaction: &Transaction, value: &mut [u8]) {
    if is_avro(value) {
        let user = transaction.user_id.text();
        let merchant = transaction.merchant_id.text();
        let after_user = find(value, user.as_bytes()).map_or(0, |at| at + user.as_bytes().len());
        if let Some(at) = find(&value[after_user..], merchant.as_bytes()) {
            value[after_user + at + merchant.as_bytes().len()] = 0x7e;
        }
    } else if let Some(at) = find(value, transaction.transaction_type.as_str().as_bytes()) {
        value[at] = b'#';
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
