//! What commands make of the changes before.

use millrace_domain::{RuleChange, RuleChangeStatus, RuleText};
use millrace_fraud::RuleHistory;
use millrace_rules::Mode;
use millrace_settings::Settings;

use super::change::{Draft, Maker, Rules};
use super::diff::Diff;
use super::state::State;

fn rule(name: &str, when: &str, mode: &str) -> String {
    format!("  - name: {name}\n    when: {when}\n    severity: low\n    reason: r\n    mode: {mode}\n")
}

fn files(rules: &[String]) -> Vec<RuleText> {
    vec![RuleText {
        name: "r.yml".to_owned(),
        text: format!("rules:\n{}", rules.concat()),
    }]
}

fn first() -> Vec<RuleText> {
    files(&[
        rule("one", "count(\"1h\") > 3", "live"),
        rule("two", "amount > 9 EUR", "live"),
    ])
}

/// Makes a change at a time, as `author`.
fn make(
    settings: &Settings,
    history: &RuleHistory,
    (author, now_ms): (&str, i64),
    draft: Draft,
) -> anyhow::Result<RuleChange> {
    let maker = Maker {
        settings,
        history,
        author,
        reason: "r",
        now_ms,
    };
    maker.make(draft)
}

/// Makes changes one after the other, a second apart, all by one author.
fn made(settings: &Settings, drafts: Vec<Draft>) -> RuleHistory {
    let mut history = RuleHistory::default();
    for (at, draft) in (1..).zip(drafts) {
        let change = make(settings, &history, ("ann", at * 1_000), draft).unwrap();
        assert_eq!(change.number, at as u64);
        history.add(change);
    }
    history
}

fn paused(rule: &str) -> Draft {
    Draft::Mode("pause", vec![rule.to_owned()], Some(Mode::Paused))
}

fn modes(history: &RuleHistory) -> Vec<(String, String)> {
    history.in_force(false).unwrap().modes.clone()
}

fn pair(rule: &str, mode: &str) -> (String, String) {
    (rule.to_owned(), mode.to_owned())
}

#[test]
fn what_a_command_has_paused_stays_so_until_it_is_resumed() {
    let settings = Settings::default();
    let other = files(&[
        rule("one", "count(\"1h\") > 5", "live"),
        rule("three", "amount > 7 EUR", "live"),
    ]);
    let mut history = made(
        &settings,
        vec![
            Draft::Apply(first(), false),
            paused("one"),
            Draft::Apply(other, false),
        ],
    );
    assert_eq!(modes(&history), [pair("one", "paused")]);
    let resumed = Draft::Mode("resume", vec!["one".to_owned()], None);
    let change = make(&settings, &history, ("bob", 9_000), resumed).unwrap();
    assert_eq!((change.modes.len(), change.base, change.number), (0, 3, 4));
    history.add(change);
    let again = Draft::Mode("resume", vec!["one".to_owned()], None);
    let error = make(&settings, &history, ("bob", 9_000), again).unwrap_err();
    assert!(error.to_string().contains("one is live already"), "{error}");
    let error = make(&settings, &history, ("bob", 9_000), paused("nine")).unwrap_err();
    assert!(error.to_string().contains("it has one, three"), "{error}");
}

#[test]
fn in_shadow_is_what_is_new_or_means_something_else() {
    let settings = Settings::default();
    let other = files(&[
        rule("one", "count(\"1h\") > 3", "live"),
        rule("three", "amount > 7 EUR", "10 %"),
        rule("two", "amount > 8 EUR", "live"),
        rule("four", "amount > 8 EUR", "paused"),
    ]);
    let history = made(
        &settings,
        vec![Draft::Apply(first(), false), Draft::Apply(other, true)],
    );
    assert_eq!(modes(&history), [pair("three", "shadow"), pair("two", "shadow")]);
}

