//! The detector's operator over one partition of transactions.

mod configure;
mod explain;
mod figures;
mod snapshot;

use millrace_contract::Event as _;
use millrace_domain::{Anomaly, Transaction, TransactionType};
use millrace_engine::dedup::{RecentIds, RecentPayloads, Seen};
use millrace_engine::keyed::{Slot as _, Sweep};
use millrace_engine::near;
use millrace_engine::{Disposition, FrozenState, HashSeed, Operator, PolicyRefused, RestoreError, Watermark};

use crate::cities::Cities;
use crate::event_time::EventTime;
use crate::finding::Finding;
use crate::fingerprint;
use crate::policy::{DetectPolicy, PolicyError};
use crate::profile::{Profile, ProfileTable, UserKey};
use crate::recent::RecentPool;
use crate::rule_set::RuleSet;
use crate::rules::{Running, replay};
use crate::settings::DetectSettings;
use crate::snoozed::Snoozed;

/// Places of the table that are swept for each accepted transaction. More than one, as each
/// transaction may add a place, and the sweep has to catch up with the end.
const SWEPT_PER_RECORD: usize = 2;

/// Raises anomalies from the transactions of one partition, in which each user lives whole.
///
/// A transaction is looked up by its id first: one that is known is a [`Disposition::Duplicate`],
/// with an anomaly of the replay rule if its payload changed. One whose event time is more than
/// `dedup_horizon_ms` behind the watermark is [`Disposition::Late`], as nobody can say whether it
/// was seen before. Every other one is accepted and judged: anomalies come out in the order
/// velocity, amount outlier, impossible travel, then the rules of the rule set by name. Only
/// accepted transactions move the watermark and change profiles.
///
/// # State
/// A profile of fixed size for each user; at most `max_count + 1` recent purchases of a user, while
/// they are in the span of velocity; the ids of the dedup horizon; what the rule set keeps of a
/// user, for as long as its longest window. A profile counts as forgotten from the moment the
/// watermark is more than `profile_retention_ms` past the user's highest event time. When its
/// memory is given back does not show: for each accepted transaction a few places of the table are
/// looked at in turn.
///
/// # A change of policy
/// Thresholds hold from the next transaction on; what a rule keeps, and what switching it off
/// forgets, is said there. A rule set goes on with what it keeps for features that the one before
/// had too, over windows no shorter; the others begin anew. The allowed disorder holds from the
/// next transaction that is ahead of all others, as [`Watermark::allow_disorder`] says. A longer
/// horizon keeps what is remembered by now for longer, and a transaction that was late stays late,
/// as nobody knows what was forgotten; a shorter one forgets at once, and makes late at once. A
/// longer retention brings no profile back. Lists are looked into as they are from the next
/// transaction on. An alert that is snoozed is counted and not raised; all else goes on as without.
#[derive(Debug, Clone)]
pub struct DetectOperator {
    policy: DetectPolicy,
    rules: Running,
    cities: Cities,
    seed: HashSeed,
    watermark: Watermark,
    payloads: RecentPayloads,
    /// Ids that the replay rule has fired for. They are remembered as of the highest event time, so
    /// no shorter than the payload that they are compared with.
    replayed: RecentIds,
    profiles: ProfileTable,
    recent: RecentPool,
    /// Ids of event times before this are not all remembered, whatever the horizon has become
    /// since.
    known_from_ms: i64,
    sweep: Sweep,
    unknown_locations: u64,
    rule_set: Option<Box<RuleSet>>,
    snoozed: Snoozed,
}

impl DetectOperator {
    /// An operator before its first record. No output and no state depends on the seed.
    ///
    /// # Errors
    /// A setting that is out of its range, or a rule set that is none.
    pub fn new(settings: &DetectSettings, seed: HashSeed) -> Result<Self, PolicyError> {
        DetectPolicy::new(settings.clone()).map(|policy| Self::of(policy, seed))
    }

    /// An operator before its first record.
    #[must_use]
    pub fn of(policy: DetectPolicy, seed: HashSeed) -> Self {
        let (payloads, replayed) = remembered(policy.dedup_horizon_ms, seed);
        let rules = Running::of(&policy.rules);
        let version = policy.version().cloned();
        let rule_set = |version| Box::new(RuleSet::new(version, seed, policy.live_lists()));
        Self {
            rule_set: version.map(rule_set),
            snoozed: Snoozed::default(),
            recent: rules.pool(),
            rules,
            cities: Cities::new(),
            seed,
            watermark: Watermark::new(policy.max_disorder_ms),
            policy,
            payloads,
            replayed,
            profiles: ProfileTable::new(seed),
            known_from_ms: i64::MIN,
            sweep: Sweep::default(),
            unknown_locations: 0,
        }
    }

    fn watermark_less(&self, time_ms: i64) -> i64 {
        self.watermark
            .current_ms()
            .map_or(i64::MIN, |watermark_ms| watermark_ms.saturating_sub(time_ms))
    }

