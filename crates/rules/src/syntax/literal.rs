//! Numbers, and what they are units of.

use millrace_domain::money::UNITS_PER_WHOLE;

/// Milliseconds in a unit of duration.
pub(crate) fn unit_ms(unit: &str) -> Option<i64> {
    Some(match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    })
}

/// A duration as it is written, with one unit or several: `90s`, `1h30m`.
pub(crate) fn duration_ms(text: &str) -> Option<i64> {
    let (mut rest, mut total_ms) = (text, 0_i64);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let part_ms = number.parse::<i64>().ok()?.checked_mul(unit_ms(unit)?)?;
        total_ms = total_ms.checked_add(part_ms)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total_ms)
}

/// The shortest text of a duration.
pub(crate) fn duration_text(ms: i64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let fits = units
        .into_iter()
        .find(|(unit_ms, _)| ms != 0 && ms % unit_ms == 0);
    let (unit_ms, unit) = fits.unwrap_or((1, "ms"));
    // 24h rather than 1d, as windows are written.
    if ms == 86_400_000 {
        return "24h".to_owned();
    }
    format!("{}{unit}", ms / unit_ms)
}

/// Units of 1/10,000 of a number with at most four decimals.
pub(crate) fn money_units(number: &str) -> Option<i64> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    if decimals.len() > 4 {
        return None;
    }
    let part: i64 = format!("{decimals:0<4}").parse().ok()?;
    whole
        .parse::<i64>()
        .ok()?
        .checked_mul(UNITS_PER_WHOLE)?
        .checked_add(part)
}

/// As [`money_units`] reads it.
pub(crate) fn money_text(units: i64) -> String {
    let (whole, part) = (units / UNITS_PER_WHOLE, units % UNITS_PER_WHOLE);
    let text = format!("{whole}.{part:04}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn durations_and_money_come_back(ms in 0..10_000_000_000_i64, units in 0..i64::MAX / 2) {
            prop_assert_eq!(duration_ms(&duration_text(ms)), Some(ms));
            prop_assert_eq!(money_units(&money_text(units)), Some(units));
        }
    }

    #[test]
    fn what_is_no_duration_is_none() {
        for text in ["", "m", "10", "10x", "1h30", "99999999999999d", "-1m"] {
            assert_eq!(duration_ms(text), None, "{text}");
        }
        assert_eq!(duration_ms("1h30m"), Some(5_400_000));
        assert_eq!(duration_text(86_400_000), "24h");
        assert_eq!(money_units("1.00001"), None);
    }
}
