//! Why a rule fired, in a sentence for the analyst and in one that may be said to the customer.
//!
//! A reason's code is the name of its rule, as alerts have it. What the customer is told names no
//! threshold: whoever has the card may not be its owner.

/// Of a rule that has no sentence of its own.
const CUSTOMER: &str = "This payment does not look like your usual ones, so it is being checked.";

/// Code, sentence for the analyst, sentence for the customer.
const BUILT_IN: [(&str, &str, &str); 4] = [
    (
        "velocity",
        "more purchases, or more money, within a short time than the rule allows",
        "Several payments were made from your account within a short time.",
    ),
    (
        "amount_outlier",
        "the amount is far above what the user usually spends in this currency",
        "This payment is much higher than the ones that you usually make.",
    ),
    (
        "impossible_travel",
        "two card purchases in places that nobody travels between in the time",
        "Your card was used in two places that are far apart, within a short time.",
    ),
    (
        "replay",
        "a transaction id came again with other content",
        "A payment was submitted twice, with different details.",
    ),
];

/// The sentence about a built-in rule for the analyst.
pub(super) fn of_built_in(rule: &str) -> Option<&'static str> {
    let found = BUILT_IN.iter().find(|(code, ..)| *code == rule);
    found.map(|(_, analyst, _)| *analyst)
}

/// The sentence for the customer: the rule's own, or one that holds for all.
pub(super) fn for_customer<'a>(rule: &str, own: Option<&'a str>) -> &'a str {
    let built_in = BUILT_IN.iter().find(|(code, ..)| *code == rule);
    own.or(built_in.map(|(.., customer)| *customer))
        .unwrap_or(CUSTOMER)
}

#[cfg(test)]
mod tests {
    use millrace_fraud::DetectSettings;

    use super::*;

    #[test]
    fn every_built_in_rule_has_its_sentences() {
        let rules = DetectSettings::default().rules;
        let names: Vec<_> = rules.names().collect();
        assert_eq!(names.len(), BUILT_IN.len(), "{names:?}");
        for name in names {
            assert!(of_built_in(name).is_some(), "{name}");
            assert!(for_customer(name, None) != CUSTOMER, "{name}");
        }
        assert_eq!(for_customer("other", None), CUSTOMER);
        assert_eq!(for_customer("other", Some("own")), "own");
    }
}
