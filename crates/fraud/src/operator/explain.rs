//! Explains what an operator does with a transaction.

mod built_in;
mod otherwise;

use std::collections::BTreeMap;

use millrace_contract::Event as _;
use millrace_domain::money::UNITS_PER_WHOLE;
use millrace_domain::{Anomaly, Currency, Transaction};
use millrace_engine::Disposition;
use millrace_engine::dedup::Seen;
use millrace_engine::keyed::Sweep;

use super::{DetectOperator, remembered};
use crate::event_time::EventTime;
use crate::explanation::{Explanation, UserProfile, UsualAmount};
use crate::fingerprint;
use crate::profile::{Profile, ProfileTable, UserKey};
use crate::snoozed::Snoozed;

/// An operator before a transaction and after it.
struct Around<'a> {
    transaction: &'a Transaction,
    before: DetectOperator,
    after: DetectOperator,
    disposition: Disposition,
    raised: Vec<Anomaly>,
}

impl DetectOperator {
    /// What it does with `transaction` as the next one, and why. It changes nothing: a copy of what
    /// the transaction is judged by takes it, so what is told to be raised is what is raised.
    #[must_use]
    pub fn explain(&self, transaction: &Transaction) -> Explanation {
        let before = self.around(transaction);
        let (mut after, mut raised) = (before.clone(), Vec::new());
        let disposition = after.take(transaction, &mut raised);
        let mut around = Around {
            transaction,
            before,
            after,
            disposition,
            raised,
        };
        let profile = around.profile();
        let rules = match (around.before.evaluator(), around.after.evaluator()) {
            (Some(before), Some(after)) if disposition == Disposition::Accepted => {
                after.trace(before, transaction)
            }
            _ => Vec::new(),
        };
        let newest_ms = profile.map_or(i64::MIN, |profile| profile.newest.ms());
        Explanation {
            disposition,
            profile: around.told(profile.as_ref()),
            built_in: around.built_in(profile.as_ref()),
            rules,
            snoozed: around.snoozed(),
            newest_ms: newest_ms.max(transaction.transaction_time_ms),
            otherwise: around.otherwise(),
            raised: around.raised,
        }
    }

    /// An operator that has what this one keeps of the transaction's user and id, and nothing else:
    /// small whatever this one has, it does the same with the transaction.
    fn around(&self, transaction: &Transaction) -> Self {
        let time_ms = transaction.transaction_time_ms;
        let as_of_ms = self.max_event_time_ms().unwrap_or(time_ms).max(time_ms);
        let (id, fingerprint) = (transaction.id(), fingerprint::of(transaction));
        let (mut payloads, mut replayed) = remembered(self.policy.dedup_horizon_ms, self.seed);
        let known = match self.payloads.seen(&id, fingerprint) {
            Seen::New => None,
            Seen::Duplicate => Some(fingerprint),
            Seen::Changed => Some(!fingerprint),
        };
        if let Some(known) = known {
            payloads.check(id, as_of_ms, known);
        }
        if self.replayed.has(&id) {
            replayed.insert(id, as_of_ms);
        }
        let user = UserKey::of(&transaction.user_id);
        let (mut profiles, mut recent) = (ProfileTable::new(self.seed), self.rules.pool());
        if let Some(place) = self.profiles.find(&user) {
            let mut profile = *self.profiles.get(place);
            recent.adopt(&self.recent, &mut profile.run);
            profiles.find_or_insert(user, || profile);
        }
        let rule_set = self.rule_set.as_ref();
        Self {
            policy: self.policy.clone(),
            rules: self.rules.clone(),
            cities: self.cities.clone(),
            seed: self.seed,
            watermark: self.watermark.clone(),
            payloads,
            replayed,
            profiles,
            recent,
            known_from_ms: self.known_from_ms,
            sweep: Sweep::default(),
            unknown_locations: self.unknown_locations,
            rule_set: rule_set.map(|rule_set| Box::new(rule_set.around(transaction))),
            snoozed: Snoozed::default(),
        }
    }
}

impl Around<'_> {
    /// The user's profile before the transaction; `None` where there was none, or it is forgotten
    /// as the transaction comes.
    fn profile(&mut self) -> Option<Profile> {
        let user = UserKey::of(&self.transaction.user_id);
        let forgotten_before_ms = self.after.watermark_less(self.after.policy.profile_retention_ms);
        let profiles = &mut self.before.profiles;
        let (place, is_new) = profiles.find_or_insert(user, || Profile::new(user, EventTime::NEVER));
        let profile = *profiles.get(place);
        let is_known = !is_new && profile.newest.ms() >= forgotten_before_ms;
        is_known.then_some(profile)
    }

    /// Whether a rule raised an anomaly, or would have, were it not snoozed.
    fn has_fired(&self, rule: &str) -> bool {
        let snoozed = |operator: &DetectOperator| operator.snoozed().get(rule).copied();
        let is_raised = self.raised.iter().any(|anomaly| anomaly.rule == rule);
        is_raised || snoozed(&self.after) != snoozed(&self.before)
    }

    fn told(&self, profile: Option<&Profile>) -> UserProfile {
        let Some(profile) = profile else {
            return UserProfile::default();
        };
        let usual = |habit: &crate::habit::Habit| {
            Some(UsualAmount {
                currency: Currency::parse(&habit.currency).ok()?,
                purchases: habit.count,
                usual: f64::from(habit.mean).exp() / UNITS_PER_WHOLE as f64,
                deviation: f64::from(habit.variance).sqrt(),
            })
        };
        let before_ms = profile.newest.ms();
        let newest_ms = before_ms.max(self.transaction.transaction_time_ms);
        let recent = self.before.rules.velocity.as_ref().map(|velocity| {
            let from_ms = newest_ms - velocity.settings.span_ms;
            let entries = self.before.recent.entries(&profile.run);
            let within = entries.filter(|recent| recent.time_ms(before_ms) > from_ms);
            within.fold((0, 0.0), |(count, sum), recent| {
                (count + 1, sum + f64::from(recent.ratio))
            })
        });
        let place = &profile.place;
        UserProfile {
            newest_ms: Some(before_ms),
            habits: profile.habits.iter().filter_map(usual).collect(),
            recent,
            last_place: place.city.map(|_| (place.id, place.time.ms())),
        }
    }

    fn snoozed(&self) -> BTreeMap<String, i64> {
        let user = self.transaction.user_id.text();
        let time_ms = self.transaction.transaction_time_ms;
        let snoozes = self.before.policy.lists.snoozes.iter();
        let of_user = snoozes.filter_map(|(rule, users)| {
            let until_ms = *users.get(user.as_str())?;
            (time_ms < until_ms).then(|| (rule.clone(), until_ms))
        });
        of_user.collect()
    }
}
