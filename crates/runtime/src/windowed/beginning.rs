//! Where a partition of the events begins that was added to those at work.
//!
//! Stage 2 has sent windows without it. It may not contribute to one of those any more, as that
//! would come too late: what it has for them is late in stage 1, record by record. So it begins
//! once every partition of stage 2 waits for it, and with the watermark that closes all that was
//! sent by then. From that moment on stage 2 sends no window without it.

use millrace_engine::windowed::{MergePolicy, PartialPolicy};

use crate::processor::policy_of_text;
use crate::{Beginning, Controls};

/// Where `partition` of `events`, by their name, begins, under the policy of stage 1. `merge` is
/// the control topic of stage 2, and how many partitions that has.
///
/// # Errors
/// As of `controls`; or a policy of stage 2 that is none.
pub(crate) fn of(
    (partition, events): (i32, &str),
    policy: &PartialPolicy,
    merge: (&str, i32),
    controls: &mut Controls<'_>,
) -> Result<Beginning, String> {
    let (topic, merges) = merge;
    let mut closed_until_ms = None;
    for number in 0..merges {
        let records = controls(topic, number)?;
        let mut waits = false;
        for (text, closed_ms) in records.iter().filter_map(|record| record.policy()) {
            let merge: MergePolicy = policy_of_text(text)?;
            waits = usize::try_from(partition).is_ok_and(|partition| partition < merge.source_partitions());
            if waits {
                closed_until_ms = closed_until_ms.max(closed_ms);
            }
        }
        if !waits {
            return Ok(Beginning::NotYet(format!(
                "partition {number} of the second stage of aggregation does not wait yet for partition {partition} of the \
                 {events}"
            )));
        }
    }
    Ok(closed_until_ms.map_or(Beginning::Anywhere, |closed_until_ms| {
        Beginning::At(policy.begins_at_ms(closed_until_ms))
    }))
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;
    use crate::control::ControlRecord;
    use crate::processor::policy_to_text;

    fn configured(sources: usize, closed_until_ms: Option<i64>) -> ControlRecord {
        let policy = MergePolicy::new(sources, 0).unwrap();
        ControlRecord::Configure {
            offset: 0,
            nth: 0,
            before: None,
            policy: policy_to_text(&policy),
            closed_until_ms,
        }
    }

    fn begins(partition: i32, merges: &[&[ControlRecord]]) -> Beginning {
        let policy = PartialPolicy::new(60_000, 1_000, 0).unwrap();
        let mut controls = |topic: &str, number: i32| {
            assert_eq!(topic, "control");
            Ok(merges[number as usize].to_vec())
        };
        of(
            (partition, "transactions"),
            &policy,
            ("control", merges.len() as i32),
            &mut controls,
        )
        .unwrap()
    }

    #[test]
    fn a_partition_waits_until_all_of_stage_2_waits_for_it_and_begins_after_what_was_sent() {
        let (old, new) = (configured(5, None), configured(8, Some(120_000)));
        let further = configured(8, Some(180_000));
        let not_yet = |beginning| matches!(beginning, Beginning::NotYet(_));
        assert!(not_yet(begins(5, &[&[], &[]])));
        assert!(not_yet(begins(5, &[&[old.clone(), new.clone()], from_ref(&old)])));
        let both: [&[ControlRecord]; 2] = [&[old.clone(), new], &[old.clone(), further]];
        assert_eq!(begins(5, &both), Beginning::At(181_000));
        let reversed = [both[1], both[0]];
        assert_eq!(begins(5, &reversed), Beginning::At(181_000), "after the furthest");
        assert!(not_yet(begins(8, &both)), "one more");
        assert_eq!(
            begins(0, &[from_ref(&old), from_ref(&old)]),
            Beginning::Anywhere,
            "a first start"
        );
    }
}
