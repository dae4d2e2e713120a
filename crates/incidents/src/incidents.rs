//! All incidents that are not over.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::{Alert, Incident, State, Typologies};

/// Why an incident is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// Event time went on without an alert for as long as its typology asks for.
    Quiet,
    /// An analyst decided.
    Verdict(Verdict),
}

/// What an analyst decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is fraud.
    Confirmed,
    /// It is none.
    FalseAlarm,
}

/// Whose: the typology's place, and the user.
type Key = (usize, Box<str>);

/// The incidents of one partition's users that are not over.
///
/// A user has one of each typology at most. They are bounded by the users with an alert within the
/// longest quiet time.
#[derive(Debug, Default)]
pub struct Incidents {
    typologies: Typologies,
    open: BTreeMap<Key, Incident>,
    /// By when they are quiet: event time in milliseconds.
    until: BTreeSet<(i64, Key)>,
    watermark_ms: Option<i64>,
}

impl Incidents {
    /// None yet.
    #[must_use]
    pub fn new(typologies: Typologies) -> Self {
        Self {
            typologies,
            ..Self::default()
        }
    }

    /// Takes an alert in, and appends what is told of it: a revision of each incident that it
    /// changes and that has reached its threshold. `reason` is the rule's.
    ///
    /// An alert more than the quiet time after its incident's last one closes that, and opens
    /// another.
    pub fn process(&mut self, alert: &Alert<'_>, reason: &str, told: &mut Vec<Incident>) {
        for place in self.typologies.of_rule(alert.rule, reason) {
            self.join(place, alert, told);
        }
    }

    fn join(&mut self, place: usize, alert: &Alert<'_>, told: &mut Vec<Incident>) {
        let typology = self.typologies.at(place);
        let quiet_ms = typology.quiet_ms;
        let key: Key = (place, alert.user.into());
        if let Some(incident) = self.open.get_mut(&key) {
            let until_ms = incident.last_ms.saturating_add(quiet_ms);
            if alert.time_ms <= until_ms {
                incident.join(typology, alert);
                let now_ms = incident.last_ms.saturating_add(quiet_ms);
                if incident.state == State::Open {
                    told.push(incident.clone());
                }
                self.until.remove(&(until_ms, key.clone()));
                self.until.insert((now_ms, key));
                return;
            }
            self.close(&key, Closed::Quiet, told);
        }
        let incident = Incident::open(self.typologies.at(place), alert);
        if incident.state == State::Open {
            told.push(incident.clone());
        }
        self.until
            .insert((incident.last_ms.saturating_add(quiet_ms), key.clone()));
        self.open.insert(key, incident);
        debug_assert_eq!(self.until.len(), self.open.len(), "each has one end");
    }

    /// Event time has gone on: incidents that are quiet are closed, those that were told with a
    /// last revision.
    pub fn advance(&mut self, watermark_ms: i64, told: &mut Vec<Incident>) {
        if self.watermark_ms.is_some_and(|known_ms| watermark_ms <= known_ms) {
            return;
        }
        self.watermark_ms = Some(watermark_ms);
        while let Some((until_ms, key)) = self.until.first() {
            if *until_ms >= watermark_ms {
                break;
            }
            let key = key.clone();
            self.close(&key, Closed::Quiet, told);
        }
    }

    /// An analyst has decided on an incident. Returns whether there is such a one that is told and
    /// not over.
    pub fn decide(&mut self, id: Uuid, verdict: Verdict, told: &mut Vec<Incident>) -> bool {
        let of = |incident: &Incident| incident.id == id && incident.state == State::Open;
        let Some(key) = self
            .open
            .iter()
            .find_map(|(key, incident)| of(incident).then(|| key.clone()))
        else {
            return false;
        };
        self.close(&key, Closed::Verdict(verdict), told);
        true
    }

    fn close(&mut self, key: &Key, why: Closed, told: &mut Vec<Incident>) {
        let Some(mut incident) = self.open.remove(key) else {
            return;
        };
        let quiet_ms = self.typologies.at(key.0).quiet_ms;
        self.until
            .remove(&(incident.last_ms.saturating_add(quiet_ms), key.clone()));
        if incident.state == State::Open {
            incident.close(why);
            told.push(incident);
        }
        debug_assert_eq!(self.until.len(), self.open.len(), "each has one end");
    }

    /// The typologies, those of rules that none names included.
    #[must_use]
    pub fn typologies(&self) -> &Typologies {
        &self.typologies
    }

    /// How many are not over, those that nobody is told of included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}
