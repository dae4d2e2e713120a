//! Decimal numbers as files write them, exact to the last digit.

use std::fmt::Write;

/// How a column's numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marks {
    /// Between the whole and its decimals.
    pub(super) decimal: char,
    /// Between groups of digits, where they are grouped.
    pub(super) thousands: Option<char>,
}

impl Marks {
    /// As programs write numbers: 1234.56.
    pub(super) const PLAIN: Self = Self {
        decimal: '.',
        thousands: None,
    };

    /// A number so written, for messages.
    pub(super) fn example(self) -> String {
        let thousands = self.thousands.map_or_else(String::new, String::from);
        format!("1{thousands}234{}56", self.decimal)
    }
}

/// A decimal number: `digits` times ten to the power of `exponent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    /// ASCII digits without leading zeros; none for 0.
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// The longest number that is read: more is no number that anybody means.
    const MAX_LEN: usize = 400;

    /// Reads a number, with a sign and an exponent or not. Groups of digits must be whole, so that
    /// a decimal comma which the mapping takes for a grouping mark makes no other number: `1,5` is
    /// not 15.
    pub(super) fn parse(text: &str, marks: Marks) -> Option<Self> {
        if text.len() > Self::MAX_LEN {
            return None;
        }
        let (negative, text) = match text.strip_prefix(['-', '\u{2212}']) {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().ok()?.into()),
            None => (text, 0_i64),
        };
        let (whole, part) = mantissa.split_once(marks.decimal).unwrap_or((mantissa, ""));
        let whole = ungroup(whole, marks.thousands)?;
        if whole.is_empty() && part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = format!("{whole}{part}");
        Some(Self {
            negative,
            digits: digits.trim_start_matches('0').to_owned(),
            exponent: exponent - i64::try_from(part.len()).ok()?,
        })
    }

    /// The number times ten to the power of `scale`, and whether that is the whole of it; if not,
    /// the nearest, halves away from 0. `None` where it has no room in 128 bits.
    pub(super) fn scaled(&self, scale: u8) -> Option<(i128, bool)> {
        let shift = self.exponent + i64::from(scale);
        let (kept, dropped) = if shift >= 0 {
            let zeros = usize::try_from(shift).ok().filter(|zeros| *zeros <= 400)?;
            (format!("{}{}", self.digits, "0".repeat(zeros)), "")
        } else {
            let cut = usize::try_from(-shift).ok()?;
            match self.digits.len().checked_sub(cut) {
                Some(at) => (self.digits[..at].to_owned(), &self.digits[at..]),
                // A number below the last place that is kept: it can round up to 1 only from there.
                None => (String::new(), if self.digits.is_empty() { "" } else { "0+" }),
            }
        };
        let kept = kept.trim_start_matches('0');
        let magnitude: i128 = if kept.is_empty() { 0 } else { kept.parse().ok()? };
        let is_exact = dropped.bytes().all(|byte| byte == b'0');
        let up = dropped.bytes().next().is_some_and(|byte| byte >= b'5');
        let rounded = magnitude + i128::from(up);
        Some((if self.negative { -rounded } else { rounded }, is_exact))
    }

    /// The number times ten to the power of `scale`, as far as it is whole: rounded down, as times
    /// are.
    pub(super) fn floor(&self, scale: u8) -> Option<i64> {
        let (nearest, is_exact) = self.scaled(scale)?;
        if is_exact {
            return i64::try_from(nearest).ok();
        }
        let cut = usize::try_from(-(self.exponent + i64::from(scale))).ok()?;
        let whole = &self.digits[..self.digits.len().saturating_sub(cut)];
        let magnitude: i128 = whole.parse().unwrap_or(0);
        let floored = if self.negative { -magnitude - 1 } else { magnitude };
        i64::try_from(floored).ok()
    }

    /// Whether it has no more digits than a double is written with.
    pub(super) fn may_be_double(&self) -> bool {
        self.digits.trim_end_matches('0').len() <= 17
    }

    /// The nearest double.
    pub(super) fn to_f64(&self) -> f64 {
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}0{}e{}", self.digits, self.exponent)
            .parse()
            .unwrap_or(f64::NAN)
    }
}

