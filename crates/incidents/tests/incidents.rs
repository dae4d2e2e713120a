//! Alerts in, incidents and campaigns out.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

use std::collections::BTreeSet;
use std::sync::Arc;

use millrace_domain::{Currency, EntityType, Severity, TransactionId};
use millrace_incidents::{
    Alert, Campaign, Campaigns, Closed, DECIDABLE_MS, Incident, Incidents, LIBRARY, State, Typologies,
    Verdict,
};
use proptest::prelude::*;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

const TYPOLOGIES: &str = "typologies:\n  - name: stolen\n    rules: {probe: 0.6, big: 0.5, far: 1}\n    threshold: 1.1\n    \
                          quiet: 24h\n    reason: r\n  - name: travel\n    rules: {far: 1}\n    threshold: 1\n    \
                          quiet: 1h\n    severity: critical\n    reason: r\n";

fn names() -> BTreeSet<&'static str> {
    BTreeSet::from(["probe", "big", "far", "alone"])
}

fn incidents() -> Incidents {
    Incidents::new(Typologies::parse(TYPOLOGIES, &names()).unwrap())
}

fn id(number: u64) -> TransactionId {
    TransactionId::from_bytes(u128::from(number).to_be_bytes())
}

fn alert<'a>(rule: &'a str, user: &'a str, number: u64, time_ms: i64) -> Alert<'a> {
    Alert {
        rule,
        severity: Severity::Low,
        score: Some(number as f64),
        transaction: id(number),
        user,
        merchant: Some("m-1"),
        amount: Some((10_000, Currency::parse(b"EUR").unwrap())),
        time_ms,
    }
}

fn taken(incidents: &mut Incidents, alert: &Alert<'_>) -> Vec<Incident> {
    let mut told = Vec::new();
    incidents.process(alert, "reason", &mut told);
    told
}

#[test]
fn an_attack_of_a_thousand_transactions_is_one_incident() {
    let mut incidents = incidents();
    let mut last = Vec::new();
    for number in 0..1_000 {
        let time_ms = i64::try_from(number).unwrap() * MINUTE_MS;
        taken(&mut incidents, &alert("probe", "u", number, time_ms));
        last = taken(&mut incidents, &alert("big", "u", number, time_ms));
    }
    let [incident] = last.as_slice() else {
        panic!("{last:?}");
    };
    assert_eq!(incident.transactions.count(), 1_000);
    assert_eq!((incident.first_ms, incident.last_ms), (0, 999 * MINUTE_MS));
    assert_eq!(incident.score, 1.1);
    assert_eq!(incident.rules["probe"].alerts, 1_000);
    assert_eq!(incident.rules["big"].best_score, Some(999.0));
    let money: Vec<_> = incident
        .money
        .iter()
        .map(|(currency, sum)| (currency.as_str(), sum.units()))
        .collect();
    assert_eq!(money, [("EUR", 10_000_000)]);
    assert_eq!(incidents.len(), 1);
}

#[test]
fn nobody_is_told_below_the_threshold() {
    let mut incidents = incidents();
    for number in 0..5 {
        assert_eq!(taken(&mut incidents, &alert("probe", "u", number, 0)), []);
    }
    // Another rule takes the sum of the weights there; other users are others.
    assert_eq!(taken(&mut incidents, &alert("big", "v", 6, 0)), []);
    let told = taken(&mut incidents, &alert("big", "u", 7, 0));
    assert_eq!((told.len(), told[0].revision, told[0].state), (1, 6, State::Open));
    let mut told = Vec::new();
    incidents.advance(25 * HOUR_MS, &mut told);
    let states: Vec<_> = told
        .iter()
        .map(|incident| (&*incident.user, incident.state))
        .collect();
    assert_eq!(
        states,
        [("u", State::Closed(Closed::Quiet))],
        "v's was never told"
    );
    assert!(incidents.is_empty());
}

#[test]
fn a_rule_may_be_of_several_kinds_or_of_none() {
    let mut incidents = incidents();
    let told = taken(&mut incidents, &alert("far", "u", 1, 0));
    assert_eq!(told.len(), 1, "the sum of the other kind is below its threshold");
    assert_eq!(
        (told[0].typology.as_str(), told[0].severity),
        ("travel", Severity::Critical)
    );
    let told = taken(&mut incidents, &alert("alone", "u", 2, 0));
    assert_eq!(
        (told[0].typology.as_str(), told[0].severity),
        ("alone", Severity::Low)
    );
    assert_eq!(&*told[0].reason, "reason");
}

