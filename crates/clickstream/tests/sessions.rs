//! Sessions of users, whatever order their page views come in.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod support;

use std::collections::BTreeMap;

use millrace_clickstream::{Click, Session, UserSessions, Visits};
use millrace_engine::keyed::{KeyedOperator as _, SessionPolicy};
use millrace_engine::{Disposition, HashSeed, Operator as _};
use proptest::prelude::*;
use support::{PAGES, click};

const GAP_MS: i64 = 1_800_000;
const DAY_MS: i64 = 86_400_000;

type Line = (String, i64, i64, i64, &'static str, &'static str);

/// By the definition alone.
fn expected(clicks: &[Click]) -> Vec<Line> {
    let mut by_user: BTreeMap<&str, Vec<&Click>> = BTreeMap::new();
    for click in clicks {
        by_user.entry(click.user_id.as_str()).or_default().push(click);
    }
    let page = |click: &Click| {
        PAGES
            .into_iter()
            .find(|page| *page == click.page.as_str())
            .unwrap()
    };
    let mut lines = Vec::new();
    for (user, mut clicks) in by_user {
        clicks.sort_by_key(|click| (click.time_ms, click.event_id));
        for session in clicks.chunk_by(|one, next| next.time_ms - one.time_ms < GAP_MS) {
            let (first, last) = (session[0], session[session.len() - 1]);
            let count = session.len() as i64;
            lines.push((
                user.to_owned(),
                first.time_ms,
                last.time_ms,
                count,
                page(first),
                page(last),
            ));
        }
    }
    lines
}

fn line(session: &Session) -> Line {
    let page = |text: &str| PAGES.into_iter().find(|page| *page == text).unwrap();
    (
        session.user_id.as_str().to_owned(),
        session.start_ms,
        session.end_ms,
        session.page_count,
        page(session.entry_page.as_str()),
        page(session.exit_page.as_str()),
    )
}

proptest! {
    #[test]
    fn sessions_are_what_the_gap_makes_of_page_views_in_any_order(
        raw in prop::collection::vec((0_usize..3, 0_usize..5, 0_i64..144), 0..60),
        (restart_at, cut_at) in (0_usize..60, any::<usize>()),
    ) {
        // Of ten minutes each, so that pairs at one time and at the gap itself are many.
        let clicks: Vec<_> = (0_u64..)
            .zip(&raw)
            .map(|(id, &(user, page, tenth))| click(id, user, page, tenth * 600_000))
            .collect();
        let policy = SessionPolicy::new(GAP_MS, 0, DAY_MS).unwrap();
        let mut operator = UserSessions::new(Visits, policy, HashSeed::FIXED);
        let mut closed = Vec::new();
        for (at, click) in clicks.iter().enumerate() {
            prop_assert_eq!(operator.process(click, &mut closed), Disposition::Accepted);
            prop_assert_eq!(operator.process(click, &mut closed), Disposition::Duplicate);
            if at == restart_at {
                let mut state = Vec::new();
                operator.snapshot(&mut state);
                operator = UserSessions::new(Visits, policy, HashSeed::new(5));
                operator.restore(&state).unwrap();
                prop_assert!(operator.clone().restore(&state[..cut_at % state.len()]).is_err());
            }
        }
        operator.advance(3 * DAY_MS, &mut closed);
        let mut found: Vec<_> = closed.iter().map(|closed| line(&Session::of(closed).unwrap())).collect();
        found.sort();
        prop_assert_eq!(found, expected(&clicks));
        prop_assert_eq!(operator.open_keys(), 0);
    }
}
