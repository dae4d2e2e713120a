//! A processor as a job.

use std::sync::Arc;

use millrace_kafka::SourcePartitions;

use super::{Processor, ProcessorTask, policy_of_text, policy_to_text};
use crate::{Beginning, Controls, Job, Upstream};

impl<P: Processor> Job for P {
    type Task = ProcessorTask<P>;

    fn name(&self) -> &str {
        self.spec().name
    }

    fn input_topic(&self) -> &str {
        &self.spec().input
    }

    fn control_topic(&self) -> Option<&str> {
        Some(&self.spec().control)
    }

    fn advances_idle(&self) -> bool {
        self.spec().advances_idle
    }

    fn tells_outputs(&self) -> bool {
        self.spec().tells_outputs
    }

    fn keeps_past(&self) -> bool {
        Processor::keeps_past(self)
    }

    fn upstream(&self) -> Option<Upstream> {
        self.spec().upstream.clone()
    }

    fn layout(&self) -> String {
        self.spec().layout.to_owned()
    }

    fn policy(&self) -> String {
        policy_to_text(&self.present_policy())
    }

    fn policy_changes(&self) -> u64 {
        Processor::policy_changes(self)
    }

    fn policy_of_fingerprint(&self, fingerprint: &str) -> Option<String> {
        Processor::policy_of_fingerprint(self, fingerprint).map(|policy| policy_to_text(&policy))
    }

    fn beginning(&self, partition: i32, controls: &mut Controls<'_>) -> Result<Beginning, String> {
        Processor::beginning(self, partition, controls)
    }

    fn source(&self) -> Option<&Arc<SourcePartitions>> {
        self.spec().source.as_ref()
    }

    fn task(&self, partition: i32) -> ProcessorTask<P> {
        ProcessorTask::new(self, partition, self.operator())
    }

    fn task_under(&self, partition: i32, policy: &str) -> Result<ProcessorTask<P>, String> {
        let operator = self.operator_under(policy_of_text(policy)?);
        Ok(ProcessorTask::new(self, partition, operator))
    }
}