    /// Before this event time nobody can say whether an id was seen.
    #[inline]
    fn oldest_ms(&self) -> i64 {
        self.watermark_less(self.policy.dedup_horizon_ms)
            .max(self.known_from_ms)
    }

    fn forget_ids(&mut self) {
        if let Some(watermark_ms) = self.watermark.current_ms() {
            self.payloads.forget(watermark_ms);
            self.replayed.forget(watermark_ms);
        }
    }

    #[cold]
    fn replay(&mut self, transaction: &Transaction) -> Option<Finding> {
        let as_of_ms = self.max_event_time_ms()?.max(transaction.transaction_time_ms);
        let is_first = self.replayed.insert(transaction.id(), as_of_ms);
        (self.policy.rules.replay && is_first)
            .then(|| replay::finding(transaction, self.policy.dedup_horizon_ms))
    }

    /// Judges an accepted transaction and learns it.
    fn judge(&mut self, transaction: &Transaction, outputs: &mut Vec<Anomaly>) {
        let forgotten_before_ms = self.watermark_less(self.policy.profile_retention_ms);
        let time_ms = transaction.transaction_time_ms;
        let time = EventTime::of_ms(time_ms);
        let user = UserKey::of(&transaction.user_id);
        let (place, _) = self.profiles.find_or_insert(user, || Profile::new(user, time));
        let profile = self.profiles.at(place);
        if profile.newest.ms() < forgotten_before_ms {
            let run = &mut profile.run;
            self.recent.drop_first(run, run.len());
            *profile = Profile::new(profile.user, time);
        }
        let before_ms = profile.newest.ms();
        let newest_ms = before_ms.max(time_ms);
        profile.newest = EventTime::of_ms(newest_ms);
        if let Some(velocity) = &self.rules.velocity {
            velocity.expire(&mut profile.run, &mut self.recent, before_ms, newest_ms);
        }
        if transaction.transaction_type == TransactionType::Refund {
            return;
        }

        let log_amount = (transaction.amount.units() as f64).ln();
        let habit = profile.habits.of(transaction.currency);
        let (lists, snoozed) = (&self.policy.lists, &mut self.snoozed);
        let mut push = |finding: Option<Finding>| {
            if let Some(finding) = finding {
                snoozed.raise(lists, finding.into_anomaly(transaction.user_id, time_ms), outputs);
            }
        };
        if let Some(velocity) = &self.rules.velocity {
            let ratio = if habit.is_settled(&self.policy.rules.habit) {
                (log_amount - f64::from(habit.mean)).exp()
            } else {
                0.0
            };
            push(velocity.judge(
                transaction,
                ratio,
                &mut profile.run,
                &mut profile.velocity_fired,
                &mut self.recent,
                newest_ms,
            ));
        }
        let mut max_z_score = f64::INFINITY;
        if let Some(rule) = &self.rules.amount_outlier {
            max_z_score = rule.settings.max_z_score;
            push(rule.judge(transaction, log_amount, habit));
        }
        habit.learn(log_amount, max_z_score, &self.policy.rules.habit);
        if let Some(rule) = &self.rules.impossible_travel
            && rule.applies_to(transaction)
        {
            match self.cities.find(&transaction.location) {
                Some(city) => push(rule.judge(transaction, city, &mut profile.place, &self.cities)),
                None => self.unknown_locations += 1,
            }
        }
    }

    /// Judges and learns a transaction; memory is given back by whoever calls.
    #[inline]
    fn take(&mut self, transaction: &Transaction, outputs: &mut Vec<Anomaly>) -> Disposition {
        let time_ms = transaction.transaction_time_ms;
        let seen = self
            .payloads
            .check(transaction.id(), time_ms, fingerprint::of(transaction));
        match seen {
            Seen::New => {}
            Seen::Duplicate => return Disposition::Duplicate,
            Seen::Changed => {
                if let Some(finding) = self.replay(transaction) {
                    let anomaly = finding.into_anomaly(transaction.user_id, time_ms);
                    self.snoozed.raise(&self.policy.lists, anomaly, outputs);
                }
                return Disposition::Duplicate;
            }
        }
        let oldest_ms = self.oldest_ms();
        if time_ms < oldest_ms {
            return Disposition::Late {
                late_by_ms: oldest_ms - time_ms,
            };
        }
        if self.watermark.observe(time_ms) {
            self.forget_ids();
        }
        self.judge(transaction, outputs);
        if let Some(rule_set) = &mut self.rule_set {
            let watermark_ms = self.watermark.current_ms();
            let snoozed = (&self.policy.lists, &mut self.snoozed);
            rule_set.judge(transaction, watermark_ms, snoozed, outputs);
        }
        Disposition::Accepted
    }

    /// Looks at the next place of the table.
    fn sweep(&mut self) {
        let place = self.sweep.next_of(self.profiles.places());
        self.sweep_place(place);
    }