#[test]
fn a_rollback_goes_to_other_rules_and_never_to_a_proposal() {
    let settings = Settings::default();
    let history = made(
        &settings,
        vec![Draft::Apply(first(), false), paused("one"), Draft::Rollback(None)],
    );
    let [one, two, three] = &history.changes().collect::<Vec<_>>()[..] else {
        panic!("three changes");
    };
    assert_eq!(Rules::of(three), Rules::of(one));
    assert_eq!((&one.version, one.version.len()), (&three.version, 64));
    assert_ne!(one.version, two.version);
    let back = make(&settings, &history, ("ann", 0), Draft::Rollback(None)).unwrap();
    assert_eq!(Rules::of(&back), Rules::of(two));
    let error = make(&settings, &history, ("ann", 0), Draft::Rollback(Some(7))).unwrap_err();
    assert!(error.to_string().contains("change 7 has never held"), "{error}");
}

#[test]
fn two_keys_make_a_proposal_that_somebody_else_approves() {
    let mut settings = Settings::default();
    settings.detector.rules.two_keys = true;
    let mut history = made(&settings, vec![Draft::Apply(first(), false)]);
    assert!(history.in_force(true).is_none());
    let error = make(&settings, &history, ("ann", 0), Draft::Approve(1)).unwrap_err();
    assert!(error.to_string().contains("a second person"), "{error}");
    let approved = make(&settings, &history, ("bob", 5_000), Draft::Approve(1)).unwrap();
    assert!(approved.has_two_keys() && approved.action == "apply" && approved.author == "ann");
    assert_eq!(approved.version, history.get(1).unwrap().version);
    let rejected = make(&settings, &history, ("ann", 5_000), Draft::Reject(1)).unwrap();
    assert_eq!(rejected.status, RuleChangeStatus::Rejected);
    history.add(approved);
    assert_eq!(history.in_force(true).map(|change| change.number), Some(2));
    let error = make(&settings, &history, ("bob", 0), Draft::Reject(1)).unwrap_err();
    assert!(error.to_string().contains("answered by the change 2"), "{error}");
}

#[test]
fn what_the_detector_would_refuse_is_refused() {
    let settings = Settings::default();
    let history = RuleHistory::default();
    for (files, why) in [
        (
            files(&[rule("velocity", "amount > 1 EUR", "live")]),
            "name of a built-in rule",
        ),
        (
            files(&[rule("one", "amuont > 1 EUR", "live")]),
            "there is no `amuont`",
        ),
        (
            files(&[rule("one", "count(\"1m\").by(merchant) > 1", "live")]),
            "looks at transactions of many users",
        ),
    ] {
        let error = make(&settings, &history, ("ann", 0), Draft::Apply(files, false)).unwrap_err();
        assert!(format!("{error:#}").contains(why), "{error:#}");
    }
    let mut cheap = Settings::default();
    cheap.detector.budget.bytes = 10;
    let error = make(&cheap, &history, ("ann", 0), Draft::Apply(first(), false)).unwrap_err();
    assert!(
        format!("{error:#}").contains("more than detector.budget allows"),
        "{error:#}"
    );
}

#[test]
fn exact_from_is_the_windows_length_after_the_change_that_began_it() {
    const HOUR_MS: i64 = 3_600_000;
    let settings = Settings::default();
    let other = files(&[
        rule("one", "count(\"1h\") > 9", "live"),
        rule("three", "sum(\"1h\", amount) > 7 EUR", "live"),
    ]);
    let history = made(
        &settings,
        vec![Draft::Apply(first(), false), Draft::Apply(other, false)],
    );
    let state = State::of(&settings, &history).unwrap();
    let known: Vec<_> = state.known.iter().map(|known| known.exact_from_ms).collect();
    assert_eq!(known, [Some(1_000 + HOUR_MS), Some(2_000 + HOUR_MS)]);
    let rules = |number| Rules::of(history.get(number).unwrap()).policy(&settings).unwrap();
    let (before, after) = (rules(1), rules(2));
    let diff = Diff::of(before.version().map(|it| &**it), after.version().map(|it| &**it));
    let names = |sides: &[super::diff::Side]| -> Vec<_> { sides.iter().map(|it| it.rule.clone()).collect() };
    assert_eq!(
        (names(&diff.added), names(&diff.removed)),
        (vec!["three".to_owned()], vec!["two".to_owned()])
    );
    assert_eq!((diff.changed.len(), diff.same), (1, 0));
    assert!(diff.lines()[2].starts_with("~ one (live, "), "{:?}", diff.lines());
}
