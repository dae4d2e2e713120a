//! A stream as careless writers leave it in a log.

use millrace_contract::{Encode, Event};
use millrace_kafka::partition_for;
use millrace_settings::MisplacedRecords;

use super::SOURCES;
use crate::simulation::{LoggedRecord, Random};

const RECORDS: usize = 60;
const BEGIN_MS: i64 = 1_760_000_000_000;
/// Of the records' schema.
pub(super) const SCHEMA_ID: u32 = 1;

/// What the records of a stream are.
pub struct Records<E> {
    /// What the names of keys begin with: `u-`.
    pub prefix: &'static str,
    /// Makes one of its number, which no other has, the name of its key, and its time.
    pub make: fn(u128, &str, i64, &mut Random) -> E,
}

impl<E: Event + Encode> Records<E> {
    /// A log: some records are late, some sent twice, some elsewhere than those of their key, some
    /// far ahead or too early, and some nobody can decode. The second half is of after all
    /// partitions were there, of which there were fewer `before`.
    pub(super) fn log<K: AsRef<[u8]>>(
        &self,
        (partition, before): (i32, i32),
        key_of: impl Fn(&E) -> K,
        random: &mut Random,
    ) -> Vec<LoggedRecord> {
        let (all_before, all_after) = (self.names(partition, before), self.names(partition, SOURCES));
        let mut sent: Vec<E> = Vec::new();
        let mut log = Vec::new();
        let mut now_ms = BEGIN_MS;
        for number in 0..RECORDS {
            let most_ms = if random.one_in(30) { 90_000 } else { 2_500 };
            now_ms += random.below(most_ms) as i64;
            let time_ms = event_time_ms(now_ms, random);
            let is_before = partition < before && number < RECORDS / 2;
            let (here, elsewhere) = if is_before { &all_before } else { &all_after };
            let name = match random.one_in(15) {
                true => &elsewhere[random.below(3)],
                false => &here[random.below(3)],
            };
            let earlier = sent.len().checked_sub(1 + random.below(20)).map(|at| sent[at]);
            let record = match earlier {
                Some(earlier) if random.one_in(15) => earlier,
                _ => {
                    let number = (partition as usize * RECORDS + number) as u128;
                    (self.make)(number, name, time_ms, random)
                }
            };
            sent.push(record);
            let mut value = Vec::new();
            record.encode_framed(SCHEMA_ID, &mut value);
            if random.one_in(20) {
                value.truncate(7);
            }
            log.push(LoggedRecord {
                key: (!random.one_in(20)).then(|| key_of(&record).as_ref().to_vec()),
                payload: Some(value),
                timestamp_ms: now_ms,
                is_append_time: !random.one_in(20),
            });
        }
        log
    }

    /// The names whose records lie in a partition, and the others.
    fn names(&self, partition: i32, partitions: i32) -> (Vec<String>, Vec<String>) {
        (0..40)
            .map(|number| format!("{}{number}", self.prefix))
            .partition(|name| partition_for(name.as_bytes(), partitions) == partition)
    }
}

fn event_time_ms(now_ms: i64, random: &mut Random) -> i64 {
    let back_ms = if random.one_in(9) { 90_000 } else { 1_500 };
    let time_ms = now_ms - random.below(back_ms) as i64;
    if random.one_in(25) {
        return now_ms + random.pick(&[30_000, 100_000]);
    }
    time_ms
}

/// What any job of a stream may be set with: how far ahead an event time may be, the earliest one,
/// and what becomes of records that lie elsewhere.
pub(super) fn bounds(settings: &mut Random) -> (i64, i64, MisplacedRecords) {
    (
        settings.pick(&[20_000, 60_000]),
        BEGIN_MS + settings.pick(&[-100_000, 4_000]),
        settings.pick(&[MisplacedRecords::Count, MisplacedRecords::DeadLetter]),
    )
}
