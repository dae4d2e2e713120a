use super::directives::policy_at;
use super::*;

pub(crate) const fn advance(offset: i64, nth: u32, watermark_ms: i64) -> ControlRecord {
    ControlRecord::Advance {
        offset,
        watermark_ms,
        nth,
    }
}

pub(crate) fn configure(offset: i64, nth: u32, before: Option<&str>, policy: &str) -> ControlRecord {
    ControlRecord::Configure {
        offset,
        nth,
        before: before.map(str::to_owned),
        policy: policy.to_owned(),
        closed_until_ms: None,
    }
}

pub(crate) fn stated(offset: i64, policy: &str) -> ControlRecord {
    ControlRecord::Policy {
        offset,
        policy: policy.to_owned(),
        closed_until_ms: None,
    }
}

#[test]
fn a_record_comes_back_from_its_text() {
    let watermark = ControlRecord::Watermark {
        offset: 0,
        watermark_ms: 1_700_000_000_000,
    };
    assert_eq!(
        watermark.to_json(),
        r#"{"kind":"watermark","offset":0,"watermark_ms":1700000000000}"#
    );
    for record in [
        advance(12, 3, -5),
        configure(12, 0, Some(r#"{"window_ms":1}"#), r#"{"window_ms":2}"#),
        stated(9, "p"),
        ControlRecord::Policy {
            offset: 9,
            policy: "p".to_owned(),
            closed_until_ms: Some(60_000),
        },
        watermark,
    ] {
        assert_eq!(ControlRecord::parse(record.to_json().as_bytes()), Ok(record));
    }
    let error = ControlRecord::parse(br#"{"kind":"rules","offset":1}"#).unwrap_err();
    assert!(error.contains("rules"), "{error}");
}

#[test]
fn refusals_are_known_from_the_first_mark_that_no_other_release_came_after() {
    let (old, new) = (stated(3, "p").to_json(), stated(5, "p").to_marked_json(true));
    assert_eq!(
        ControlRecord::parse(new.as_bytes()),
        Ok(stated(5, "p")),
        "a release that knows no mark reads it"
    );
    assert!(tells_outputs(new.as_bytes()) && !tells_outputs(old.as_bytes()));
    let from = |values: &[&str]| {
        let mut log = ControlLog::default();
        values.iter().for_each(|value| log.add(value.as_bytes()).unwrap());
        assert_eq!(log.records.len(), values.len());
        log.refusals_from
    };
    assert_eq!(from(&[&old]), None);
    assert_eq!(
        from(&[&old, &new, &stated(7, "p").to_marked_json(false)]),
        Some(5)
    );
    let again = stated(7, "p").to_json();
    assert_eq!(from(&[&new, &again]), None);
    assert_eq!(
        from(&[&new, &again, &stated(9, "p").to_marked_json(true)]),
        Some(9)
    );
    assert!(ControlLog::default().add(b"{}").is_err());
}

#[test]
fn an_advance_of_an_earlier_release_is_read() {
    let old = br#"{"kind":"advance","offset":5,"watermark_ms":50}"#;
    assert_eq!(ControlRecord::parse(old), Ok(advance(5, 0, 50)));
}

#[test]
fn directives_are_merged_by_offset_before_the_record_they_precede() {
    let records = [
        advance(3, 0, 30),
        advance(5, 0, 50),
        stated(6, "a"),
        configure(6, 0, Some("a"), "b"),
        advance(6, 1, 60),
        advance(9, 0, 90),
        advance(12, 0, 120),
    ];
    let mut directives = Directives::between(&records, 5, 0, 9);
    let mut events = Vec::new();
    for offset in 5..9 {
        while let Some(directive) = directives.take_before(offset) {
            events.push((offset, directive));
        }
    }
    let expected = [
        (5, Directive::Advance(50)),
        (6, Directive::Configure("b".to_owned())),
        (6, Directive::Advance(60)),
    ];
    assert_eq!(events, expected, "and not those of the past or future");
    assert_eq!(
        directives.take_before(9),
        Some(Directive::Advance(90)),
        "the one at the committed offset ends the replay"
    );
    assert_eq!(directives.len(), 0);
}

#[test]
fn those_that_a_snapshot_has_had_are_not_repeated() {
    let records = [
        configure(5, 0, Some("a"), "b"),
        advance(5, 1, 50),
        configure(5, 2, Some("b"), "a"),
    ];
    let mut directives = Directives::between(&records, 5, 2, 5);
    assert_eq!(
        directives.take_before(5),
        Some(Directive::Configure("a".to_owned()))
    );
    assert_eq!(directives.len(), 0);
}

#[test]
fn the_first_that_speaks_of_a_policy_says_which_one_held_before() {
    let first = configure(0, 0, None, "a");
    let second = configure(7, 0, Some("a"), "b");
    assert_eq!(policy_at(&[first.clone(), second.clone()], 0), Some("a"));
    assert_eq!(
        policy_at(&[advance(2, 0, 1), second.clone()], 0),
        Some("a"),
        "the first is deleted"
    );
    assert_eq!(policy_at(&[stated(4, "a"), second.clone()], 0), Some("a"));
    assert_eq!(policy_at(&[first, second], 8), Some("b"));
    assert_eq!(policy_at(&[advance(2, 0, 1)], 0), None);
}
