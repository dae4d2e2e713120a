//! What stage 1 does not take.

use super::*;

#[test]
fn what_cannot_be_decoded_or_is_far_ahead_becomes_a_dead_letter() {
    let (mut task, mut kept) = (partial_task(10), Kept::default());
    let far = value(1, "u-1", "m-1", 100, NOON_MS + 60_001);
    let near = value(2, "u-1", "m-1", 100, NOON_MS + 60_000);
    let cut = &near[..near.len() - 1];
    for payload in [&far[..], cut, b"", b"{}", &near[..]] {
        task.process(&input(0, payload), &mut kept).unwrap();
    }
    let tombstone = InputRecord {
        payload: None,
        ..input(0, b"")
    };
    task.process(&tombstone, &mut kept).unwrap();
    let codes: Vec<_> = kept.dead_letters.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes[0], "far_future");
    assert_eq!(codes[2], "empty");
    assert_eq!(codes.len(), 5, "{:?}", kept.dead_letters);
    assert_eq!(task.max_event_time_ms(), Some(NOON_MS + 60_000));
}

#[test]
fn a_time_before_the_earliest_is_a_dead_letter_that_says_why_and_can_be_allowed() {
    let (mut task, mut kept) = (partial_task(10), Kept::default());
    let seconds = value(1, "u-1", "m-1", 100, NOON_MS / 1_000);
    let old = value(2, "u-1", "m-1", 100, 946_684_800_000 - 1);
    let first = value(3, "u-1", "m-1", 100, 946_684_800_000);
    for payload in [&seconds, &old, &first] {
        task.process(&input(0, payload), &mut kept).unwrap();
    }
    let [(code, seconds), (_, old)] = &kept.dead_letters[..] else {
        panic!("{:?}", kept.dead_letters);
    };
    assert_eq!(*code, "before_earliest_time");
    assert!(
        seconds.ends_with("946684800000 ms: seconds for milliseconds?"),
        "{seconds}"
    );
    assert!(old.ends_with("946684800000 ms"), "{old}");
    assert_eq!(task.max_event_time_ms(), Some(946_684_800_000));

    let before = partial_job_counted_as("aggregate-partial").policy();
    let job = PartialJob::new(PartialParts {
        earliest_ms: 0,
        ..partial_parts_counted_as("aggregate-partial")
    });
    assert_ne!(job.policy(), before);
    let (mut task, mut kept) = (job.task(10), Kept::default());
    task.process(&input(0, &value(1, "u-1", "m-1", 100, 0)), &mut kept)
        .unwrap();
    assert!(kept.dead_letters.is_empty());
    assert_eq!(task.max_event_time_ms(), Some(0));
}

/// What `confluent-kafka`'s default partitioner does to a payment that is sent twice: it counts
/// twice, but not in silence.
#[test]
fn a_record_elsewhere_than_its_users_is_counted_or_refused() {
    let operator = "misplaced-in-a-test";
    let count = |reason: &str| {
        let name = "millrace_misplaced_records_total";
        let families = prometheus::gather();
        let family = families.iter().find(|family| family.name() == name).unwrap();
        let is_it = |metric: &&prometheus::proto::Metric| {
            let values: Vec<_> = metric
                .get_label()
                .iter()
                .map(prometheus::proto::LabelPair::value)
                .collect();
            values == [operator, reason]
        };
        family
            .get_metric()
            .iter()
            .find(is_it)
            .unwrap()
            .get_counter()
            .get_value()
    };
    let right = partition_for(b"u-1", 5);
    let payload = value(1, "u-1", "m-1", 100, NOON_MS);
    let record = |partition, key| InputRecord {
        partition,
        key,
        ..input(0, &payload)
    };
    let elsewhere = (right + 1) % 5;
    let job = partial_job_counted_as(operator);
    let (mut task, mut kept) = (job.task(elsewhere), Kept::default());
    for key in [None, Some(&b"u-2"[..]), Some(b"u-1")] {
        task.process(&record(elsewhere, key), &mut kept).unwrap();
    }
    assert_eq!(["no_key", "other_key", "other_partitioner"].map(count), [1.0; 3]);
    assert!(kept.dead_letters.is_empty());
    assert_eq!(task.max_event_time_ms(), Some(NOON_MS));

    let job = PartialJob::new(PartialParts {
        misplaced_records: MisplacedRecords::DeadLetter,
        ..partial_parts_counted_as(operator)
    });
    assert_ne!(job.policy(), partial_job_counted_as(operator).policy());
    let (mut task, mut kept) = (job.task(elsewhere), Kept::default());
    task.process(&record(elsewhere, None), &mut kept).unwrap();
    assert_eq!(task.max_event_time_ms(), None, "it changed nothing");
    assert_eq!(count("no_key"), 2.0);
    // A replay decides alike, and counts nothing again.
    kept.is_replay = true;
    task.process(&record(elsewhere, None), &mut kept).unwrap();
    assert_eq!(task.max_event_time_ms(), None);
    assert_eq!(count("no_key"), 2.0);
    task.process(&record(right, None), &mut kept).unwrap();
    assert_eq!(task.max_event_time_ms(), Some(NOON_MS));
    let [(code, error), ..] = &kept.dead_letters[..] else {
        panic!("no dead letter");
    };
    assert_eq!(*code, "misplaced");
    assert!(error.contains(&format!(
        "lies in partition {elsewhere} and its user's records in {right}"
    )));
}

/// The advice to who has added partitions is to count misplaced records and to start again: after a
/// crash that replays records which were refused before there were more.
#[test]
fn a_replay_refuses_what_was_refused_before_partitions_were_added() {
    let elsewhere = (partition_for(b"u-1", 5) + 1) % 5;
    let payload = value(1, "u-1", "m-1", 100, NOON_MS);
    let record = InputRecord {
        partition: elsewhere,
        ..input(0, &payload)
    };
    let parts = partial_parts_counted_as("outgrown-in-a-test");
    let refusing = PartialJob::new(PartialParts {
        misplaced_records: MisplacedRecords::DeadLetter,
        ..parts.clone()
    });
    let before = refusing.policy();
    let job = PartialJob::new(PartialParts {
        source: std::sync::Arc::new(SourcePartitions::fixed(8)),
        ..parts
    });
    let (mut task, mut kept) = (job.task_under(elsewhere, &before).unwrap(), Kept::default());
    kept.is_replay = true;
    task.process(&record, &mut kept).unwrap();
    assert_eq!(task.max_event_time_ms(), None, "it was refused");
    task.configure(&job.policy(), &mut kept).unwrap();
}
