//! Leaving a group in good order.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};

/// How long leaving may take.
const LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);

/// Leaves the group at once, so that the others take over: a static member that only closes keeps
/// its partitions until its session has ended. Rebalances must be answered by the context alone.
pub fn leave_group<C: ConsumerContext>(consumer: &BaseConsumer<C>) {
    // A static member that closes does not leave the group; one that unsubscribes does.
    consumer.unsubscribe();
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline {
        let _ = consumer.poll(POLL);
        if consumer.assignment().is_ok_and(|list| list.count() == 0) {
            break;
        }
    }
    // The request to leave follows the unassignment.
    for _ in 0..4 {
        let _ = consumer.poll(POLL);
    }
}
