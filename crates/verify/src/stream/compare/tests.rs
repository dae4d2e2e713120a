use super::*;

static VIEWS: Made = Made {
    documents: &millrace_catalog::clickstream::PAGE_VIEW_DOCUMENTS,
    name: "page views",
    unit: "views",
    field: "views",
    counting: Counting::InWindows,
};
static SESSIONS: Made = Made {
    documents: &millrace_catalog::clickstream::SESSION_DOCUMENTS,
    name: "sessions",
    unit: "pages",
    field: "pageCount",
    counting: Counting::InSessions,
};

fn total(documents: u64, sum: u64) -> Option<Total> {
    Some(Total { documents, sum })
}

fn figures() -> Figures {
    let views = Found {
        made: &VIEWS,
        results: 3,
        events: [(0, 5), (60, 4)].into(),
        doubled: 0,
        indexed: total(3, 9),
    };
    let sessions = Found {
        made: &SESSIONS,
        results: 2,
        events: [(7, 9)].into(),
        doubled: 0,
        indexed: total(2, 9),
    };
    Figures {
        once: 10,
        copies: 2,
        late: 1,
        in_time: [(0, 5), (60, 4)].into(),
        unreadable: 3,
        dead_letters: 4,
        wrongly_refused: 1,
        made: vec![views, sessions],
    }
}

const SENT: Sent = Sent {
    acknowledged: 10,
    is_running: false,
};

/// Names of the rows with this verdict.
fn with(verdict: Verdict, sent: &Sent, figures: &Figures) -> Vec<String> {
    let rows = compare("clicks", sent, figures).into_iter();
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
    assert_eq!(failed(|it| it.once = 9), ["clicks in the topic"]);
    assert_eq!(failed(|it| it.dead_letters = 3), ["dead letters of clicks"]);
    assert_eq!(
        failed(|it| it.made[0].events = [(0, 4), (60, 5)].into()),
        ["page views"],
        "the sum is right, no window is"
    );
    assert_eq!(failed(|it| it.made[0].doubled = 1), ["page views there twice"]);
    assert_eq!(failed(|it| it.made[1].doubled = 1), ["sessions there twice"]);
    assert_eq!(
        failed(|it| it.made[1].events = [(7, 11)].into()),
        ["clicks in sessions", "Elasticsearch: pages of sessions"]
    );
    let unindexed = failed(|it| it.made.iter_mut().for_each(|it| it.indexed = total(0, 0)));
    assert_eq!(unindexed.len(), 4, "{unindexed:?}");
}

#[test]
fn what_comes_after_the_last_result_is_open() {
    let figures = Figures {
        once: 12,
        in_time: [(0, 5), (60, 4), (120, 2)].into(),
        ..figures()
    };
    assert_eq!(with(Verdict::Open, &SENT, &figures), ["clicks in open windows"]);
    assert_eq!(with(Verdict::Failed, &SENT, &figures), [""; 0]);
}

#[test]
fn without_elasticsearch_nothing_is_said_of_it() {
    let mut figures = figures();
    figures.made.iter_mut().for_each(|it| it.indexed = None);
    let rows = compare("clicks", &SENT, &figures);
    assert!(rows.iter().all(|row| !row.check.starts_with(INDEX)));
}
