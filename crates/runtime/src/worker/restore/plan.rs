//! Where a restored partition starts, and what is missing for it.

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// The first record to read.
    pub(super) start: i64,
    /// The first record that is new.
    pub(super) replay_until: i64,
    /// Whether the snapshot's state is of use.
    pub(super) with_snapshot: bool,
    /// What retention has deleted of what the recovery needs.
    pub(super) lost: Option<String>,
}

impl Plan {
    /// `low` is the log's first offset, `end` the one after its last.
    pub(super) fn of(committed: Option<i64>, snapshot: Option<i64>, low: i64, end: i64) -> Self {
        let Some(committed) = committed else {
            return Self {
                start: low,
                replay_until: low,
                with_snapshot: false,
                lost: None,
            };
        };
        if committed > end {
            return Self {
                start: low,
                replay_until: low,
                with_snapshot: false,
                lost: Some(format!("{committed} is committed, and the log ends at {end}")),
            };
        }
        let wanted = snapshot.unwrap_or(0);
        let start = wanted.max(low);
        let lost = (low > wanted).then(|| {
            let from = match snapshot {
                Some(offset) => format!("the newest snapshot is of offset {offset}"),
                None => "no snapshot serves".to_owned(),
            };
            format!("{committed} is committed, {from}, and the log starts at {low}")
        });
        Self {
            start,
            replay_until: committed.max(start),
            with_snapshot: snapshot.is_some(),
            lost,
        }
    }

    /// What is missing, why the snapshots that are there do not serve, and what going on would
    /// forget.
    pub(super) fn what_is_lost(&self, refused: &[String]) -> Option<String> {
        let (lost, start) = (self.lost.as_ref()?, self.start);
        let refused = match refused {
            [] => String::new(),
            refused => format!(" (refused is {})", refused.join("; ")),
        };
        let forgotten = match self.with_snapshot {
            true => format!("records between the snapshot and {start} are left out"),
            false => format!("what the state had of records before {start} is forgotten"),
        };
        Some(format!("{lost}{refused}. Going on from {start}, {forgotten}"))
    }
}

impl Plan {
    /// As [`Plan::of`], of a job without a state: nothing is to be replayed.
    pub(super) fn without_state(committed: Option<i64>, low: i64, end: i64) -> Self {
        let Some(committed) = committed.filter(|committed| *committed <= end) else {
            return Self::of(committed, None, low, end);
        };
        let start = committed.max(low);
        Self {
            start,
            replay_until: start,
            with_snapshot: false,
            lost: (committed < low).then(|| format!("{committed} is committed, and the log starts at {low}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(committed: Option<i64>, snapshot: Option<i64>, low: i64) -> (i64, i64, bool, bool) {
        let plan = Plan::of(committed, snapshot, low, 1_000);
        (
            plan.start,
            plan.replay_until,
            plan.with_snapshot,
            plan.lost.is_some(),
        )
    }

    #[test]
    fn a_first_start_takes_what_the_log_has() {
        assert_eq!(plan(None, None, 0), (0, 0, false, false));
        assert_eq!(plan(None, None, 70), (70, 70, false, false));
    }

    #[test]
    fn a_restart_replays_from_the_snapshot_to_the_committed_offset() {
        assert_eq!(plan(Some(100), Some(60), 0), (60, 100, true, false));
        assert_eq!(plan(Some(100), Some(60), 60), (60, 100, true, false));
        assert_eq!(plan(Some(100), Some(100), 100), (100, 100, true, false));
        assert_eq!(plan(Some(100), None, 0), (0, 100, false, false));
    }

    #[test]
    fn what_retention_has_deleted_is_a_loss() {
        assert_eq!(
            plan(Some(100), Some(60), 61),
            (61, 100, true, true),
            "a part of the replay"
        );
        assert_eq!(
            plan(Some(100), Some(100), 130),
            (130, 130, true, true),
            "records never processed"
        );
        assert_eq!(
            plan(Some(100), None, 1),
            (1, 100, false, true),
            "what the state is made of"
        );
        assert_eq!(
            plan(Some(1_001), Some(900), 0),
            (0, 0, false, true),
            "the log was made anew"
        );
    }

    #[test]
    fn without_a_state_only_records_that_were_never_read_are_a_loss() {
        let plan = |committed, low| {
            let plan = Plan::without_state(committed, low, 1_000);
            (plan.start, plan.replay_until, plan.lost.is_some())
        };
        assert_eq!(plan(None, 70), (70, 70, false));
        assert_eq!(plan(Some(100), 0), (100, 100, false));
        assert_eq!(plan(Some(100), 100), (100, 100, false));
        assert_eq!(plan(Some(100), 130), (130, 130, true));
        assert_eq!(plan(Some(1_001), 0), (0, 0, true), "the log was made anew");
    }

    #[test]
    fn a_loss_says_what_is_missing() {
        let lost = Plan::of(Some(100), Some(60), 61, 1_000).lost.unwrap();
        assert_eq!(
            lost,
            "100 is committed, the newest snapshot is of offset 60, and the log starts at 61"
        );
        let said = Plan::of(Some(100), None, 7, 1_000)
            .what_is_lost(&["that of offset 60, as it is torn".to_owned()]);
        assert_eq!(
            said.unwrap(),
            "100 is committed, no snapshot serves, and the log starts at 7 (refused is that of offset 60, as it is torn). \
             Going on from 7, what the state had of records before 7 is forgotten"
        );
        assert_eq!(Plan::of(Some(100), None, 0, 1_000).what_is_lost(&[]), None);
    }
}
