//! Incidents of a partition of alerts, as an operator.

use millrace_domain::EntityType;
use millrace_domain::codec::DecodedAnomaly;
use millrace_engine::snapshot::{StateReader, StateWriter};
use millrace_engine::{Disposition, FrozenState, Operator, RestoreError, Watermark};

use crate::{Alert, Incident, IncidentPolicy, Incidents, state};

/// A revision of an incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// What the incident's user is: a user, or a merchant.
    pub entity_type: EntityType,
    /// As it is now.
    pub incident: Incident,
}

/// Alerts in, a revision of each incident that one changes out, from its first alert on: so that
/// every alert is in the incidents of its rule's typologies, and in no other.
///
/// The watermark is the highest event time of the partition's alerts less the disorder; it does
/// nothing but close what is quiet. An alert that comes when its incident was closed opens another.
#[derive(Debug, Clone)]
pub struct IncidentOperator {
    policy: IncidentPolicy,
    watermark: Watermark,
    users: Incidents,
    merchants: Incidents,
    /// Reused from call to call.
    told: Vec<Incident>,
}

impl IncidentOperator {
    /// Before its first alert.
    #[must_use]
    pub fn new(policy: IncidentPolicy) -> Self {
        let of = |entity_type| Incidents::telling_all(entity_type, policy.typologies().clone());
        Self {
            watermark: Watermark::new(policy.max_disorder_ms()),
            users: of(EntityType::User),
            merchants: of(EntityType::Merchant),
            policy,
            told: Vec::new(),
        }
    }

    /// How many incidents are not over.
    #[must_use]
    pub fn open(&self) -> usize {
        self.users.len() + self.merchants.len()
    }

    /// The highest event time of an alert, in milliseconds since 1970.
    #[must_use]
    pub fn max_event_time_ms(&self) -> Option<i64> {
        self.watermark.max_event_time_ms()
    }

    fn of(&mut self, entity_type: EntityType) -> &mut Incidents {
        match entity_type {
            EntityType::User => &mut self.users,
            EntityType::Merchant => &mut self.merchants,
        }
    }

    /// Closes what is quiet at the watermark.
    fn moved(&mut self, outputs: &mut Vec<Told>) {
        let Some(watermark_ms) = self.watermark.current_ms() else {
            return;
        };
        for entity_type in EntityType::ALL {
            let mut told = std::mem::take(&mut self.told);
            self.of(entity_type).advance(watermark_ms, &mut told);
            self.tell(entity_type, told, outputs);
        }
    }

    fn tell(&mut self, entity_type: EntityType, mut told: Vec<Incident>, outputs: &mut Vec<Told>) {
        outputs.extend(told.drain(..).map(|incident| Told {
            entity_type,
            incident,
        }));
        self.told = told;
    }

    fn restored(bytes: &[u8]) -> Result<Self, RestoreError> {
        let mut reader = StateReader::new(bytes);
        reader.version("incidents", state::VERSION)?;
        let mut restored = Self::new(reader.policy()?);
        restored.watermark = Watermark::restore(restored.policy.max_disorder_ms(), &mut reader)?;
        let watermark_ms = restored.watermark.current_ms();
        for entity_type in EntityType::ALL {
            let incidents = restored.of(entity_type);
            incidents.set_watermark(watermark_ms);
            for _ in 0..reader.count("incidents", state::LEAST_LEN)? {
                let at = reader.position();
                if !incidents.put_back(state::read(&mut reader)?) {
                    return Err(RestoreError::Invalid { what: "incident", at });
                }
            }
        }
        reader.finish()?;
        Ok(restored)
    }
}

impl Operator for IncidentOperator {
    type Record = DecodedAnomaly;
    type Output = Told;
    type Policy = IncidentPolicy;

    fn policy(&self) -> &IncidentPolicy {
        &self.policy
    }

    /// Incidents go on by the names of their typologies; those that verdicts are new of are decided
    /// on.
    fn configure(&mut self, policy: &IncidentPolicy, outputs: &mut Vec<Told>) {
        self.watermark.allow_disorder(policy.max_disorder_ms());
        for entity_type in EntityType::ALL {
            self.of(entity_type).set_typologies(policy.typologies().clone());
        }
        let before = std::mem::replace(&mut self.policy, policy.clone());
        for (id, verdict) in policy.verdicts_beyond(&before) {
            for entity_type in EntityType::ALL {
                let mut told = std::mem::take(&mut self.told);
                self.of(entity_type).decide(id, verdict, &mut told);
                self.tell(entity_type, told, outputs);
            }
        }
    }

    /// An alert without a transaction is none; whoever calls this has looked.
    fn process(&mut self, anomaly: &DecodedAnomaly, outputs: &mut Vec<Told>) -> Disposition {
        let Some(&transaction) = anomaly.transaction_ids.last() else {
            return Disposition::Accepted;
        };
        let entity = anomaly.entity.text();
        let alert = Alert {
            rule: &anomaly.rule,
            severity: anomaly.severity,
            score: Some(anomaly.score),
            transaction,
            user: entity.as_str(),
            merchant: None,
            amount: None,
            time_ms: anomaly.event_time_ms,
        };
        let reason = anomaly.reason.as_deref().unwrap_or(&anomaly.rule);
        let mut told = std::mem::take(&mut self.told);
        self.of(anomaly.entity_type).process(&alert, reason, &mut told);
        self.tell(anomaly.entity_type, told, outputs);
        if self.watermark.observe(anomaly.event_time_ms) {
            self.moved(outputs);
        }
        Disposition::Accepted
    }

    fn advance(&mut self, watermark_ms: i64, outputs: &mut Vec<Told>) {
        if self.watermark.advance(watermark_ms) {
            self.moved(outputs);
        }
    }

    fn watermark_ms(&self) -> Option<i64> {
        self.watermark.current_ms()
    }

    fn open_until_ms(&self) -> Option<i64> {
        self.users.open_until_ms().max(self.merchants.open_until_ms())
    }

    /// Incidents are few beside transactions, and small: they are copied.
    fn freeze(&mut self) -> FrozenState {
        let (policy, watermark) = (self.policy.clone(), self.watermark.clone());
        let all = [self.users.clone(), self.merchants.clone()];
        FrozenState::new(move |writer: &mut StateWriter<'_>| {
            writer.u8(state::VERSION);
            writer.policy(&policy);
            watermark.snapshot(writer);
            for incidents in all {
                writer.count(incidents.kept());
                incidents
                    .iter()
                    .for_each(|incident| state::write(incident, writer));
            }
        })
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        *self = Self::restored(bytes)?;
        Ok(())
    }
}
