//! What the detector may be set with: rules, lists, and the modes of rules.

use std::collections::BTreeMap;

use millrace_domain::{ListEntry, ListKey};
use millrace_fraud::{DetectPolicy, DetectSettings, ListSettings, Listings, RuleFile};
use millrace_runtime::simulation::Random;

use crate::BEGIN_MS;

/// Small limits, so that short streams pass them: each change makes the state keep more, less or
/// nothing.
pub(crate) fn settings_of(random: &mut Random) -> DetectSettings {
    let mut settings = DetectSettings {
        max_disorder_ms: random.pick(&[2_000, 0, 20_000]),
        dedup_horizon_ms: random.pick(&[60_000, 4_001, 300_000]),
        profile_retention_ms: random.pick(&[86_400_000, 400_000_000]),
        ..DetectSettings::default()
    };
    let rules = &mut settings.rules;
    rules.habit.min_transactions = random.pick(&[3, 1, 6]);
    rules.habit.smoothing = random.pick(&[0.1, 0.5, 1.0]);
    rules.habit.min_deviation = random.pick(&[0.3, 0.05, 1.0]);
    rules.velocity = rules.velocity.filter(|_| !random.one_in(4));
    if let Some(velocity) = &mut rules.velocity {
        velocity.max_count = random.pick(&[4, 1, 9]);
        velocity.span_ms = random.pick(&[60_000, 5_000, 3_600_000]);
        velocity.max_sum_ratio = random.pick(&[30.0, 3.0, 8.0]);
    }
    rules.amount_outlier = rules.amount_outlier.filter(|_| !random.one_in(4));
    if let Some(outlier) = &mut rules.amount_outlier {
        outlier.max_z_score = random.pick(&[4.5, 1.5]);
    }
    rules.impossible_travel = rules.impossible_travel.filter(|_| !random.one_in(4));
    if let Some(travel) = &mut rules.impossible_travel {
        travel.max_speed_km_per_h = random.pick(&[1_000.0, 300.0, 3_000.0]);
        // Between the two places of the streams are some 16,000 km.
        travel.min_distance_km = random.pick(&[300.0, 0.0, 20_000.0]);
    }
    rules.replay = !random.one_in(4);
    (settings.rule_set, settings.rule_modes, settings.rule_change) = rule_set_of(random);
    settings.lists = lists_of(random);
    settings
}

/// Who is on which list, and which rule is snoozed about whom: some for good, some until a time
/// that the streams pass.
pub(crate) fn lists_of(random: &mut Random) -> ListSettings {
    let mut listings = Listings::default();
    for _ in 0..random.below(12) {
        let key = match random.below(4) {
            0 => format!("list/deny/user/u-{}", random.below(100)),
            1 => format!("list/watch/location/{}", random.pick(&["Berlin", "Sydney"])),
            2 => {
                let (name, ..) = random.pick(&RULES);
                format!("snooze/{name}/user/u-{}", random.below(100))
            }
            _ => {
                let name = random.pick(&["velocity", "amount_outlier", "impossible_travel", "replay"]);
                format!("snooze/{name}/user/u-{}", random.below(100))
            }
        };
        let until_ms = BEGIN_MS + random.below(150_000) as i64;
        let is_for_good = key.starts_with("list") && random.one_in(3);
        let entry = ListEntry {
            key: ListKey::parse(&key).unwrap(),
            until_ms: (!is_for_good).then_some(until_ms),
            author: "ann".to_owned(),
            reason: "r".to_owned(),
            time_ms: 0,
        };
        listings.put(entry).unwrap();
    }
    listings.settings()
}

pub(crate) fn policy_of(settings: DetectSettings) -> DetectPolicy {
    DetectPolicy::new(settings).unwrap()
}

/// Rules as data, of every kind of state: name, condition, and what else it says.
pub(crate) const RULES: [(&str, &str, &str); 11] = [
    ("hurry", "count(\"10m\") >= 3", "    quiet: 5m\n"),
    (
        "spread",
        "distinct(\"24h\", location) > 1 and since_last() < 1h",
        "    score: sum(\"1h\", amount) / avg(\"24h\", amount)\n",
    ),
    ("many", "count(\"24h\") >= 6 and streak(amount > 15 EUR) > 1", ""),
    (
        "few",
        "count(\"1m\").excluding_current() == 0 and amount > 15 EUR",
        "",
    ),
    (
        "most",
        "amount >= max(\"30m\", amount) and count(\"30m\") > 1",
        "",
    ),
    ("new_place", "first_seen(\"24h\", location)", "    quiet: 1m\n"),
    (
        "odd",
        "zscore(log(amount)) > 1",
        "    score: zscore(log(amount))\n",
    ),
    ("again", "last(amount) > amount", ""),
    ("dear", "amount > 2 * usual", ""),
    ("denied", "listed(\"deny\", user)", ""),
    (
        "watched",
        "listed(\"watch\", location) and count(\"10m\", listed(\"watch\", location)) > 1",
        "    quiet: 5s\n",
    ),
];

const MODES: [&str; 6] = ["live", "live", "shadow", "50 %", "paused", "draft"];

/// Some of the rules, each in some mode by its file, and some in another than that; none now and
/// then. And the number of the change that they are of.
pub(crate) fn rule_set_of(random: &mut Random) -> (Vec<RuleFile>, BTreeMap<String, String>, u64) {
    let (mut text, mut modes) = (String::from("rules:\n"), BTreeMap::new());
    let is_empty = random.one_in(4);
    for (name, when, more) in RULES {
        if is_empty || random.one_in(2) {
            continue;
        }
        let mode = random.pick(&MODES);
        text += &format!(
            "  - name: {name}\n    when: {when}\n    severity: low\n    reason: r\n    mode: {mode}\n{more}"
        );
        if random.one_in(3) {
            modes.insert(name.to_owned(), random.pick(&MODES).to_owned());
        }
    }
    let file = RuleFile {
        name: "rules.yml".to_owned(),
        text,
    };
    let files = if file.text.ends_with("rules:\n") {
        vec![]
    } else {
        vec![file]
    };
    (files, modes, random.below(1_000) as u64)
}