#[test]
fn after_a_quiet_time_it_is_another() {
    let mut incidents = incidents();
    let first = taken(&mut incidents, &alert("far", "u", 1, 0));
    let same = taken(&mut incidents, &alert("far", "u", 2, HOUR_MS));
    assert_eq!((same[0].id, same[0].revision), (first[0].id, 2));
    // By its alert alone, before any watermark says so.
    let told: Vec<_> = taken(&mut incidents, &alert("far", "u", 3, 2 * HOUR_MS + 1))
        .into_iter()
        .filter(|incident| incident.typology == "travel")
        .collect();
    assert_eq!(told[0].state, State::Closed(Closed::Quiet));
    assert_eq!((told[0].id, told[0].revision), (first[0].id, 3));
    assert_eq!((told[1].state, told[1].revision), (State::Open, 1));
    assert_ne!(told[1].id, first[0].id);
    let mut told = Vec::new();
    incidents.advance(3 * HOUR_MS + 1, &mut told);
    assert!(told.is_empty(), "an alert at this time would still join");
    incidents.advance(3 * HOUR_MS + 2, &mut told);
    assert_eq!(told.len(), 1);
}

#[test]
fn a_verdict_closes_what_was_told_and_nothing_else() {
    let mut incidents = incidents();
    let travel = taken(&mut incidents, &alert("far", "u", 1, 0)).remove(0);
    let mut told = Vec::new();
    assert!(incidents.decide(travel.id, Verdict::FalseAlarm, &mut told));
    assert_eq!(told[0].state, State::Closed(Closed::Verdict(Verdict::FalseAlarm)));
    assert_eq!(told[0].revision, 2);
    assert!(
        !incidents.decide(travel.id, Verdict::Confirmed, &mut told),
        "it is over"
    );
    assert_eq!((told.len(), incidents.len()), (1, 1), "the other kind grows on");
    let again = taken(&mut incidents, &alert("far", "u", 2, 1));
    assert_ne!(again[0].id, travel.id);
}

#[test]
fn what_is_over_can_be_decided_on_for_a_week_where_all_are_told() {
    let typologies = Arc::new(Typologies::parse(TYPOLOGIES, &names()).unwrap());
    let mut incidents = Incidents::telling_all(EntityType::User, typologies);
    let mut told = Vec::new();
    incidents.process(&alert("probe", "u", 1, 0), "r", &mut told);
    incidents.advance(25 * HOUR_MS, &mut told);
    let id = told[0].id;
    assert!(incidents.decide(id, Verdict::Confirmed, &mut told));
    assert!(incidents.decide(id, Verdict::Confirmed, &mut told));
    assert!(incidents.decide(id, Verdict::FalseAlarm, &mut told));
    let dismissed = State::Closed(Closed::Verdict(Verdict::FalseAlarm));
    let states: Vec<_> = told
        .iter()
        .map(|incident| (incident.revision, incident.state))
        .collect();
    let expected = [
        State::Growing,
        State::Closed(Closed::Quiet),
        State::Closed(Closed::Verdict(Verdict::Confirmed)),
        dismissed,
    ];
    assert_eq!(
        states,
        (1..).zip(expected).collect::<Vec<_>>(),
        "the same once more is none"
    );
    // Of the transaction that opened it, as no other may have its id.
    incidents.process(&alert("big", "u", 1, 0), "r", &mut told);
    let last = told.last().unwrap();
    assert_eq!((last.id, last.revision, last.state), (id, 5, dismissed));
    assert_eq!((last.alerts(), last.transactions.count()), (2, 1));
    incidents.process(&alert("big", "u", 2, 0), "r", &mut told);
    assert_ne!(told.last().unwrap().id, id);
    incidents.advance(DECIDABLE_MS, &mut told);
    assert!(incidents.decide(id, Verdict::Confirmed, &mut told));
    incidents.advance(DECIDABLE_MS + 1, &mut told);
    assert!(!incidents.decide(id, Verdict::FalseAlarm, &mut told));
}

