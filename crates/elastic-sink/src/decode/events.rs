//! Events of a stream as documents: what the stream's jobs refuse is none.

use std::fmt::Debug;

use millrace_contract::{Event, Reader};
use millrace_kafka::Misplaced;
use millrace_registry::RegistryError;
use millrace_service::sink::{Taken, value};
use millrace_settings::{MisplacedRecords, Settings, StreamJobs};
use millrace_sink::Decision;

use super::{Record, written};
use crate::document::Document;
use crate::table::{Decide, Decoding, Opening, ToDocument};

/// What becomes of the events of a stream that its jobs take.
pub(crate) struct Events<T> {
    /// What the jobs are set with.
    pub(crate) jobs: fn(&Settings) -> StreamJobs<'_>,
    /// The event as a document.
    pub(crate) document: ToDocument<T>,
}

impl<T: Event + Debug> Decoding for Events<T> {
    fn misplaced_records(&self, settings: &Settings) -> MisplacedRecords {
        (self.jobs)(settings).misplaced_records
    }

    fn open(&self, opening: Opening<'_>) -> Box<dyn Decide> {
        Box::new(Judged {
            reader: opening.schemas.reader(),
            taken: Taken::of((self.jobs)(opening.settings).event_time, opening.partitions),
            document: self.document,
        })
    }
}

#[derive(Debug)]
struct Judged<T> {
    reader: Reader<T>,
    taken: Taken,
    document: ToDocument<T>,
}

impl<T: Event + Debug> Decide for Judged<T> {
    fn decide(&self, record: Record<'_>) -> Result<Decision<Document>, RegistryError> {
        let event = match value(&self.reader, record.value())? {
            Ok(event) => event,
            // A job reads the same topic, and sends it to the dead letters.
            Err(error) => return Ok(Decision::Skip { code: error.code() }),
        };
        if let Err(error) = self.taken.limits.check(event.time_ms(), record.append_time_ms) {
            return Ok(Decision::Skip { code: error.code() });
        }
        if let Err(error) = event.check() {
            return Ok(Decision::Skip { code: error.code() });
        }
        let is_misplaced = {
            let key = event.key();
            self.taken
                .is_misplaced(record.partition, record.key, key.as_ref())
        };
        if is_misplaced {
            return Ok(Decision::Skip {
                code: Misplaced::CODE,
            });
        }
        Ok(written((self.document)(&event, record.offset)))
    }
}

#[cfg(test)]
mod tests {
    use millrace_commerce::{EventType, Product, ShopEvent, User};
    use millrace_contract::source::NoRegistry;
    use millrace_contract::{Encode as _, Id};
    use millrace_domain::Amount;
    use millrace_kafka::{SourcePartitions, partition_for};
    use millrace_sink::Work;
    use uuid::Uuid;

    use super::*;
    use crate::document;
    use crate::stream::Stream;

    const APPENDED_MS: i64 = 1_767_225_600_000;
    const SCHEMA_ID: u32 = 1;

    fn purchase(time_ms: i64, quantity: i32) -> ShopEvent {
        ShopEvent {
            event_id: Uuid::from_u128(7),
            event_type: EventType::Purchase,
            user_id: User::new("u-1").unwrap(),
            product_id: Product::new("p-7"),
            price: Amount::from_units(571_600),
            quantity: Some(quantity),
            region: Id::new("EU").unwrap(),
            device: Id::new("mobile").unwrap(),
            time_ms,
            query: None,
            product_name: None,
            category: None,
        }
    }

    fn decide_in(partition: i32, event: &ShopEvent) -> Decision<Document> {
        let settings = Settings::default();
        let judged = Judged::<ShopEvent> {
            reader: Reader::new(NoRegistry).with_own_schema_id(SCHEMA_ID),
            taken: Taken::of(&settings.commerce.event_time, Some(SourcePartitions::fixed(5))),
            document: document::shop_event,
        };
        let mut value = Vec::new();
        event.encode_framed(SCHEMA_ID, &mut value);
        let record = Record {
            stream: Stream::ALL[8],
            partition,
            offset: 3,
            append_time_ms: Some(APPENDED_MS),
            key: None,
            payload: Some(&value),
        };
        judged.decide(record).unwrap()
    }

    #[test]
    fn an_event_is_indexed() {
        let decision = decide_in(partition_for(b"u-1", 5), &purchase(APPENDED_MS, 3));
        let id = Uuid::from_u128(7).to_string();
        assert!(
            matches!(&decision, Decision::Work(Work::Write(document)) if document.id == id),
            "{decision:?}"
        );
    }

    #[test]
    fn what_the_jobs_refuse_is_passed_over() {
        let place = partition_for(b"u-1", 5);
        for (partition, event, expected) in [
            (place, purchase(APPENDED_MS + 60_001, 3), "far_future"),
            (place, purchase(APPENDED_MS / 1_000, 3), "before_earliest_time"),
            (place, purchase(APPENDED_MS, 0), "incomplete_purchase"),
            ((place + 1) % 5, purchase(APPENDED_MS, 3), "misplaced"),
        ] {
            let decision = decide_in(partition, &event);
            assert_eq!(decision, Decision::Skip { code: expected });
        }
    }
}
