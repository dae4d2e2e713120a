//! Whether the source of a running job has got more partitions.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use millrace_kafka::SourcePartitions;

use crate::Job;
use crate::runner::Shared;

/// Time between two looks of the job.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long the stop flag may go unseen.
const NAP: Duration = Duration::from_millis(100);

/// Ends the job in good order once its source has got more partitions: whoever runs it prepares it
/// anew for them.
pub(crate) fn watch<J: Job>(shared: &Shared<J>, source: &SourcePartitions) {
    let mut next = Instant::now() + INTERVAL;
    while !shared.stop.load(Ordering::Relaxed) {
        std::thread::park_timeout(NAP);
        if Instant::now() >= next {
            source.look();
            next = Instant::now() + INTERVAL;
        }
        if source.have_grown() {
            tracing::warn!(
                operator = shared.job.name(),
                before = source.at_start(),
                partitions = source.known(),
                "the job ends, to be prepared for the partitions that were added"
            );
            return;
        }
    }
}
