//! What operators over state by key have in common, for the job that runs them.

use millrace_contract::Event;

use crate::Operator;
use crate::policy::EventTimeBounds;

/// An operator over state by key, as a job of one stage runs it.
pub trait KeyedOperator: Operator<Record: Event> {
    /// The job's name, for errors.
    const NAME: &'static str;

    /// A policy with other bounds of event time.
    fn within(policy: Self::Policy, bounds: EventTimeBounds) -> Self::Policy;

    /// Which event times the operator is given by a policy.
    fn bounds(policy: &Self::Policy) -> EventTimeBounds;

    /// Number of keys of which something is kept.
    fn open_keys(&self) -> usize;

    /// The highest event time accepted, in milliseconds since 1970.
    fn max_event_time_ms(&self) -> Option<i64>;
}
