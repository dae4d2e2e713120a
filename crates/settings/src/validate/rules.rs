//! The fraud rules. Their ranges are the operator's own, so that no setting that is taken here
//! fails there.

use super::Check;
use crate::sections::Rules;

pub(super) fn check(check: &mut Check, rules: &Rules) {
    rules.check(&mut |error| {
        let (value, least, most) = (error.value, error.least, error.most);
        let message = format!("is {value}: must be from {least} to {most}");
        check.refuse(&format!("detector.{}", error.key), message);
    });
}
