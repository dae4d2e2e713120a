//! What earlier releases called policies.

use millrace_engine::EventTimeBounds;
use millrace_engine::windowed::{MergePolicy, PartialPolicy};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What the bytes of a state depend on, beside the version in their first byte.
pub(crate) const LAYOUT: &str = "layout=1";

/// The policy of a state by the fingerprint that releases without policies gave it: these names and
/// their numbers. What was no part of it, as early results, is as in `present`.
fn of_numbers<P: Serialize + DeserializeOwned>(
    fingerprint: &str,
    present: &P,
    fields: &[(&str, &str)],
) -> Option<P> {
    let mut policy = serde_json::to_value(present).ok()?;
    let mut pairs = fingerprint.split(' ');
    for (name, pointer) in fields {
        let (found, value) = pairs.next()?.split_once('=')?;
        let value: i64 = (found == *name).then(|| value.parse().ok())??;
        *policy.pointer_mut(pointer)? = value.into();
    }
    let policy = pairs.next().is_none().then_some(policy)?;
    serde_json::from_value(policy).ok()
}

/// The policy that a state of stage 1 was written with.
pub(crate) fn partial_of_fingerprint(fingerprint: &str, present: &PartialPolicy) -> Option<PartialPolicy> {
    let fields = [
        ("window_ms", "/window_ms"),
        ("allowed_lateness_ms", "/allowed_lateness_ms"),
        ("max_disorder_ms", "/max_disorder_ms"),
        ("max_future_ms", "/bounds/max_future_ms"),
    ];
    of_numbers(fingerprint, &present.with_bounds(EventTimeBounds::NONE), &fields)
}

/// The policy that a state of stage 2 was written with.
pub(crate) fn merge_of_fingerprint(fingerprint: &str, present: &MergePolicy) -> Option<MergePolicy> {
    let fields = [
        ("source_partitions", "/source_partitions"),
        ("allowed_lateness_ms", "/allowed_lateness_ms"),
    ];
    of_numbers(fingerprint, present, &fields)
}

#[cfg(test)]
mod tests {
    use crate::processor::{policy_of_text, policy_to_text};

    use super::*;

    /// As the release before policies wrote them into its snapshots.
    #[test]
    fn a_fingerprint_of_an_earlier_release_names_its_policy() {
        let present = PartialPolicy::new(1_000, 2, 3).unwrap();
        let old = "window_ms=60000 allowed_lateness_ms=0 max_disorder_ms=30000 max_future_ms=60000";
        let policy = partial_of_fingerprint(old, &present).unwrap();
        assert_eq!((policy.window_ms(), policy.max_disorder_ms()), (60_000, 30_000));
        assert_eq!(policy.bounds().max_future_ms, 60_000);
        let merge = MergePolicy::new(8, 0).unwrap();
        let merge = merge_of_fingerprint("source_partitions=5 allowed_lateness_ms=1000", &merge).unwrap();
        assert_eq!(
            (merge.source_partitions(), merge.allowed_lateness_ms()),
            (5, 1_000)
        );
        for other in [
            "",
            "layout=1",
            "window_ms=60000",
            "window_ms=0 allowed_lateness_ms=0 max_disorder_ms=0 max_future_ms=1",
        ] {
            assert_eq!(partial_of_fingerprint(other, &present), None, "{other:?}");
        }
    }

    #[test]
    fn a_policy_comes_back_from_its_text() {
        let policy = PartialPolicy::new(60_000, 5, 7).unwrap();
        assert_eq!(policy_of_text(&policy_to_text(&policy)), Ok(policy));
        assert!(policy_of_text::<PartialPolicy>("{}").is_err());
    }
}
