//! A snapshot store that does not answer: the log serves where it can, and nothing is given up.

use std::path::{Path, PathBuf};

use super::*;

const PARTITION: i32 = 2;
/// The log's first offset and its end, of one that has lost its beginning.
const BOUNDS: (i64, i64) = (7, 1_000);

/// A store that fails as long as the file, which the caller is given, is there; patience with it is
/// over.
fn silent(folder: &Path, lost_position: LostPosition) -> (Restorer<Numbers>, PathBuf) {
    let restorer = Restorer {
        patience: Patience::exhausted(),
        lost_position,
        ..restorer(folder)
    };
    let partition = folder.join(format!("restore-test/{PARTITION}"));
    std::fs::create_dir_all(&partition).unwrap();
    // A link to itself can be read by nobody.
    let link = partition.join("00000000000000000040.snap");
    std::os::unix::fs::symlink(&link, &link).unwrap();
    (restorer, link)
}

/// Why a restore is to be tried again.
fn waits<T>(result: Result<T, Trouble>) -> String {
    match result {
        Err(Trouble::Later(reason)) => reason,
        Err(Trouble::Stop(error)) => panic!("it stops: {error}"),
        Ok(_) => panic!("it goes on"),
    }
}

/// Whether a partition can go on of which `committed` is committed, in this log.
fn check(restorer: &Restorer<Numbers>, committed: i64, (low, end): (i64, i64)) -> Result<(), Trouble> {
    let newest = restorer.newest_snapshot(PARTITION, Some(committed))?;
    let offset = newest.snapshot.as_ref().map(|(offset, ..)| *offset);
    let plan = Plan::of(Some(committed), offset, low, end);
    restorer.check_lost(PARTITION, &plan, &newest.refused, newest.unanswered.as_deref())
}

#[test]
fn what_only_the_store_can_have_is_waited_for_whatever_the_settings_say() {
    for lost_position in [LostPosition::Stop, LostPosition::Continue] {
        let folder = tempfile::tempdir().unwrap();
        let (restorer, link) = silent(folder.path(), lost_position);
        let said = waits(check(&restorer, 100, BOUNDS));
        for part in ["does not answer", "starts at 7", "snapshots.url"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(
            check(&restorer, 100, (0, 1_000)).is_ok(),
            "the log has everything"
        );
        // The store is back, and has nothing: now it is known to be lost.
        std::fs::remove_file(link).unwrap();
        match (lost_position, check(&restorer, 100, BOUNDS)) {
            (LostPosition::Continue, Ok(())) => {}
            (LostPosition::Stop, Err(Trouble::Stop(error))) => {
                assert!(error.to_string().contains("no snapshot serves"), "{error}");
            }
            (policy, _) => panic!("not as {policy:?} says"),
        }
    }
}

#[test]
fn a_store_that_is_back_serves_as_if_it_had_never_been_away() {
    let folder = tempfile::tempdir().unwrap();
    let (restorer, link) = silent(folder.path(), LostPosition::Continue);
    write(&restorer, 30, "mine", 3);
    waits(check(&restorer, 100, BOUNDS));
    std::fs::remove_file(link).unwrap();
    assert!(check(&restorer, 100, BOUNDS).is_ok());
    assert_eq!(chosen(&restorer, Some(100)), Some((30, 3)));
}

#[test]
fn a_group_without_an_offset_is_no_first_start_before_the_store_has_said_so() {
    for lost_position in [LostPosition::Stop, LostPosition::Continue] {
        let folder = tempfile::tempdir().unwrap();
        let (restorer, link) = silent(folder.path(), lost_position);
        let said = waits(restorer.position(PARTITION, None, BOUNDS));
        assert!(said.contains("no committed offset"), "{said}");
        let known = restorer.position(PARTITION, Some(100), BOUNDS);
        assert!(matches!(known, Ok(Some(100))), "the group says it");
        let empty = restorer.position(PARTITION, None, (0, 0));
        assert!(
            matches!(empty, Ok(None)),
            "nothing can have been done of an empty log"
        );
        std::fs::remove_file(link).unwrap();
        assert!(matches!(restorer.position(PARTITION, None, BOUNDS), Ok(None)));
    }
}
