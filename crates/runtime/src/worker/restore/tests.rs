//! The choice of a snapshot, over a real directory.

mod refusals;
mod unanswered;

use millrace_engine::snapshot::Header;
use millrace_engine::{FrozenState, RestoreError};

use super::position::{Position, Proof};
use super::*;
use crate::snapshot_store::Mark;

/// A state that the task takes for one of a later release.
const UNKNOWN_VERSION: u8 = 255;

/// A task whose state is one number.
struct Number(u8);

impl Task for Number {
    fn process(
        &mut self,
        _: &crate::InputRecord<'_>,
        _: &mut dyn crate::Outbox,
    ) -> Result<(), crate::TaskError> {
        Ok(())
    }
    fn advance(&mut self, _: i64, _: &mut dyn crate::Outbox) -> Result<(), crate::TaskError> {
        Ok(())
    }
    fn watermark_ms(&self) -> Option<i64> {
        None
    }
    fn max_event_time_ms(&self) -> Option<i64> {
        None
    }
    fn open_until_ms(&self) -> Option<i64> {
        None
    }
    fn freeze(&mut self) -> FrozenState {
        let number = self.0;
        FrozenState::new(move |writer| writer.u8(number))
    }
    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        match bytes {
            [UNKNOWN_VERSION] => Err(RestoreError::UnknownVersion {
                operator: "number",
                found: 15,
                known: 1,
            }),
            [number] => {
                self.0 = *number;
                Ok(())
            }
            _ => Err(RestoreError::Truncated { at: bytes.len() }),
        }
    }
}

struct Numbers;

impl Job for Numbers {
    type Task = Number;
    fn name(&self) -> &'static str {
        "restore-test"
    }
    fn input_topic(&self) -> &'static str {
        "in"
    }
    fn control_topic(&self) -> Option<&str> {
        None
    }
    fn layout(&self) -> String {
        "mine".to_owned()
    }
    fn policy_of_fingerprint(&self, fingerprint: &str) -> Option<String> {
        fingerprint.strip_prefix("settings=").map(str::to_owned)
    }
    fn task(&self, _: i32) -> Number {
        Number(0)
    }
}

/// A restorer over the snapshots in `folder`; the snapshot choice asks nothing of the cluster.
fn restorer(folder: &std::path::Path) -> Restorer<Numbers> {
    let config = millrace_kafka::client::reader_config(&millrace_settings::Kafka::default(), "g").unwrap();
    Restorer {
        job: Arc::new(Numbers),
        reader: Reader::new(&config).unwrap(),
        high_watermarks: Arc::new(Reader::new(&config).unwrap()),
        topic: "in".to_owned(),
        store: Some(SnapshotStore::in_folder(folder, "restore-test", 9)),
        patience: Patience::default(),
        fingerprint: "mine".to_owned(),
        identity: "mine".to_owned(),
        group: "g".to_owned(),
        lost_position: LostPosition::Stop,
        metrics: JobMetrics::of("restore-test").unwrap(),
    }
}

fn write(restorer: &Restorer<Numbers>, offset: i64, fingerprint: &str, number: u8) {
    let header = Header {
        fingerprint,
        ..restorer.header(2, offset, None)
    };
    let mut container = SnapshotWriter::new(&header);
    if fingerprint == restorer.fingerprint {
        let envelope = Envelope {
            directives: 0,
            policy: "",
        };
        envelope.write(container.state());
    }
    Number(number).freeze().write(container.state());
    let store = restorer.store.as_ref().unwrap();
    store.write(2, offset, container.finish()).unwrap();
}

fn chosen(restorer: &Restorer<Numbers>, committed: Option<i64>) -> Option<(i64, u8)> {
    let newest = restorer.newest_snapshot(2, committed);
    let newest = newest.unwrap_or_else(|_| panic!("the store answers"));
    newest.snapshot.map(|(offset, task, _)| (offset, task.0))
}

#[test]
fn the_newest_snapshot_that_is_whole_and_ours_is_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let restorer = restorer(folder.path());
    let file = |offset: i64| folder.path().join(format!("restore-test/2/{offset:020}.snap"));
    for (offset, number) in [(10, 1), (20, 2), (30, 3), (40, 4)] {
        write(&restorer, offset, "mine", number);
    }
    assert_eq!(chosen(&restorer, Some(40)), Some((40, 4)));
    let whole = std::fs::read(file(40)).unwrap();
    std::fs::write(file(40), &whole[..whole.len() - 1]).unwrap();
    assert_eq!(chosen(&restorer, Some(45)), Some((30, 3)), "the newest is torn");
    std::fs::copy(file(20), file(30)).unwrap();
    assert_eq!(
        chosen(&restorer, Some(45)),
        Some((20, 2)),
        "the next is of another offset"
    );
    write(&restorer, 21, "another", 5);
    assert_eq!(
        chosen(&restorer, Some(45)),
        Some((20, 2)),
        "the next is of another layout"
    );
    write(&restorer, 22, "settings=5", 6);
    assert_eq!(
        chosen(&restorer, Some(45)),
        Some((22, 6)),
        "one of a release without policies serves"
    );
    std::fs::remove_file(file(22)).unwrap();
    std::fs::write(file(20), []).unwrap();
    assert_eq!(chosen(&restorer, Some(45)), Some((10, 1)));
    std::fs::remove_dir_all(folder.path().join("restore-test")).unwrap();
    assert_eq!(chosen(&restorer, Some(45)), None, "the log serves");
}

