use super::*;

static VIEWS: Made = Made {
    documents: &millrace_catalog::clickstream::PAGE_VIEW_DOCUMENTS,
    name: "page views",
    unit: "views",
    field: "views",
    money_field: Some("viewUnits"),
    counting: Counting::InWindows,
};
static SESSIONS: Made = Made {
    documents: &millrace_catalog::clickstream::SESSION_DOCUMENTS,
    name: "sessions",
    unit: "pages",
    field: "pageCount",
    money_field: None,
    counting: Counting::InSessions,
};

fn total(documents: u64, sum: u64) -> Option<Indexed> {
    Some(Indexed {
        events: Total { documents, sum },
        units: Some(sum * 100),
    })
}

/// Events by the start of their window, each of which comes to a cent.
fn tallies<const N: usize>(events: [(i64, u64); N]) -> BTreeMap<i64, Tally> {
    events.map(|(start_ms, events)| (start_ms, tally(events))).into()
}

fn tally(events: u64) -> Tally {
    Tally {
        events,
        units: i128::from(events) * 100,
    }
}

fn figures() -> Figures {
    let views = Found {
        made: &VIEWS,
        results: 3,
        events: tallies([(0, 5), (60, 4)]),
        doubled: 0,
        indexed: total(3, 9),
    };
    let sessions = Found {
        made: &SESSIONS,
        results: 2,
        events: tallies([(7, 9)]),
        doubled: 0,
        indexed: total(2, 9).map(|it| Indexed { units: None, ..it }),
    };
    Figures {
        once: tally(10),
        copies: 2,
        late: 1,
        in_time: tallies([(0, 5), (60, 4)]),
        unreadable: 3,
        dead_letters: 4,
        wrongly_refused: 1,
        made: vec![views, sessions],
        indexed: Some(Total {
            documents: 10,
            sum: 1_000,
        }),
    }
}

const SENT: Sent = Sent {
    acknowledged: 10,
    units: 1_000,
    is_running: false,
};

/// Names of the rows with this verdict.
fn with(verdict: Verdict, sent: &Sent, figures: &Figures) -> Vec<String> {
    let rows = compare(("clicks", Some("worth")), sent, figures).into_iter();
    rows.filter(|it| it.verdict == verdict)
        .map(|it| it.check)
        .collect()
}

#[test]
fn what_adds_up_passes() {
    for verdict in [Verdict::Failed, Verdict::Open, Verdict::Unread] {
        assert_eq!(with(verdict, &SENT, &figures()), [""; 0]);
    }
}

#[test]
fn each_difference_fails_its_row() {
    let failed = |change: fn(&mut Figures)| {
        let mut figures = figures();
        change(&mut figures);
        with(Verdict::Failed, &SENT, &figures)
    };
    assert_eq!(
        failed(|it| it.once.events = 9),
        ["clicks in the topic", "Elasticsearch: clicks"]
    );
    assert_eq!(
        failed(|it| it.once.units = 999),
        ["worth in the topic", "Elasticsearch: worth of clicks"]
    );
    assert_eq!(
        failed(|it| it.indexed = Some(Total {
            documents: 10,
            sum: 999
        })),
        ["Elasticsearch: worth of clicks"]
    );
    assert_eq!(failed(|it| it.dead_letters = 3), ["dead letters of clicks"]);
    assert_eq!(
        failed(|it| it.made[0].events = tallies([(0, 4), (60, 5)])),
        ["page views"],
        "the sum is right, no window is"
    );
    assert_eq!(failed(|it| it.made[0].doubled = 1), ["page views there twice"]);
    assert_eq!(failed(|it| it.made[1].doubled = 1), ["sessions there twice"]);
    assert_eq!(
        failed(|it| it.made[1].events = tallies([(7, 11)])),
        ["clicks in sessions", "Elasticsearch: pages of sessions"]
    );
    let unindexed = failed(|it| it.made.iter_mut().for_each(|it| it.indexed = total(0, 0)));
    assert_eq!(unindexed.len(), 6, "{unindexed:?}");
    let swapped = failed(|it| {
        for (start_ms, more) in [(0, -1), (60, 1)] {
            let tally = it.made[0].events.entry(start_ms).or_default();
            tally.units += more;
        }
    });
    assert_eq!(swapped, ["page views"], "a part of a cent is in another window");
}

#[test]
fn what_comes_after_the_last_result_is_open() {
    let figures = Figures {
        once: tally(12),
        in_time: tallies([(0, 5), (60, 4), (120, 2)]),
        indexed: None,
        ..figures()
    };
    assert_eq!(with(Verdict::Open, &SENT, &figures), ["clicks in open windows"]);
    assert_eq!(with(Verdict::Failed, &SENT, &figures), [""; 0]);
}

#[test]
fn without_elasticsearch_nothing_is_said_of_it() {
    let mut figures = figures();
    figures.made.iter_mut().for_each(|it| it.indexed = None);
    figures.indexed = None;
    let rows = compare(("clicks", None), &SENT, &figures);
    assert!(rows.iter().all(|row| !row.check.starts_with(INDEX)));
}
