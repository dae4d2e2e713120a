//! A processor over one partition.

use std::fmt;

use millrace_contract::{DecodeError, ReadError};
use millrace_engine::{Disposition, EventTimeBounds, FrozenState, Operator as _, RestoreError};
use millrace_kafka::{InputRecord, Misplaced};

use super::{Emitter, Intake as _, LateRecords, Output, Processor, Refused, policy_of_text, policy_to_text};
use crate::{OUTGROWN, Outbox, Placement, Task, TaskError};

/// How late a late record was, on its copy.
const LATE_BY: &str = "late.by_ms";

/// A processor over one partition.
pub struct ProcessorTask<P: Processor> {
    partition: i32,
    processor: P,
    operator: P::Operator,
    intake: P::Intake,
    gauges: P::Gauges,
    /// Of the present policy.
    bounds: EventTimeBounds,
    /// Of an input whose records' places are others' word.
    placement: Option<Placement>,
    /// Reused from record to record.
    outputs: Vec<Output<P>>,
    value: Vec<u8>,
    /// The log has said once that records are late that should not be.
    is_late_told: bool,
}

impl<P: Processor> ProcessorTask<P> {
    pub(super) fn new(processor: &P, partition: i32, operator: P::Operator) -> Self {
        let bounds = P::bounds(operator.policy());
        let spec = processor.spec();
        let placement = |source| Placement::new(source, bounds.partitions, spec.metrics.clone());
        Self {
            partition,
            placement: spec.source.as_ref().map(placement),
            intake: processor.intake(),
            gauges: processor.gauges(partition),
            processor: processor.clone(),
            operator,
            bounds,
            outputs: Vec::new(),
            value: Vec::new(),
            is_late_told: false,
        }
    }

    /// The state machine as it is by now.
    pub fn operator(&self) -> &P::Operator {
        &self.operator
    }

    /// Takes the bounds of the operator's policy.
    fn judge_by_policy(&mut self) {
        self.bounds = P::bounds(self.operator.policy());
        if let Some(placement) = &mut self.placement {
            placement.judge_by(self.bounds.partitions);
        }
    }

    /// Writes what the operator has emitted, and shows what has changed.
    #[inline]
    fn end_event(&mut self, outbox: &mut dyn Outbox) {
        if !self.outputs.is_empty() {
            let mut emitter = Emitter::new(self.partition, outbox, &mut self.value);
            self.processor.emit(&mut self.outputs, &self.gauges, &mut emitter);
            debug_assert!(self.outputs.is_empty(), "all of them are written");
        }
        self.processor
            .show_change(&mut self.gauges, &self.operator, outbox);
    }

    /// A value that cannot be read.
    #[cold]
    fn refuse_value(
        &self,
        input: &InputRecord<'_>,
        error: &DecodeError,
        outbox: &mut dyn Outbox,
    ) -> Result<(), TaskError> {
        let why = error.to_string();
        if error.is_of_registry() {
            outbox.note_refusal(input, error.code(), &why)?;
        }
        self.processor.spec().refuse(input, error.code(), &why, outbox);
        Ok(())
    }

    #[cold]
    fn refuse(&self, input: &InputRecord<'_>, refused: &Refused, outbox: &mut dyn Outbox) {
        let spec = self.processor.spec();
        spec.refuse(input, refused.code, &refused.why, outbox);
    }

    /// A record that lies elsewhere than the policy lets it.
    #[cold]
    fn refuse_place(
        &self,
        input: &InputRecord<'_>,
        misplaced: Misplaced,
        outbox: &mut dyn Outbox,
    ) -> Result<(), TaskError> {
        if self.placement.as_ref().is_some_and(Placement::is_outgrown) {
            return Err(TaskError::new(OUTGROWN.to_owned()));
        }
        let spec = self.processor.spec();
        spec.refuse(input, Misplaced::CODE, &misplaced.to_string(), outbox);
        Ok(())
    }