    /// Gives back the memory of one profile, if it is forgotten, or of its recent purchases, if no
    /// transaction can come any more whose span they are in.
    #[inline]
    fn sweep_place(&mut self, place: u32) {
        let forgotten_before_ms = self.watermark_less(self.policy.profile_retention_ms);
        let span_ms = self
            .rules
            .velocity
            .as_ref()
            .map_or(0, |rule| rule.settings.span_ms);
        let useless_before_ms = self
            .watermark_less(self.policy.dedup_horizon_ms)
            .saturating_sub(span_ms);
        let profile = self.profiles.get(place);
        if profile.is_free() {
            return;
        }
        let newest_ms = profile.newest.ms();
        let is_forgotten = newest_ms < forgotten_before_ms;
        // Nothing is written without need: a write to a page that a snapshot still has copies it.
        if (is_forgotten || newest_ms < useless_before_ms) && !profile.run.is_empty() {
            let run = &mut self.profiles.at(place).run;
            self.recent.drop_first(run, run.len());
        }
        if is_forgotten {
            self.profiles.remove(place);
        }
    }
}

/// What remembers ids over a horizon, above 0 by [`DetectSettings::validate`].
fn remembered(horizon_ms: i64, seed: HashSeed) -> (RecentPayloads, RecentIds) {
    let payloads = RecentPayloads::new(horizon_ms.max(1), seed).expect("above 0");
    (payloads, RecentIds::of_horizon(horizon_ms, seed))
}

impl Operator for DetectOperator {
    type Record = Transaction;
    type Output = Anomaly;
    type Policy = DetectPolicy;

    fn policy(&self) -> &DetectPolicy {
        &self.policy
    }

    fn check_policy(&self, policy: &DetectPolicy) -> Result<(), PolicyRefused> {
        self.policy.bounds.check_change(&policy.bounds)
    }

    fn configure(&mut self, policy: &DetectPolicy, _outputs: &mut Vec<Anomaly>) {
        if *policy == self.policy {
            return;
        }
        if policy.differs_in_rule_set_alone(&self.policy) {
            // Profiles are as they were: a user's rules may be changed while many are kept.
            self.change_rule_set(policy);
            self.policy = policy.clone();
            return;
        }
        let rules = Running::of(&policy.rules);
        self.settle();
        self.change_profiles(&rules);
        if policy.dedup_horizon_ms != self.policy.dedup_horizon_ms {
            self.change_horizon(policy.dedup_horizon_ms);
        }
        self.watermark.allow_disorder(policy.max_disorder_ms);
        self.rules = rules;
        self.change_rule_set(policy);
        self.policy = policy.clone();
    }

    /// In steps, each for what the one before has led to: the indexes, the profiles, the recent
    /// purchases.
    fn prepare(&self, transactions: &[Transaction]) {
        let (ids, users) = (self.payloads.index(), self.profiles.index());
        let mut hashes = [(0, 0); near::GROUP];
        let hashes = &mut hashes[..transactions.len().min(near::GROUP)];
        for (hashes, transaction) in hashes.iter_mut().zip(transactions) {
            *hashes = (
                self.payloads.hash(&transaction.id()),
                self.profiles.hash(&UserKey::of(&transaction.user_id)),
            );
        }
        for &(id, user) in &*hashes {
            near::ask(ids.first_line(id));
            near::ask(users.first_line(user));
        }
        let mut profiles = [None; near::GROUP];
        for (profile, &(id, user)) in profiles.iter_mut().zip(&*hashes) {
            near::ask(ids.next_line(id));
            near::ask(users.next_line(user));
            *profile = users.guess(user).map(|place| self.profiles.get(place));
        }
        for profile in profiles.iter().flatten() {
            profile.ask();
        }
        let mut runs = [None; near::GROUP];
        for (run, profile) in runs.iter_mut().zip(&profiles) {
            *run = profile.and_then(|profile| self.recent.ends(&profile.run));
        }
        for ends in runs.iter().flatten() {
            ends.iter().for_each(|end| near::ask(*end));
        }
    }

    fn process(&mut self, transaction: &Transaction, outputs: &mut Vec<Anomaly>) -> Disposition {
        let disposition = self.take(transaction, outputs);
        if disposition == Disposition::Accepted {
            for _ in 0..SWEPT_PER_RECORD {
                self.sweep();
            }
        }
        disposition
    }

    fn advance(&mut self, watermark_ms: i64, _outputs: &mut Vec<Anomaly>) {
        if self.watermark.advance(watermark_ms) {
            self.forget_ids();
            if let Some(rule_set) = &mut self.rule_set {
                rule_set.advance(self.watermark.current_ms());
            }
        }
    }

    fn watermark_ms(&self) -> Option<i64> {
        self.watermark.current_ms()
    }

    /// Always `None`: every rule speaks when a transaction comes, and none waits for time to pass.
    fn open_until_ms(&self) -> Option<i64> {
        None
    }

    fn freeze(&mut self) -> FrozenState {
        self.frozen()
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.restore_from(bytes)
    }
}
