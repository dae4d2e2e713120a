//! Where a partition goes on: what the group has committed, against what the job itself proves to
//! have done.
//!
//! Committed offsets are outside of a job's hands: they expire, are deleted or set by hand, and are
//! copied between clusters. What the job has written says what it has done: the control topic, in
//! the very transactions that commit; the mark of a stop in good order; snapshots, which are of
//! committed states.

/// What a job proves of a partition's last commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// Nothing: it has not run, or its traces are gone.
    Nothing,
    /// This offset was committed, and perhaps a later one.
    AtLeast(i64),
    /// This offset was committed, and nothing has come of what is after it, whether or not that was
    /// committed.
    NothingAfter(i64),
    /// This offset was the last one that was committed.
    Exactly(i64),
}

impl Proof {
    /// What two of them prove together.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, proof) | (proof, Self::Nothing) => proof,
            (Self::Exactly(exact), Self::AtLeast(least)) | (Self::AtLeast(least), Self::Exactly(exact))
                if exact >= least =>
            {
                Self::Exactly(exact)
            }
            (Self::Exactly(one), Self::Exactly(other)) => Self::Exactly(one.max(other)),
            (Self::Exactly(exact), Self::NothingAfter(least))
            | (Self::NothingAfter(least), Self::Exactly(exact))
                if exact >= least =>
            {
                Self::Exactly(exact)
            }
            (Self::NothingAfter(one), other) | (other, Self::NothingAfter(one)) => {
                Self::NothingAfter(other.offset().map_or(one, |other| other.max(one)))
            }
            (Self::AtLeast(one) | Self::Exactly(one), Self::AtLeast(other) | Self::Exactly(other)) => {
                Self::AtLeast(one.max(other))
            }
        }
    }

    pub(super) fn offset(self) -> Option<i64> {
        match self {
            Self::Nothing => None,
            Self::AtLeast(offset) | Self::NothingAfter(offset) | Self::Exactly(offset) => Some(offset),
        }
    }
}

/// Why a person has to decide where a partition goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// The group has no offset, and what was committed after the proven one is not known.
    Forgotten { proven: i64 },
    /// The group's offset is before what the job has committed.
    SetBack { committed: i64, proven: i64 },
    /// The log is not the one that the job has read to `expected`.
    Anew { expected: i64, end: i64 },
}

impl Doubt {
    /// What has happened, what going on would do, and what to do. `place` is the group, topic and
    /// partition.
    pub(super) fn what(self, place: (&str, &str, i32), low: i64) -> String {
        let (group, topic, partition) = place;
        let set = |offset: i64| {
            format!(
                "kafka-consumer-groups.sh --group {group} --topic {topic}:{partition} --reset-offsets --to-offset {offset} \
                 --execute"
            )
        };
        match self {
            Self::Forgotten { proven } => format!(
                "the group {group} has no committed offset any more, and its newest snapshot proves that {proven} was \
                 committed, but not that nothing after it was. Going on from {proven}, outputs of what comes after it may \
                 come twice; to do so: {}",
                set(proven)
            ),
            Self::SetBack { committed, proven } => format!(
                "the offset of the group {group} is {committed}, and the job has committed {proven}: it was set back, or \
                 the cluster restored from an older copy. Going on from {committed}, outputs of what is between come \
                 twice; to go on from {proven}: {}",
                set(proven)
            ),
            Self::Anew { expected, end } => format!(
                "the job has committed {expected}, and the log, which ends at {end}, is another one: the topic was made \
                 anew, or restored from an older copy. Going on takes this log from its start, {low}, with an empty state"
            ),
        }
    }
}

/// Where a partition goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// The first record that is new; `None` for a job that starts for the first time.
    pub(super) at: Option<i64>,
    /// Whether the group says nothing of it, and the job proves it.
    pub(super) is_recovered: bool,
    /// Why `at` is taken only if the settings say so.
    pub(super) doubt: Option<Doubt>,
}

