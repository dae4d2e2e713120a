//! Incidents of many users at one merchant.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::bounded::Few;
use crate::{Incident, id};

/// The most users that a campaign names.
pub const MOST_USERS: usize = 1_000;

/// Incidents of one kind that many users have at one merchant, without a quiet time in between.
#[derive(Debug, Clone, PartialEq)]
pub struct Campaign {
    /// A function of typology, merchant and the first incident.
    pub id: Uuid,
    /// Goes up with every change: of two, the higher is right.
    pub revision: u64,
    /// The typology's name.
    pub typology: String,
    /// The typology's sentence for the analyst.
    pub reason: Box<str>,
    /// Where it happens.
    pub merchant: Box<str>,
    /// Whom it happens to.
    pub users: Few,
    /// When the first of its incidents began, and the last alert was, in milliseconds since 1970.
    pub first_ms: i64,
    /// See [`Self::first_ms`].
    pub last_ms: i64,
    /// Whether it is over: event time went on without a change.
    pub is_closed: bool,
}

type Key = (Box<str>, Box<str>);

/// All campaigns that are not over, and merchants that may become one.
#[derive(Debug)]
pub struct Campaigns {
    /// Users from which on it is one.
    least_users: usize,
    quiet_ms: i64,
    open: BTreeMap<Key, Campaign>,
    until: BTreeSet<(i64, Key)>,
}

impl Campaigns {
    /// None yet. `least_users` with an incident make one, which is over after `quiet_ms` of event
    /// time without a change.
    #[must_use]
    pub fn new(least_users: usize, quiet_ms: i64) -> Self {
        Self {
            least_users: least_users.max(2),
            quiet_ms: quiet_ms.max(1),
            open: BTreeMap::new(),
            until: BTreeSet::new(),
        }
    }

    /// Takes a revision of an incident in, and appends the campaigns that it changes. A user who is
    /// known there changes nothing but the end.
    pub fn process(&mut self, incident: &Incident, told: &mut Vec<Campaign>) {
        for merchant in incident.merchants.iter() {
            self.join(merchant, incident, told);
        }
    }

    fn join(&mut self, merchant: &str, incident: &Incident, told: &mut Vec<Campaign>) {
        let key: Key = (merchant.into(), incident.typology.as_str().into());
        let campaign = self.open.entry(key.clone()).or_insert_with(|| Campaign {
            id: id::id_of("campaign", &incident.typology, merchant, incident.id.as_bytes()),
            revision: 0,
            typology: incident.typology.clone(),
            reason: incident.reason.clone(),
            merchant: merchant.into(),
            users: Few::default(),
            first_ms: incident.first_ms,
            last_ms: incident.last_ms,
            is_closed: false,
        });
        self.until
            .remove(&(campaign.last_ms.saturating_add(self.quiet_ms), key.clone()));
        let is_new = campaign.users.insert(&incident.user, MOST_USERS);
        campaign.first_ms = campaign.first_ms.min(incident.first_ms);
        campaign.last_ms = campaign.last_ms.max(incident.last_ms);
        if is_new {
            campaign.revision += 1;
            if campaign.users.len() >= self.least_users {
                told.push(campaign.clone());
            }
        }
        self.until
            .insert((campaign.last_ms.saturating_add(self.quiet_ms), key));
        debug_assert_eq!(self.until.len(), self.open.len(), "each has one end");
    }

    /// Event time has gone on: quiet ones are closed, those that were told with a last revision.
    pub fn advance(&mut self, watermark_ms: i64, told: &mut Vec<Campaign>) {
        while let Some((until_ms, _)) = self.until.first()
            && *until_ms < watermark_ms
        {
            let Some((_, key)) = self.until.pop_first() else {
                return;
            };
            let Some(mut campaign) = self.open.remove(&key) else {
                continue;
            };
            if campaign.users.len() >= self.least_users {
                campaign.revision += 1;
                campaign.is_closed = true;
                told.push(campaign);
            }
        }
    }
}
