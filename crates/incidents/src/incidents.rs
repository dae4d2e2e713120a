//! All incidents of a partition.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use millrace_domain::EntityType;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Alert, Incident, State, Typologies, Typology};

/// Why an incident is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// Event time went on without an alert for as long as its typology asks for.
    Quiet,
    /// An analyst decided.
    Verdict(Verdict),
}

/// What an analyst decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is fraud.
    Confirmed,
    /// It is none.
    FalseAlarm,
}

/// How long event time may go on after an incident's last alert until nobody can decide on it any
/// more, in milliseconds: a week.
pub const DECIDABLE_MS: i64 = 7 * 86_400_000;

/// Whose: the typology's name, and the user.
type Key = (Box<str>, Box<str>);

/// The incidents of one partition's users.
///
/// Of those that are not over, a user has one of each typology at most. What is kept is bounded by
/// the users with an alert within the longest quiet time and, where all are told, [`DECIDABLE_MS`]:
/// of a user and typology, those that are over are a quiet time apart, or were decided on.
#[derive(Debug, Clone)]
pub struct Incidents {
    typologies: Arc<Typologies>,
    /// Whether those below their threshold are told too.
    tells_growing: bool,
    /// What the users are: an incident of a merchant is another than that of a user of its name.
    of: EntityType,
    open: BTreeMap<Key, Incident>,
    /// By when they are quiet: event time in milliseconds.
    until: BTreeSet<(i64, Key)>,
    /// Those that are over and can be decided on, where all are told.
    closed: BTreeMap<Uuid, Incident>,
    /// By when that is no more so: event time in milliseconds.
    decidable: BTreeSet<(i64, Uuid)>,
    watermark_ms: Option<i64>,
}

impl Incidents {
    /// None yet.
    #[must_use]
    pub fn new(typologies: impl Into<Arc<Typologies>>) -> Self {
        Self {
            typologies: typologies.into(),
            tells_growing: false,
            of: EntityType::User,
            open: BTreeMap::new(),
            until: BTreeSet::new(),
            closed: BTreeMap::new(),
            decidable: BTreeSet::new(),
            watermark_ms: None,
        }
    }

    /// None yet, of which each is told from its first alert on, so that no alert is in none, and
    /// can be decided on for [`DECIDABLE_MS`] after its last.
    #[must_use]
    pub fn telling_all(of: EntityType, typologies: Arc<Typologies>) -> Self {
        Self {
            tells_growing: true,
            of,
            ..Self::new(typologies)
        }
    }

    /// Takes other typologies. Incidents go on by their names: one whose typology has gone takes no
    /// alert any more, and is closed by quiet event time.
    pub fn set_typologies(&mut self, typologies: Arc<Typologies>) {
        self.typologies = typologies;
    }

    /// Takes an alert in, and appends what is told of it: a revision of each incident that it
    /// changes and that has reached its threshold. `reason` is the rule's.
    ///
    /// An alert more than the quiet time after its incident's last one closes that, and opens
    /// another.
    pub fn process(&mut self, alert: &Alert<'_>, reason: &str, told: &mut Vec<Incident>) {
        let typologies = Arc::clone(&self.typologies);
        for typology in typologies.of_rule(alert.rule, reason) {
            self.join(&typology, alert, told);
        }
    }

    fn join(&mut self, typology: &Typology, alert: &Alert<'_>, told: &mut Vec<Incident>) {
        let key: Key = (typology.name.as_str().into(), alert.user.into());
        if let Some(incident) = self.open.get_mut(&key) {
            let until_ms = incident.until_ms();
            if alert.time_ms <= until_ms {
                incident.join(typology, alert);
                let now_ms = incident.until_ms();
                if self.tells_growing || incident.state == State::Open {
                    told.push(incident.clone());
                }
                self.until.remove(&(until_ms, key.clone()));
                self.until.insert((now_ms, key));
                return;
            }
            self.close(&key, Closed::Quiet, told);
        }
        // A transaction that opened one which is over has one more alert.
        let id = Incident::id_of(self.of, &typology.name, alert.user, &alert.transaction);
        if let Some(incident) = self.take_closed(id) {
            self.join_closed(incident, typology, alert, told);
            return;
        }
        let incident = Incident::open(self.of, typology, alert);
        if self.tells_growing || incident.state == State::Open {
            told.push(incident.clone());
        }
        self.insert(key, incident);
    }