    #[cold]
    fn late(&mut self, input: &InputRecord<'_>, late_by_ms: i64, outbox: &mut dyn Outbox) {
        let spec = self.processor.spec();
        match &spec.late {
            LateRecords::Copy(topic) => {
                let late_by_ms = late_by_ms.to_string();
                outbox.copy(input, topic, &[(LATE_BY, late_by_ms.as_bytes())]);
            }
            LateRecords::Count => {}
            LateRecords::Refuse { code, what } => {
                let error = format!("a {what} came {late_by_ms} ms after its window had closed");
                if !std::mem::replace(&mut self.is_late_told, true) {
                    tracing::error!(
                        operator = spec.name,
                        offset = input.offset,
                        partition = input.partition,
                        "{error}: such records are left out; more of this partition are not logged"
                    );
                }
                spec.refuse(input, code, &error, outbox);
                return;
            }
        }
        if !outbox.is_replay() {
            spec.metrics.late_records.inc();
        }
    }
}

impl<P: Processor> Task for ProcessorTask<P> {
    fn prepare(&mut self, inputs: &[InputRecord<'_>]) {
        self.operator.prepare(self.intake.read_ahead(inputs));
    }

    fn process(&mut self, input: &InputRecord<'_>, outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        let record = match self.intake.read(input) {
            Ok(record) => record,
            Err(ReadError::Invalid(error)) => return self.refuse_value(input, &error, outbox),
            Err(ReadError::Registry(error)) => return Err(TaskError::new(error)),
        };
        let append_time_ms = input.append_time_ms();
        if append_time_ms.is_none() && self.placement.is_some() && !outbox.is_replay() {
            self.processor.spec().metrics.create_time(input);
        }
        if let Err(refused) = P::check(&self.operator, record, append_time_ms, &self.bounds) {
            self.refuse(input, &refused, outbox);
            return Ok(());
        }
        if let Some(placement) = &mut self.placement
            && let Some(misplaced) = P::place(placement, input, record, outbox)
            && self.bounds.refuses_misplaced
        {
            return self.refuse_place(input, misplaced, outbox);
        }
        match self.operator.process(record, &mut self.outputs) {
            Disposition::Accepted => {}
            Disposition::Duplicate if outbox.is_replay() => {}
            Disposition::Duplicate => self.processor.spec().metrics.duplicate_records.inc(),
            Disposition::Late { late_by_ms } => self.late(input, late_by_ms, outbox),
        }
        self.end_event(outbox);
        Ok(())
    }

    fn advance(&mut self, watermark_ms: i64, outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        self.operator.advance(watermark_ms, &mut self.outputs);
        self.end_event(outbox);
        Ok(())
    }

    fn policy(&self) -> String {
        policy_to_text(self.operator.policy())
    }

    fn configure(&mut self, policy: &str, outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        let policy = policy_of_text(policy).map_err(TaskError::new)?;
        if !outbox.is_replay() {
            let refused = self.processor.check_change(self.operator.policy(), &policy);
            refused.map_err(TaskError::new)?;
        }
        let refused = self.operator.check_policy(&policy);
        refused.map_err(TaskError::new)?;
        self.operator.configure(&policy, &mut self.outputs);
        self.judge_by_policy();
        self.end_event(outbox);
        Ok(())
    }

    fn before_commit(&mut self, _outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        self.processor.show_at_commit(&mut self.gauges, &self.operator);
        Ok(())
    }

    fn watermark_ms(&self) -> Option<i64> {
        self.operator.watermark_ms()
    }

    fn max_event_time_ms(&self) -> Option<i64> {
        P::max_event_time_ms(&self.operator)
    }

    fn open_until_ms(&self) -> Option<i64> {
        self.operator.open_until_ms()
    }

    fn closed_until_ms(&self) -> Option<i64> {
        P::closed_until_ms(&self.operator)
    }

    fn freeze(&mut self) -> FrozenState {
        self.operator.freeze()
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.operator.restore(bytes)?;
        self.judge_by_policy();
        self.processor.show_restored(&mut self.gauges, &self.operator);
        Ok(())
    }
}

impl<P: Processor> fmt::Debug for ProcessorTask<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessorTask")
            .field("job", &self.processor.spec().name)
            .field("partition", &self.partition)
            .finish_non_exhaustive()
    }
}