#[test]
fn a_snapshot_of_the_future_is_not_chosen_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let restorer = restorer(folder.path());
    write(&restorer, 10, "mine", 1);
    write(&restorer, 20, "mine", 2);
    assert_eq!(chosen(&restorer, Some(15)), Some((10, 1)));
    assert_eq!(chosen(&restorer, None), None, "a first start");
    let store = restorer.store.as_ref().unwrap();
    assert_eq!(
        store.list(2).unwrap(),
        [20, 10],
        "they may prove what was committed"
    );
    assert!(restorer.set_aside(2, Some(15)).is_ok());
    assert_eq!(store.list(2).unwrap(), [10], "where the settings say to go on");
}

/// Writes a snapshot of a state with a watermark: one that something was committed of.
fn write_committed(restorer: &Restorer<Numbers>, offset: i64, fingerprint: &str) {
    let header = Header {
        fingerprint,
        ..restorer.header(2, offset, Some(1))
    };
    let mut container = SnapshotWriter::new(&header);
    Number(1).freeze().write(container.state());
    let store = restorer.store.as_ref().unwrap();
    store.write(2, offset, container.finish()).unwrap();
}

fn proven(restorer: &Restorer<Numbers>, committed: Option<i64>) -> Proof {
    let found = restorer.proof(2, committed, 1_000);
    found.unwrap_or_else(|_| panic!("the store answers")).proof
}

#[test]
fn snapshots_beyond_the_committed_offset_prove_a_commit_whatever_their_settings() {
    let folder = tempfile::tempdir().unwrap();
    let restorer = restorer(folder.path());
    assert_eq!(proven(&restorer, None), Proof::Nothing);
    write(&restorer, 10, "mine", 1);
    assert_eq!(
        proven(&restorer, None),
        Proof::Nothing,
        "an empty state from before the first commit"
    );
    write_committed(&restorer, 20, "mine");
    write_committed(&restorer, 30, "mine window_ms=7");
    write_committed(&restorer, 40, "another cluster's");
    assert_eq!(proven(&restorer, None), Proof::AtLeast(30));
    assert_eq!(proven(&restorer, Some(25)), Proof::AtLeast(30));
    assert_eq!(proven(&restorer, Some(30)), Proof::Nothing, "nothing beyond it");
    assert_eq!(
        restorer.store.as_ref().unwrap().list(2).unwrap(),
        [40, 30, 20, 10]
    );
}

#[test]
fn the_mark_of_a_stop_in_good_order_is_an_exact_proof_until_something_is_newer() {
    let folder = tempfile::tempdir().unwrap();
    let restorer = restorer(folder.path());
    let store = restorer.store.as_ref().unwrap();
    let mark = |identity: &str| Mark {
        offset: 35,
        at_ms: 1,
        identity: identity.to_owned(),
    };
    store.set_mark(2, &mark("another cluster's")).unwrap();
    assert_eq!(proven(&restorer, None), Proof::Nothing);
    store.set_mark(2, &mark("mine")).unwrap();
    write_committed(&restorer, 30, "mine");
    assert_eq!(proven(&restorer, None), Proof::Exactly(35));
    write_committed(&restorer, 40, "mine");
    assert_eq!(proven(&restorer, None), Proof::AtLeast(40), "the mark is stale");
    assert!(restorer.forget_mark(2).is_ok());
    assert_eq!(store.mark(2).unwrap(), None);
}

#[test]
fn snapshots_of_another_cluster_are_refused_and_prove_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let of_cluster = |cluster: &str| {
        // As the runner has it.
        let identity = format!("cluster={cluster} topic=in ");
        Restorer {
            fingerprint: format!("{identity}mine"),
            identity,
            ..restorer(folder.path())
        }
    };
    let (from, to) = (of_cluster("first"), of_cluster("second"));
    for (offset, number) in [(10, 1), (30, 3)] {
        write(&from, offset, &from.fingerprint, number);
    }
    let mark = Mark {
        offset: 35,
        at_ms: 1,
        identity: from.identity.clone(),
    };
    from.store.as_ref().unwrap().set_mark(2, &mark).unwrap();
    assert_eq!(chosen(&from, Some(40)), Some((30, 3)));
    assert_eq!(proven(&from, None), Proof::Exactly(35));

    // The records were copied with the group's offsets: the log serves up to these.
    let newest = to.newest_snapshot(2, Some(40));
    let newest = newest.unwrap_or_else(|_| panic!("the store answers"));
    assert!(newest.snapshot.is_none());
    assert_eq!(newest.refused.len(), 2, "{:?}", newest.refused);
    let names_both = |reason: &String| reason.contains("cluster=first") && reason.contains("cluster=second");
    assert!(newest.refused.iter().all(names_both), "{:?}", newest.refused);
    let plan = Plan::of(Some(40), None, 0, 50);
    assert_eq!((plan.start, plan.replay_until), (0, 40));
    assert_eq!(plan.what_is_lost(&newest.refused), None);
    // Of a log that was copied in part, as retention had its beginning, that is a loss, told with
    // the reason.
    let lost = Plan::of(Some(40), None, 20, 50).what_is_lost(&newest.refused);
    assert!(lost.is_some_and(|what| what.contains("cluster=first")));

    // Without: whatever the folder has, it is a first start.
    write_committed(&from, 45, &from.fingerprint);
    assert_eq!(proven(&from, None), Proof::AtLeast(45));
    assert_eq!(proven(&to, None), Proof::Nothing);
    let position = Position::of(None, Proof::Nothing, 50, true);
    assert_eq!((position.at, position.doubt), (None, None));
    let store = to.store.as_ref().unwrap();
    assert_eq!(store.list(2).unwrap(), [45, 30, 10], "they stay");
}
