//! Tasks whose policy is another than the job's.

use super::*;

/// As a restore does it after the setting was changed: a state of the old policy is restored as it
/// is, and then given the job's.
#[test]
fn a_state_of_another_policy_is_restored_and_then_configured() {
    let job = partial_job_counted_as("aggregate-partial");
    let wanted = job.policy();
    let old = wanted.replace("\"max_disorder_ms\":0", "\"max_disorder_ms\":7000");
    assert_ne!(old, wanted);
    let mut before = job.task_under(0, &old).unwrap();
    before.advance(NOON_MS, &mut Kept::default()).unwrap();
    let mut bytes = Vec::new();
    before.freeze().write(&mut bytes);

    let mut task = job.task_under(0, &old).unwrap();
    task.restore(&bytes).unwrap();
    assert_eq!((task.policy(), task.watermark_ms()), (old.clone(), Some(NOON_MS)));
    task.configure(&wanted, &mut Kept::default()).unwrap();
    assert_eq!((task.policy(), task.watermark_ms()), (wanted, Some(NOON_MS)));
    assert!(job.task_under(0, "{}").is_err());
    let error = task.configure("{}", &mut Kept::default()).unwrap_err();
    assert!(error.to_string().contains("window_ms"), "{error}");
}

#[test]
fn the_bound_on_the_future_is_that_of_the_policy_which_the_task_has() {
    let job = partial_job_counted_as("aggregate-partial");
    let wanted = job.policy();
    let wider = wanted.replace("\"max_future_ms\":60000", "\"max_future_ms\":600000");
    let mut task = job.task_under(0, &wider).unwrap();
    assert_eq!(task.policy(), wider);
    let mut kept = Kept::default();
    let future = |id| value(id, "u-1", "m-1", 100, NOON_MS + 120_000);
    task.process(&input(1, &future(1)), &mut kept).unwrap();
    assert_eq!(kept.dead_letters, []);
    task.configure(&wanted, &mut kept).unwrap();
    task.process(&input(2, &future(2)), &mut kept).unwrap();
    assert_eq!(kept.dead_letters.len(), 1);
}

#[test]
fn a_process_that_has_not_heard_of_all_partitions_lets_no_window_close_without_them() {
    let (mut task, fewer) = (merge_task(8), merge_task(5).policy());
    let mut kept = Kept::default();
    let refused = task.configure(&fewer, &mut kept).unwrap_err().to_string();
    assert!(
        refused.contains("waits for 8 partitions") && refused.contains("knows of 5"),
        "{refused}"
    );
    assert_ne!(task.policy(), fewer);
    kept.is_replay = true;
    task.configure(&fewer, &mut kept).unwrap();
    assert_eq!(task.policy(), fewer, "what was done is repeated");
}
