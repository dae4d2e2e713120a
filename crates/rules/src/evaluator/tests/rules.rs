//! Random files of rules.

use proptest::prelude::*;
use proptest::sample::select;

const WINDOWS: [&str; 5] = ["1m", "10m", "1h", "24h", "7d"];

fn window() -> impl Strategy<Value = &'static str> {
    select(&WINDOWS[..])
}

fn sign() -> impl Strategy<Value = &'static str> {
    select(vec!["<", "<=", ">", ">="])
}

fn excluding() -> impl Strategy<Value = &'static str> {
    select(vec!["", ".excluding_current()"])
}

fn entity() -> impl Strategy<Value = &'static str> {
    select(vec![
        "",
        ".by(user)",
        ".by(merchant)",
        ".by(user, merchant)",
        ".by(user, currency)",
        ".by(method)",
        ".by(location)",
    ])
}

/// What looks at the record alone.
fn guard() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("international".to_owned()),
        select(vec!["purchase", "refund"]).prop_map(|kind| format!("type == \"{kind}\"")),
        Just("method != \"paypal\"".to_owned()),
        Just("merchant in [\"m-1\", \"m-3\"]".to_owned()),
        Just("currency in [\"EUR\", \"USD\"]".to_owned()),
        (sign(), 1_u32..400).prop_map(|(sign, euros)| format!("amount {sign} {euros} EUR")),
        (sign(), 0_u32..24).prop_map(|(sign, hour)| format!("hour(time) {sign} {hour}")),
        Just("weekday(time) in_week".to_owned()).prop_map(|_| "weekday(time) <= 5".to_owned()),
    ]
}

fn only() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just(String::new()),
        3 => guard().prop_map(|guard| format!(", {guard}")),
        1 => sign().prop_map(|sign| format!(", amount {sign} usual")),
        1 => Just(", count(\"10m\") > 1 or international".to_owned()),
    ]
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        (window(), only(), entity(), excluding()).prop_map(|(window, only, entity, excluding)| format!(
            "count(\"{window}\"{only}){entity}{excluding}"
        )),
        (
            window(),
            only(),
            entity(),
            excluding(),
            select(vec!["sum", "avg", "min", "max"])
        )
            .prop_map(|(window, only, entity, excluding, name)| {
                format!("{name}(\"{window}\", amount / usual{only}){entity}{excluding}")
            }),
        (
            window(),
            only(),
            entity(),
            select(vec!["merchant", "location", "method", "currency"])
        )
            .prop_map(|(window, only, entity, field)| format!(
                "distinct(\"{window}\", {field}{only}){entity}"
            )),
        (guard(), only(), entity())
            .prop_map(|(guard, only, entity)| format!("streak({guard}{only}){entity}")),
        only().prop_map(|only| format!("zscore(log(amount){only})")),
        window().prop_map(|window| format!("zscore(\"{window}\", amount)")),
        (only(), entity()).prop_map(|(only, entity)| {
            let only = only.trim_start_matches(", ");
            format!("since_last({only}){entity} / 1m")
        }),
        Just("distance_km(place(location), last(place(location))) / 1000".to_owned()),
        Just("amount / usual".to_owned()),
    ]
}

fn money() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("amount".to_owned()),
        Just("usual * 1.5".to_owned()),
        (
            window(),
            only(),
            excluding(),
            select(vec!["sum", "avg", "min", "max"])
        )
            .prop_map(|(window, only, excluding, name)| format!(
                "{name}(\"{window}\", amount{only}){excluding}"
            )),
        Just("greatest(amount, last(amount))".to_owned()),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        2 => guard(),
        4 => (number(), sign(), 0_u32..12).prop_map(|(number, sign, limit)| format!("{number} {sign} {limit}")),
        2 => (money(), sign(), money()).prop_map(|(one, sign, other)| format!("{one} {sign} ({other}) * 1.1")),
        1 => (window(), select(vec!["merchant", "location", "currency"]), entity())
            .prop_map(|(window, field, entity)| format!("first_seen(\"{window}\", {field}){entity}")),
        1 => Just("last(location) == location".to_owned()),
        1 => Just("has(usual)".to_owned()),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} and {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} or {b})")),
            inner.clone().prop_map(|a| format!("not ({a})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        ]
    })
}

/// One to four rules.
pub(super) fn file() -> impl Strategy<Value = String> {
    file_of(condition())
}

/// As [`file()`], with lists that change in each condition.
pub(super) fn file_with_lists() -> impl Strategy<Value = String> {
    let list = || {
        let name = select(vec!["deny", "watch"]);
        let entity = select(vec!["user", "merchant", "location", "last(merchant)"]);
        (name, entity).prop_map(|(name, entity)| format!("listed(\"{name}\", {entity})"))
    };
    let asked = prop_oneof![
        list(),
        list().prop_map(|list| format!("not {list}")),
        (window(), list()).prop_map(|(window, list)| format!("count(\"{window}\", {list}) > 1")),
        list().prop_map(|list| format!("streak({list}) > 1")),
    ];
    let either = prop_oneof![
        asked.clone(),
        (asked.clone(), condition()).prop_map(|(asked, other)| format!("{asked} and ({other})")),
        (asked, condition()).prop_map(|(asked, other)| format!("{asked} or ({other})")),
    ];
    file_of(either)
}

fn file_of(condition: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let quiet = prop_oneof![3 => Just(""), 1 => Just("    quiet: 30s\n")];
    prop::collection::vec((condition, quiet), 1..5).prop_map(|rules| {
        let mut text = "rules:\n".to_owned();
        for (at, (condition, quiet)) in rules.iter().enumerate() {
            text += &format!(
                "  - name: r{at}\n    when: '{condition}'\n    severity: low\n    reason: r\n    mode: live\n{quiet}"
            );
        }
        text
    })
}
