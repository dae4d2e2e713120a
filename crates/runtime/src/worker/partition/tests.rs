//! What the simulation has found, one by one.

use super::*;
use crate::control::Directives;
use crate::control::tests::advance;
use crate::refusals::KnownRefusals;
use crate::worker::simulation::digest::Digest;
use crate::worker::simulation::transaction::Transaction;

/// A tool may commit the group's offset beyond markers of transactions. An event from before them
/// is not one at that offset: a snapshot that says so hides the next event there from a replay.
#[test]
fn an_event_before_markers_that_were_passed_over_does_not_count_at_the_committed_offset() {
    for (control, expected) in [
        (vec![advance(3, 0, 10), advance(3, 1, 20)], 0),
        (vec![advance(3, 0, 10), advance(5, 0, 20)], 1),
    ] {
        let restored = Restored {
            partition: 0,
            epoch: 1,
            task: Digest::new(0),
            start: 0,
            committed: Some(5),
            replay_until: 5,
            directives_done: 0,
            directives: Directives::between(&control, 0, 0, 5),
            begins_at_ms: None,
            refusals: KnownRefusals::default(),
            cost: Duration::ZERO,
        };
        let now = Instant::now();
        let mut active = Active::restored(restored, &Arc::default(), now, now);
        assert!(active.end_replay(&mut Transaction::default()).is_ok());
        assert_eq!(active.watermark_ms(), Some(20));
        assert_eq!((active.next, active.directives), (5, expected));
    }
}