    /// It stays over, and nobody else has its id.
    fn join_closed(
        &mut self,
        mut incident: Incident,
        typology: &Typology,
        alert: &Alert<'_>,
        told: &mut Vec<Incident>,
    ) {
        incident.join(typology, alert);
        self.keep(&incident);
        told.push(incident);
    }

    fn take_closed(&mut self, id: Uuid) -> Option<Incident> {
        let incident = self.closed.remove(&id)?;
        self.decidable.remove(&(decidable_until_ms(&incident), id));
        Some(incident)
    }

    fn insert(&mut self, key: Key, incident: Incident) {
        self.until.insert((incident.until_ms(), key.clone()));
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
        while let Some((until_ms, id)) = self.decidable.first().copied()
            && until_ms < watermark_ms
        {
            self.decidable.remove(&(until_ms, id));
            self.closed.remove(&id);
        }
    }

    /// An analyst has decided on an incident. Returns whether there is such a one that is told, and
    /// not over, or over for not too long.
    pub fn decide(&mut self, id: Uuid, verdict: Verdict, told: &mut Vec<Incident>) -> bool {
        let tells_growing = self.tells_growing;
        let is_told = |incident: &Incident| tells_growing || incident.state == State::Open;
        let mut open = self.open.iter();
        let found = open.find(|(_, incident)| incident.id == id && is_told(incident));
        if let Some(key) = found.map(|(key, _)| key.clone()) {
            self.close(&key, Closed::Verdict(verdict), told);
            return true;
        }
        let Some(incident) = self.closed.get_mut(&id) else {
            return false;
        };
        if incident.decide(verdict) {
            told.push(incident.clone());
        }
        true
    }

    fn close(&mut self, key: &Key, why: Closed, told: &mut Vec<Incident>) {
        let Some(mut incident) = self.open.remove(key) else {
            return;
        };
        self.until.remove(&(incident.until_ms(), key.clone()));
        if self.tells_growing || incident.state == State::Open {
            incident.close(why);
            self.keep(&incident);
            told.push(incident);
        }
        debug_assert_eq!(self.until.len(), self.open.len(), "each has one end");
    }

    fn keep(&mut self, incident: &Incident) {
        if self.tells_growing {
            self.decidable.insert((decidable_until_ms(incident), incident.id));
            self.closed.insert(incident.id, incident.clone());
        }
    }

    /// All that something is kept of, in an order of their own.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Incident> {
        self.open.values().chain(self.closed.values())
    }

    /// How many [`Self::iter`] gives.
    pub(crate) fn kept(&self) -> usize {
        self.open.len() + self.closed.len()
    }

    /// Takes one back that [`Self::iter`] gave. Returns whether there was none of its key yet.
    pub(crate) fn put_back(&mut self, incident: Incident) -> bool {
        if matches!(incident.state, State::Closed(_)) {
            let is_new = !self.closed.contains_key(&incident.id);
            self.keep(&incident);
            return is_new;
        }
        let key: Key = (incident.typology.as_str().into(), incident.user.clone());
        if self.open.contains_key(&key) {
            return false;
        }
        self.insert(key, incident);
        true
    }

    /// Up to where event time went when they were kept.
    pub(crate) fn set_watermark(&mut self, watermark_ms: Option<i64>) {
        self.watermark_ms = watermark_ms;
    }

    /// When the last of them is closed by event time, in milliseconds since 1970.
    pub(crate) fn open_until_ms(&self) -> Option<i64> {
        self.until.last().map(|(until_ms, _)| until_ms.saturating_add(1))
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

fn decidable_until_ms(incident: &Incident) -> i64 {
    incident.last_ms.saturating_add(DECIDABLE_MS)
}
