//! Every way in which a snapshot can be wrong: it is refused, counted under its reason, and the
//! next older one or the log serves.

use std::path::Path;

use super::*;

const PARTITION: i32 = 2;
/// What these refusals are counted under.
const OPERATOR: &str = "refusals";

/// Puts a snapshot that is wrong in one way at offset 40, whose file is given.
type Spoil = fn(&Restorer<Numbers>, &Path);

fn store_with(restorer: &Restorer<Numbers>, header: &Header<'_>, state: &[u8]) {
    let mut container = SnapshotWriter::new(header);
    container.state().extend_from_slice(state);
    let store = restorer.store.as_ref().unwrap();
    store.write(PARTITION, 40, container.finish()).unwrap();
}

fn edit(restorer: &Restorer<Numbers>, file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    write(restorer, 40, "mine", 4);
    let mut bytes = std::fs::read(file).unwrap();
    change(&mut bytes);
    std::fs::write(file, bytes).unwrap();
}

/// How many snapshots were refused for a reason.
fn refused(reason: &str) -> u64 {
    let families = prometheus::gather();
    let of_reason = |metric: &&prometheus::proto::Metric| {
        let has = |name: &str, value: &str| {
            let mut labels = metric.get_label().iter();
            labels.any(|label| label.name() == name && label.value() == value)
        };
        has("operator", OPERATOR) && has("reason", reason)
    };
    families
        .iter()
        .filter(|family| family.name() == "millrace_snapshot_failures_total")
        .flat_map(|family| family.get_metric().iter().filter(of_reason))
        .map(|metric| metric.get_counter().get_value() as u64)
        .sum()
}

const SPOILT: &[(&str, Spoil)] = &[
    ("torn", |restorer, file| {
        edit(restorer, file, |bytes| bytes.truncate(bytes.len() - 1));
    }),
    ("torn", |restorer, file| edit(restorer, file, Vec::clear)),
    ("torn", |restorer, file| {
        edit(restorer, file, |bytes| bytes.push(0));
    }),
    ("damaged", |restorer, file| {
        edit(restorer, file, |bytes| {
            // Before length and checksum.
            let state_at = bytes.len() - 13;
            bytes[state_at] ^= 1;
        });
    }),
    ("not_a_snapshot", |_, file| {
        std::fs::write(file, "a text about snapshots").unwrap();
    }),
    ("future_version", |restorer, file| {
        edit(restorer, file, |bytes| bytes[8] = 99);
    }),
    ("foreign", |restorer, _| {
        let job = "aggregate-partial";
        store_with(
            restorer,
            &Header {
                job,
                ..restorer.header(PARTITION, 40, None)
            },
            &[4],
        );
    }),
    ("foreign", |restorer, _| {
        store_with(restorer, &restorer.header(PARTITION + 1, 40, None), &[4]);
    }),
    ("foreign", |restorer, _| {
        store_with(restorer, &restorer.header(PARTITION, 39, None), &[4]);
    }),
    ("other_configuration", |restorer, _| {
        write(restorer, 40, "another", 4);
    }),
    ("invalid_state", |restorer, _| {
        store_with(restorer, &restorer.header(PARTITION, 40, None), &[4, 4]);
    }),
    ("unknown_state_version", |restorer, _| {
        write(restorer, 40, "mine", UNKNOWN_VERSION);
    }),
];

#[test]
fn each_wrong_snapshot_is_refused_with_its_reason_and_an_older_one_or_the_log_serves() {
    for (number, (reason, spoil)) in SPOILT.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let restorer = Restorer {
            metrics: JobMetrics::of(OPERATOR).unwrap(),
            ..restorer(folder.path())
        };
        let file = |offset: i64| folder.path().join(format!("restore-test/2/{offset:020}.snap"));
        write(&restorer, 30, "mine", 3);
        spoil(&restorer, &file(40));
        assert!(file(40).exists(), "case {number}");
        let before = refused(reason);
        assert_eq!(
            chosen(&restorer, Some(45)),
            Some((30, 3)),
            "case {number}: {reason}"
        );
        assert_eq!(refused(reason), before + 1, "case {number}: {reason}");
        std::fs::remove_file(file(30)).unwrap();
        assert_eq!(chosen(&restorer, Some(45)), None, "case {number}: the log serves");
        assert_eq!(refused(reason), before + 2, "case {number}: {reason}");
        assert!(
            file(40).exists(),
            "case {number}: somebody may want to look at it"
        );
    }
}

#[test]
fn one_that_goes_missing_between_listing_and_reading_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let restorer = restorer(folder.path());
    let store = restorer.store.as_ref().unwrap();
    let error = restorer.read_snapshot(store, PARTITION, 40).err().unwrap();
    assert_eq!(error.0, "missing", "{}", error.1);
}