/// Takes the marks out of grouped digits: groups of three, or of two above the last, as in
/// 12,34,567.
fn ungroup(whole: &str, thousands: Option<char>) -> Option<String> {
    let is_mark = |c: char| match thousands {
        // Blanks between digits are often ones that do not break the line, and apostrophes often
        // typographic.
        Some(' ') => matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}'),
        Some('\'') => matches!(c, '\'' | '\u{2019}'),
        other => other == Some(c),
    };
    let groups: Vec<&str> = whole.split(is_mark).collect();
    let well_grouped = groups.iter().enumerate().all(|(at, group)| {
        let length = group.len();
        match (at, groups.len() - 1 - at) {
            (0, 0) => true,
            (_, 0) => length == 3,
            (0, _) => (1..=3).contains(&length),
            _ => length == 3 || length == 2,
        }
    });
    let digits = groups.concat();
    (well_grouped && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

/// A whole number of two's complement, most significant byte first, with its last `scale` digits
/// behind a point.
pub(super) fn decimal_text(bytes: &[u8], scale: usize) -> String {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut magnitude = bytes.to_vec();
    if negative {
        // Invert and add one.
        let mut carry = true;
        for byte in magnitude.iter_mut().rev() {
            let (sum, over) = (!*byte).overflowing_add(u8::from(carry));
            (*byte, carry) = (sum, over);
        }
    }
    let mut digits = Vec::new();
    while magnitude.iter().any(|&byte| byte != 0) {
        let mut rest = 0_u32;
        for byte in &mut magnitude {
            let value = rest << 8 | u32::from(*byte);
            *byte = (value / 10) as u8;
            rest = value % 10;
        }
        digits.push(rest as u8);
    }
    while digits.len() <= scale {
        digits.push(0);
    }
    let mut text = String::with_capacity(digits.len() + 2);
    if negative {
        text.push('-');
    }
    for (at, digit) in digits.iter().enumerate().rev() {
        let _ = write!(text, "{digit}");
        if at == scale && scale > 0 {
            text.push('.');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const GERMAN: Marks = Marks {
        decimal: ',',
        thousands: Some('.'),
    };

    fn units(text: &str, marks: Marks) -> Option<(i128, bool)> {
        Decimal::parse(text, marks)?.scaled(4)
    }

    #[test]
    fn numbers_keep_every_digit() {
        for (text, expected) in [
            ("57.16", (571_600, true)),
            ("-0.5", (-5_000, true)),
            ("+3", (30_000, true)),
            (".5", (5_000, true)),
            ("5.", (50_000, true)),
            ("5.716E1", (571_600, true)),
            ("1e-4", (1, true)),
            ("571600e-4", (571_600, true)),
            ("0.00004", (0, false)),
            ("0.00005", (1, false)),
            ("2.00005", (20_001, false)),
            ("85.64999999999999", (856_500, false)),
            ("57.1600000000000000000000000000000", (571_600, true)),
            (
                "123456789012345678901234.0001",
                (1_234_567_890_123_456_789_012_340_001, true),
            ),
            ("0", (0, true)),
            ("0.0000", (0, true)),
            ("1e-300", (0, false)),
        ] {
            assert_eq!(units(text, Marks::PLAIN), Some(expected), "{text}");
        }
        for text in [
            "", "-", ".", "1.2.3", "1,5", "NaN", "inf", "1e", "0x1", "1 2", "1e99999", "٣",
        ] {
            assert_eq!(units(text, Marks::PLAIN), None, "{text}");
        }
        assert_eq!(units(&"9".repeat(60), Marks::PLAIN), None);
    }

    #[test]
    fn marks_are_those_of_the_mapping_and_groups_are_whole() {
        let with = |decimal, thousands| Marks {
            decimal,
            thousands: Some(thousands),
        };
        for (text, marks, expected) in [
            ("1.234,56", GERMAN, Some(12_345_600)),
            ("1.234.567", GERMAN, Some(12_345_670_000)),
            ("12,5", GERMAN, Some(125_000)),
            ("1.5", GERMAN, None),
            ("1.2345,6", GERMAN, None),
            (".234,5", GERMAN, None),
            ("1,234.56", with('.', ','), Some(12_345_600)),
            ("12,34,567.8", with('.', ','), Some(12_345_678_000)),
            ("1,5", with('.', ','), None),
            ("1\u{202f}234,56", with(',', ' '), Some(12_345_600)),
            ("1\u{2019}234.56", with('.', '\''), Some(12_345_600)),
        ] {
            assert_eq!(units(text, marks).map(|(units, _)| units), expected, "{text}");
        }
        assert_eq!(GERMAN.example(), "1.234,56");
    }

    #[test]
    fn times_are_rounded_down() {
        let floor = |text: &str, scale| Decimal::parse(text, Marks::PLAIN).unwrap().floor(scale);
        assert_eq!(floor("1522584031.9999", 3), Some(1_522_584_031_999));
        assert_eq!(floor("-0.0001", 3), Some(-1));
        assert_eq!(floor("1.709287e12", 0), Some(1_709_287_000_000));
        assert_eq!(floor("0.5", 0), Some(0));
        assert_eq!(floor("99999999999999999999", 0), None);
    }

    #[test]
    fn decimals_of_any_width_are_written_out() {
        for (value, scale, expected) in [
            (4711_i128, 0, "4711"),
            (150, 2, "1.50"),
            (-5, 2, "-0.05"),
            (0, 0, "0"),
            (0, 2, "0.00"),
            (i128::MAX, 0, "170141183460469231731687303715884105727"),
            (i128::MIN, 0, "-170141183460469231731687303715884105728"),
        ] {
            assert_eq!(decimal_text(&value.to_be_bytes(), scale), expected);
        }
        // Of 256 bits: 2 to the power of 200.
        let mut bytes = [0; 32];
        bytes[6] = 1;
        let expected = "1606938044258990275541962092341162602522202993782792835301376";
        assert_eq!(decimal_text(&bytes, 0), expected);
        assert_eq!(decimal_text(&[], 0), "0");
    }
}
