//! How the records of the jobs are read and written.

use millrace_contract::Encode as _;
use millrace_engine::HashSeed;
use millrace_engine::keyed::OrderedPolicy;
use millrace_iot::{
    Device, DeviceAlerts, DeviceMinute, DeviceMinutePartial, DeviceNotice, Limits, MinutesPerDevice,
    MinutesRecord, MinutesResult, Notice, NoticeRecord, Watch,
};
use millrace_runtime::keyed::Keyed;
use millrace_runtime::windowed::TwoStage;

use crate::AlertMetrics;

/// Readings of devices in two stages.
#[derive(Debug, Clone, Copy)]
pub struct Minutes;

impl TwoStage for Minutes {
    type Aggregation = MinutesPerDevice;
    type Partial = DeviceMinutePartial;

    const EVENTS: &'static str = "iot";

    fn aggregation() -> MinutesPerDevice {
        MinutesPerDevice
    }

    fn key(device: &Device) -> impl AsRef<[u8]> {
        device.as_str()
    }

    fn encode_partial(schema_id: u32, record: MinutesRecord, value: &mut Vec<u8>) {
        DeviceMinutePartial::of(&record).encode_framed(schema_id, value);
    }

    fn record_of(partial: DeviceMinutePartial) -> MinutesRecord {
        partial.record()
    }

    fn encode_result(schema_id: u32, result: &MinutesResult, value: &mut Vec<u8>) {
        DeviceMinute::of(result).encode_framed(schema_id, value);
    }
}

/// Alerts of devices, and what is known last of each: to the first topic of the job, and to the
/// second.
#[derive(Debug, Clone)]
pub struct Alerts {
    /// What is counted of them.
    pub metrics: AlertMetrics,
}

impl Keyed for Alerts {
    type Operator = DeviceAlerts;

    fn operator(policy: OrderedPolicy<Limits>, seed: HashSeed) -> DeviceAlerts {
        DeviceAlerts::new(Watch, policy, seed)
    }

    fn encode<'a>(schema_id: u32, said: &'a DeviceNotice, value: &mut Vec<u8>) -> &'a [u8] {
        match NoticeRecord::of(said) {
            NoticeRecord::Alert(alert) => alert.encode_framed(schema_id, value),
            NoticeRecord::State(state) => state.encode_framed(schema_id, value),
        }
        said.key.as_str().as_bytes()
    }

    fn topic(said: &DeviceNotice) -> usize {
        match said.output {
            Notice::Alert { .. } => 0,
            Notice::State { .. } => 1,
        }
    }

    fn count(&self, said: &[DeviceNotice]) {
        self.metrics.count(said);
    }
}
