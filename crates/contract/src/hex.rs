//! The text of a UUID, without a byte at a time.

/// Length of the hyphenated form.
pub const TEXT_LEN: usize = 36;

const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// Reads the hyphenated form, in either case.
///
/// A call would give the bytes by way of memory, written in other pieces than they are read in: the
/// processor waits for that.
#[inline(always)]
#[must_use]
pub fn parse(text: &[u8; TEXT_LEN]) -> Option<[u8; 16]> {
    if HYPHENS.iter().any(|&at| text[at] != b'-') {
        return None;
    }
    let digits = |at: usize| -> u64 {
        let four = [text[at], text[at + 1], text[at + 2], text[at + 3]];
        u64::from(u32::from_le_bytes(four))
    };
    let eight = |first: usize, second: usize| eight_digits(digits(first) | digits(second) << 32);
    let words = [eight(0, 4)?, eight(9, 14)?, eight(19, 24)?, eight(28, 32)?];
    let mut bytes = [0; 16];
    for (four, word) in bytes.chunks_exact_mut(4).zip(words) {
        four.copy_from_slice(&word.to_le_bytes());
    }
    Some(bytes)
}

/// Writes the lower-case hyphenated form.
#[inline]
#[must_use]
pub fn to_text(id: &[u8; 16]) -> [u8; TEXT_LEN] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    /// The text positions of the 16 bytes' first digits.
    const AT: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
    let mut text = [b'-'; TEXT_LEN];
    for (&byte, at) in id.iter().zip(AT) {
        text[at] = DIGITS[(byte >> 4) as usize];
        text[at + 1] = DIGITS[(byte & 0x0f) as usize];
    }
    text
}

/// The four bytes that eight hexadecimal digits stand for, all eight at once; the first of each is
/// the lowest byte.
#[inline]
fn eight_digits(text: u64) -> Option<u32> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;
    // With every byte below 0x80, adding 0x80 - c sets the high bit of the bytes from c on, and
    // nothing carries over.
    let from = |word: u64, c: u64| word + (0x80 - c) * ONES;
    if text & HIGH != 0 {
        return None;
    }
    let folded = text | (0x20 * ONES);
    let digits = from(text, 0x30) & !from(text, 0x3a) & HIGH;
    let letters = from(folded, 0x61) & !from(folded, 0x67) & HIGH;
    if digits | letters != HIGH {
        return None;
    }
    let values = (text & (0x0f * ONES)) + 9 * (letters >> 7);
    let pairs = (values << 4 | values >> 8) & 0x00ff_00ff_00ff_00ff;
    let pairs = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    Some((pairs | pairs >> 16) as u32)
}
