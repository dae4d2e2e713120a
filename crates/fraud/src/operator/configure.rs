//! The rules of a policy, and what becomes of the state as it changes.

use std::sync::Arc;

use millrace_engine::keyed::Slot as _;

use super::DetectOperator;
use crate::event_time::EventTime;
use crate::policy::DetectPolicy;
use crate::profile::Place;
use crate::recent::Run;
use crate::rule_set::RuleSet;
use crate::rules::Running;

impl DetectOperator {
    /// Gives back at once what is given back in turn, so that nothing depends on how far that has
    /// come: a policy that keeps more could bring to light what is left of it.
    pub(super) fn settle(&mut self) {
        for place in 0..self.profiles.places() {
            self.sweep_place(place);
        }
    }

    /// Makes what the profiles keep fit other rules.
    pub(super) fn change_profiles(&mut self, rules: &Running) {
        let mut pool = rules.pool();
        let before = self.rules.impossible_travel.as_ref();
        let before_km_per_h = before.map(|rule| rule.settings.max_speed_km_per_h);
        for place in 0..self.profiles.places() {
            if self.profiles.get(place).is_free() {
                continue;
            }
            let profile = self.profiles.at(place);
            let newest_ms = profile.newest.ms();
            match &rules.velocity {
                Some(velocity) => {
                    velocity.cut(&mut profile.run, &mut self.recent, newest_ms, newest_ms);
                    pool.adopt(&self.recent, &mut profile.run);
                }
                None => {
                    profile.run = Run::EMPTY;
                    profile.velocity_fired = EventTime::NEVER;
                }
            }
            if rules.amount_outlier.is_none() {
                profile.habits.arm();
            }
            match (&rules.impossible_travel, before_km_per_h) {
                (Some(rule), Some(before_km_per_h)) => {
                    rule.change_speed(before_km_per_h, &mut profile.place);
                }
                _ => profile.place = Place::NONE,
            }
        }
        self.recent = pool;
    }

    /// Goes on with another rule set, or with none, which forgets what was kept for it; and with
    /// other lists and snoozes.
    pub(super) fn change_rule_set(&mut self, policy: &DetectPolicy) {
        let (seed, lists) = (self.seed, policy.live_lists());
        match (&mut self.rule_set, policy.version()) {
            (Some(rule_set), Some(version)) => {
                rule_set.change(version);
                rule_set.set_lists(lists);
            }
            (rule_set, version) => {
                let new = |version| Box::new(RuleSet::new(Arc::clone(version), seed, lists));
                *rule_set = version.map(new);
            }
        }
    }

    pub(super) fn change_horizon(&mut self, horizon_ms: i64) {
        let watermark_ms = self.watermark.current_ms();
        if watermark_ms.is_some() {
            self.known_from_ms = self.oldest_ms();
        }
        // One cut for both: what the replay rule has fired for is then remembered for as long as
        // the payload.
        let reach_ms = self.payloads.reach_ms().max(self.replayed.reach_ms());
        self.payloads.set_horizon(watermark_ms, reach_ms, horizon_ms);
        self.replayed.set_horizon(watermark_ms, reach_ms, horizon_ms);
    }
}