#[test]
fn what_is_wrong_with_typologies_is_said() {
    let wrong = |from: &str, to: &str| {
        let text = TYPOLOGIES.replace(from, to);
        assert_ne!(text, TYPOLOGIES);
        Typologies::parse(&text, &names()).unwrap_err().to_string()
    };
    assert!(wrong("probe: 0.6", "prove: 0.6").contains("\"stolen\": there is no rule \"prove\""));
    assert!(wrong("threshold: 1.1", "threshold: 3").contains("at most 2.1, what all its rules add up to"));
    assert!(wrong("threshold: 1.1", "threshold: -1").contains("above 0"));
    assert!(wrong("probe: 0.6", "probe: 0").contains("a weight above 0"));
    assert!(wrong("quiet: 24h", "quiet: 31days").contains("at most 30 days"));
    assert!(wrong("quiet: 24h", "quiet: soon").contains("quiet is \"soon\""));
    assert!(wrong("severity: critical", "severity: bad").contains("one of low, medium"));
    assert!(wrong("name: travel", "name: stolen").contains("two of this name"));
    assert!(wrong("name: travel", "name: Travel").contains("lower case"));
    assert!(wrong("name: travel", "name: alone").contains("the name of a rule"));
    assert!(wrong("threshold: 1.1", "treshold: 1.1").contains("treshold"));
    let of_others = TYPOLOGIES.replace("probe: 0.6", "prove: 0.6");
    assert!(Typologies::parse_of_any_rules(&of_others).is_ok());
    assert!(Typologies::parse_of_any_rules(&of_others.replace("24h", "soon")).is_err());
}

#[test]
fn the_shipped_typologies_are_of_the_shipped_rules() {
    let files = millrace_rules::LIBRARY.map(|(_, text)| millrace_rules::parse_rules(text).unwrap());
    let rules: BTreeSet<&str> = files.iter().flatten().map(millrace_rules::Rule::name).collect();
    let typologies = Typologies::parse(LIBRARY, &rules).unwrap();
    let named: BTreeSet<&str> = typologies
        .iter()
        .flat_map(|typology| typology.rules.keys().map(String::as_str))
        .collect();
    assert_eq!(named, rules, "each shipped rule is of a kind");
}

#[test]
fn many_users_at_one_merchant_are_one_campaign() {
    let (mut incidents, mut campaigns) = (incidents(), Campaigns::new(3, HOUR_MS));
    let mut told: Vec<Campaign> = Vec::new();
    for (number, user) in (0_u64..).zip(["a", "b", "b", "c", "d"]) {
        let time_ms = i64::try_from(number).unwrap();
        for incident in taken(&mut incidents, &alert("far", user, number, time_ms)) {
            campaigns.process(&incident, &mut told);
        }
    }
    let users: Vec<_> = told.iter().map(|campaign| campaign.users.len()).collect();
    assert_eq!(users, [3, 4], "from the third user on, and not for a known one");
    assert_eq!(told[0].id, told[1].id);
    assert_eq!((told[1].first_ms, told[1].last_ms), (0, 4));
    campaigns.advance(HOUR_MS + 4, &mut told);
    assert_eq!(told.len(), 2);
    campaigns.advance(HOUR_MS + 5, &mut told);
    assert!(told[2].is_closed && told[2].revision > told[1].revision);
}

proptest! {
    /// However alerts come: revisions of an incident go up one by one, what is told has reached its
    /// threshold, each transaction of a user's is in one incident of a kind, and all is over once
    /// time has gone on.
    #[test]
    fn alerts_are_in_incidents_once(
        steps in proptest::collection::vec((0_usize..4, 0_usize..3, 0_i64..40), 1..200),
    ) {
        let mut incidents = incidents();
        let (rules, users) = (["probe", "big", "far", "alone"], ["a", "b", "c"]);
        let (mut now_ms, mut told) = (0, Vec::new());
        let mut far = 0;
        for (number, (rule, user, hours)) in steps.iter().enumerate() {
            now_ms += hours * HOUR_MS / 10;
            far += u64::from(*rule == 2);
            let number = u64::try_from(number).unwrap();
            incidents.process(&alert(rules[*rule], users[*user], number, now_ms), "r", &mut told);
            incidents.advance(now_ms, &mut told);
        }
        incidents.advance(now_ms + 100 * HOUR_MS, &mut told);
        prop_assert!(incidents.is_empty());
        let mut last: std::collections::BTreeMap<_, Incident> = std::collections::BTreeMap::new();
        for incident in told {
            prop_assert!(incident.state != State::Growing);
            if let Some(before) = last.insert(incident.id, incident.clone()) {
                prop_assert_eq!(incident.revision, before.revision + 1);
                prop_assert!(incident.score >= before.score);
            }
        }
        let travel = last.values().filter(|incident| incident.typology == "travel");
        prop_assert_eq!(travel.map(|incident| incident.transactions.count()).sum::<u64>(), far);
        prop_assert!(last.values().all(|incident| incident.state == State::Closed(Closed::Quiet)));
    }
}
