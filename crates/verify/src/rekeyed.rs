//! Whether every transaction that is no dead letter was rekeyed, once.

use super::report::{Row, Verdict};

/// The check: of how many records were to be written anew, and how many were.
pub(super) fn row((expected, actual): (u64, u64)) -> Row {
    Row {
        check: "records rekeyed".to_owned(),
        expected: expected.to_string(),
        actual: actual.to_string(),
        difference: match actual.checked_sub(expected) {
            Some(0) => "0".to_owned(),
            Some(more) => format!("+{more}"),
            None => format!("-{}", expected - actual),
        },
        verdict: match expected == actual {
            true => Verdict::Passed,
            false => Verdict::Failed,
        },
        // Some may be on their way; what is too much stays so.
        may_change: actual < expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_record_is_rekeyed_once() {
        assert_eq!(row((7, 7)).verdict, Verdict::Passed);
        let (fewer, more) = (row((7, 5)), row((7, 8)));
        assert_eq!((fewer.difference.as_str(), fewer.may_change), ("-2", true));
        assert_eq!((more.difference.as_str(), more.may_change), ("+1", false));
        assert_eq!((fewer.verdict, more.verdict), (Verdict::Failed, Verdict::Failed));
    }
}
