//! Faults of the job that rekeys.

use anyhow::Result;
use millrace_catalog::Service;

use super::workers::{self, Job};
use crate::chaos::pipeline::Pipeline;
use crate::harness::group::Group;

/// The job, with the groups that read what it writes: they are at the head again when it is.
fn job() -> [Job; 1] {
    let groups = [Group::Rekey, Group::Partial, Group::Merge, Group::Detect];
    [(Service::Rekey, groups.into())]
}

/// The only worker dies and is started again at once; then one of two hangs for longer than its
/// session, and wakes.
pub(super) async fn kill_and_pause(pipeline: &mut Pipeline) -> Result<()> {
    workers::kill(pipeline, &job()).await?;
    workers::pause(pipeline, &job()).await
}