impl Position {
    /// `end` is the offset after the log's last; `is_same_log` is whether the record before the
    /// proven offset is of the time of the proof.
    pub(super) fn of(committed: Option<i64>, proof: Proof, end: i64, is_same_log: bool) -> Self {
        let doubtful = |at, doubt| Self {
            at,
            is_recovered: false,
            doubt: Some(doubt),
        };
        let certain = |at, is_recovered| Self {
            at,
            is_recovered,
            doubt: None,
        };
        match (committed, proof) {
            (Some(expected), _) if expected > end => doubtful(None, Doubt::Anew { expected, end }),
            (Some(committed), proof) if proof.offset().is_some_and(|proven| committed < proven) => {
                let proven = proof.offset().unwrap_or(committed);
                doubtful(Some(committed), Doubt::SetBack { committed, proven })
            }
            (Some(committed), _) => certain(Some(committed), false),
            (None, Proof::Nothing) => certain(None, false),
            (None, proof) if proof.offset().is_some_and(|at| at > end) || !is_same_log => {
                let expected = proof.offset().unwrap_or(end);
                doubtful(None, Doubt::Anew { expected, end })
            }
            (None, Proof::Exactly(proven) | Proof::NothingAfter(proven)) => certain(Some(proven), true),
            (None, Proof::AtLeast(proven)) => doubtful(Some(proven), Doubt::Forgotten { proven }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Proof::{AtLeast, Exactly, Nothing, NothingAfter};
    use super::*;

    const END: i64 = 1_000;

    fn certain(committed: Option<i64>, proof: Proof) -> (Option<i64>, bool) {
        let position = Position::of(committed, proof, END, true);
        assert_eq!(position.doubt, None, "{committed:?} {proof:?}");
        (position.at, position.is_recovered)
    }

    fn doubt(committed: Option<i64>, proof: Proof) -> (Option<i64>, Doubt) {
        let position = Position::of(committed, proof, END, true);
        (position.at, position.doubt.unwrap())
    }

    #[test]
    fn a_committed_offset_that_nothing_contradicts_is_taken() {
        for proof in [
            Nothing,
            AtLeast(0),
            AtLeast(80),
            AtLeast(100),
            Exactly(80),
            Exactly(100),
        ] {
            assert_eq!(certain(Some(100), proof), (Some(100), false), "{proof:?}");
        }
        assert_eq!(certain(None, Nothing), (None, false), "a first start");
    }

    #[test]
    fn an_offset_that_the_group_has_lost_is_taken_from_an_exact_proof() {
        assert_eq!(certain(None, Exactly(100)), (Some(100), true));
        assert_eq!(certain(None, Exactly(END)), (Some(END), true));
        assert_eq!(certain(None, NothingAfter(100)), (Some(100), true));
        assert_eq!(
            doubt(None, AtLeast(100)),
            (Some(100), Doubt::Forgotten { proven: 100 })
        );
    }

    #[test]
    fn an_offset_that_was_set_back_is_doubtful() {
        let (committed, proven) = (60, 100);
        for proof in [AtLeast(proven), NothingAfter(proven), Exactly(proven)] {
            assert_eq!(
                doubt(Some(committed), proof),
                (Some(committed), Doubt::SetBack { committed, proven })
            );
        }
    }

    #[test]
    fn a_log_that_is_too_short_or_of_another_time_is_another_log() {
        let anew = |expected| (None, Doubt::Anew { expected, end: END });
        assert_eq!(doubt(Some(END + 1), Nothing), anew(END + 1));
        assert_eq!(doubt(Some(END + 1), Exactly(END + 1)), anew(END + 1));
        assert_eq!(doubt(None, AtLeast(END + 1)), anew(END + 1));
        assert_eq!(doubt(None, NothingAfter(END + 1)), anew(END + 1));
        let grown = Position::of(None, Exactly(100), END, false);
        assert_eq!((grown.at, grown.doubt.unwrap()), anew(100));
    }

    #[test]
    fn proofs_add_up() {
        assert_eq!(Nothing.and(Exactly(5)), Exactly(5));
        assert_eq!(AtLeast(5).and(AtLeast(7)), AtLeast(7));
        assert_eq!(AtLeast(5).and(Exactly(7)), Exactly(7));
        assert_eq!(NothingAfter(5).and(Exactly(7)), Exactly(7));
        assert_eq!(
            NothingAfter(5).and(AtLeast(7)),
            NothingAfter(7),
            "a snapshot of a later commit"
        );
        assert_eq!(AtLeast(5).and(NothingAfter(7)), NothingAfter(7));
        assert_eq!(
            Exactly(5).and(NothingAfter(7)),
            NothingAfter(7),
            "the mark is of a stop before"
        );
        assert_eq!(Nothing.and(NothingAfter(7)), NothingAfter(7));
        assert_eq!(
            Exactly(5).and(AtLeast(7)),
            AtLeast(7),
            "the exact one is of before: a control topic that was cut, or an older release"
        );
    }

    #[test]
    fn a_doubt_says_which_group_and_how_to_go_on() {
        let place = ("millrace-detect", "financial_transactions", 3);
        let all = [
            (Doubt::Forgotten { proven: 100 }, "no committed offset"),
            (
                Doubt::SetBack {
                    committed: 60,
                    proven: 100,
                },
                "set back",
            ),
        ];
        for (doubt, word) in all {
            let what = doubt.what(place, 7);
            for part in [
                word,
                "millrace-detect",
                "--topic financial_transactions:3 ",
                "--to-offset 100 ",
            ] {
                assert!(what.contains(part), "{part:?}: {what}");
            }
        }
        let anew = Doubt::Anew {
            expected: 100,
            end: 40,
        };
        assert!(anew.what(place, 7).contains("from its start, 7"));
    }
}
