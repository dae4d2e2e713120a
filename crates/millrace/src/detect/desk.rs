//! The incidents and campaigns of alerts that come by time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::mem;
use std::path::Path;

use anyhow::Context;
use millrace_domain::Transaction;
use millrace_incidents::{Alert, Campaign, Campaigns, Incident, Incidents, LIBRARY, State, Typologies};
use millrace_rules::{Fired, Rule, Version};
use uuid::Uuid;

use crate::rules;

/// Users with an incident at one merchant that make a campaign, and how long event time may go on
/// without another before it is over.
const CAMPAIGN_USERS: usize = 5;
const CAMPAIGN_QUIET_MS: i64 = 86_400_000;

/// Takes alerts, and gives incidents and campaigns once they are over.
pub(crate) struct Desk {
    incidents: Incidents,
    campaigns: Campaigns,
    /// What was told and is not over, by id: the newest revision.
    open: BTreeMap<Uuid, Incident>,
    open_campaigns: BTreeMap<Uuid, Campaign>,
    told: Vec<Incident>,
    told_campaigns: Vec<Campaign>,
}

/// What is over, or was open when the alerts ended.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    pub(crate) incidents: Vec<Incident>,
    pub(crate) campaigns: Vec<Campaign>,
}

impl Desk {
    /// With the typologies of a file, or with those that are shipped.
    ///
    /// # Errors
    /// The file cannot be read, or a typology of it is wrong.
    pub(crate) fn new(typologies: Option<&Path>, version: &Version) -> anyhow::Result<Self> {
        let typologies = match typologies {
            Some(path) => {
                let name = || path.display().to_string();
                let text = fs::read_to_string(path).with_context(name)?;
                let rules = version.rules().iter().map(Rule::name).collect();
                Typologies::parse(&text, &rules).with_context(name)?
            }
            None => shipped()?,
        };
        Ok(Self {
            incidents: Incidents::new(typologies),
            campaigns: Campaigns::new(CAMPAIGN_USERS, CAMPAIGN_QUIET_MS),
            open: BTreeMap::new(),
            open_campaigns: BTreeMap::new(),
            told: Vec::new(),
            told_campaigns: Vec::new(),
        })
    }

    /// Takes the alerts of the next transaction, and appends what is over by its time.
    pub(crate) fn take(
        &mut self,
        version: &Version,
        transaction: &Transaction,
        fired: &[Fired],
        ended: &mut Ended,
    ) {
        let time_ms = transaction.transaction_time_ms;
        self.incidents.advance(time_ms, &mut self.told);
        for fired in fired.iter().filter(|fired| fired.alerts) {
            let rule = &version.rules()[fired.rule];
            let alert = Alert {
                rule: rule.name(),
                severity: fired.severity,
                score: fired.score,
                transaction: transaction.transaction_id,
                user: &transaction.user_id.to_string(),
                merchant: Some(&transaction.merchant_id.to_string()),
                amount: Some((transaction.amount.units(), transaction.currency)),
                time_ms,
            };
            self.incidents.process(&alert, rule.reason(), &mut self.told);
        }
        for incident in self.told.drain(..) {
            if incident.state == State::Open {
                self.campaigns.process(&incident, &mut self.told_campaigns);
                self.open.insert(incident.id, incident);
            } else {
                self.open.remove(&incident.id);
                ended.incidents.push(incident);
            }
        }
        self.campaigns.advance(time_ms, &mut self.told_campaigns);
        for campaign in self.told_campaigns.drain(..) {
            if campaign.is_closed {
                self.open_campaigns.remove(&campaign.id);
                ended.campaigns.push(campaign);
            } else {
                self.open_campaigns.insert(campaign.id, campaign);
            }
        }
    }

    /// The alerts have ended: what is open then, the earliest first.
    pub(crate) fn end(&mut self) -> Ended {
        let mut incidents: Vec<Incident> = mem::take(&mut self.open).into_values().collect();
        incidents.sort_by_key(|incident| (incident.first_ms, incident.id));
        let mut campaigns: Vec<Campaign> = mem::take(&mut self.open_campaigns).into_values().collect();
        campaigns.sort_by_key(|campaign| (campaign.first_ms, campaign.id));
        Ended { incidents, campaigns }
    }
}

/// The shipped typologies, of the shipped rules: one that does not run never fires.
fn shipped() -> anyhow::Result<Typologies> {
    let library = rules::load(&[])?;
    let names: BTreeSet<&str> = library.rules().iter().map(Rule::name).collect();
    Ok(Typologies::parse(LIBRARY, &names)?)
}
