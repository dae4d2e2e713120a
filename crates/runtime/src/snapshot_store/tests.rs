//! Over a real directory.

use std::path::Path;

use super::*;

#[test]
fn what_others_do_for_a_directory_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let store = SnapshotStore::in_folder(folder.path(), "job", 2);
    store.write(0, 1, vec![1; PART_LEN]).unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(180);
    while store.take_helpers_time() == Duration::ZERO {
        assert!(std::time::Instant::now() < deadline, "no helper has ended");
        std::thread::yield_now();
    }
}

#[test]
fn keeps_the_last_few_of_each_partition() {
    let folder = tempfile::tempdir().unwrap();
    let store = SnapshotStore::in_folder(&folder.path().join("made/here"), "job", 2);
    assert_eq!(store.list(3).unwrap(), Vec::<i64>::new());
    for offset in [9, 10, 1_000, 11_111_111_111] {
        store.write(3, offset, offset.to_string().into_bytes()).unwrap();
    }
    store.write(4, 5, vec![5]).unwrap();
    assert_eq!(store.list(3).unwrap(), [11_111_111_111, 1_000]);
    assert_eq!(*store.read(3, 1_000).unwrap(), *b"1000");
    assert!(
        folder
            .path()
            .join("made/here/job/4/00000000000000000005.snap")
            .exists()
    );
    assert!(store.read(3, 9).is_err() && store.written_at_ms(3, 9).is_err());
    let (written_ms, now_ms) = (
        store.written_at_ms(3, 1_000).unwrap(),
        millrace_kafka::clock::now_ms(),
    );
    assert!((now_ms - 60_000..=now_ms + 1_000).contains(&written_ms));
}

#[test]
fn what_comes_in_parts_appears_whole_with_the_last_and_leaves_nothing_if_it_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = SnapshotStore::in_folder(folder.path(), "job", 2);
    let mut upload = store.begin(0, 7);
    upload.part(vec![1; PART_LEN]).unwrap();
    upload.part(vec![2; PART_LEN]).unwrap();
    assert_eq!(store.list(0).unwrap(), Vec::<i64>::new());
    upload.finish(vec![3]).unwrap();
    assert_eq!(store.list(0).unwrap(), [7]);
    let bytes = store.read(0, 7).unwrap();
    assert_eq!(bytes.len(), 2 * PART_LEN + 1);
    assert_eq!(
        (bytes[PART_LEN - 1], bytes[PART_LEN], bytes[2 * PART_LEN]),
        (1, 2, 3)
    );

    let mut given_up = store.begin(0, 8);
    given_up.part(vec![1; PART_LEN]).unwrap();
    drop(given_up);
    assert_eq!(store.list(0).unwrap(), [7]);
    assert_eq!(std::fs::read_dir(folder.path().join("job/0")).unwrap().count(), 1);
}

#[test]
fn a_later_snapshot_of_another_history_stays_until_it_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let store = SnapshotStore::in_folder(folder.path(), "job", 1);
    store.write(0, 5_000, vec![1]).unwrap();
    store.write(0, 6, vec![2]).unwrap();
    store.write(0, 7, vec![3]).unwrap();
    assert_eq!(store.list(0).unwrap(), [5_000, 7]);
    store.set_aside(0, 5_000).unwrap();
    assert_eq!(store.list(0).unwrap(), [7]);
    let kept = folder.path().join("job/0/00000000000000005000.set-aside");
    assert_eq!(std::fs::read(kept).unwrap(), [1]);
}

#[test]
fn the_mark_of_a_stop_comes_back_until_it_is_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let store = SnapshotStore::in_folder(folder.path(), "job", 1);
    assert_eq!(store.mark(4).unwrap(), None);
    let mark = Mark {
        offset: 17,
        at_ms: 1_700_000_000_000,
        identity: "cluster=a b topic=c".to_owned(),
    };
    store.set_mark(4, &mark).unwrap();
    assert_eq!(store.mark(4).unwrap(), Some(mark));
    assert_eq!(store.mark(5).unwrap(), None);
    assert_eq!(store.list(4).unwrap(), Vec::<i64>::new(), "it is no snapshot");
    store.forget_mark(4).unwrap();
    store.forget_mark(4).unwrap();
    assert_eq!(store.mark(4).unwrap(), None);
    std::fs::write(folder.path().join("job/4/last-commit"), "seventeen").unwrap();
    assert_eq!(
        store.mark(4).unwrap(),
        None,
        "what is not understood proves nothing"
    );
}

#[test]
fn other_files_are_no_snapshots() {
    let folder = tempfile::tempdir().unwrap();
    let store = SnapshotStore::in_folder(folder.path(), "job", 3);
    store.write(0, 7, vec![1]).unwrap();
    std::fs::write(folder.path().join("job/0/notes.txt"), "x").unwrap();
    std::fs::write(folder.path().join("job/0/8.snap"), "x").unwrap();
    assert_eq!(store.list(0).unwrap(), [7]);
}

#[test]
fn a_file_url_is_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    let store = SnapshotStore::in_folder(Path::new(&url), "job", 3);
    store.write(1, 2, vec![3]).unwrap();
    assert!(folder.path().join("job/1/00000000000000000002.snap").exists());
}
