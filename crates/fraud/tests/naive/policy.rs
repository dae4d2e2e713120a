//! What a change of policy means, over the whole history.
#![allow(dead_code, reason = "one test changes policies")]

use millrace_fraud::DetectSettings;

use super::Oracle;

/// A quarter of the horizon.
pub(crate) fn span_ms(settings: &DetectSettings) -> i64 {
    (settings.dedup_horizon_ms + 3) / 4
}

impl Oracle {
    /// The end of the span of ids that a time is in.
    pub(super) fn end_of_span(&self, time_ms: i64) -> i64 {
        let own = self
            .cuts
            .iter()
            .rposition(|(from, _)| *from <= time_ms)
            .unwrap_or(0);
        let span_ms = self.cuts[own].1;
        let end_ms = (time_ms.div_euclid(span_ms) + 1) * span_ms;
        self.cuts.get(own + 1).map_or(end_ms, |next| end_ms.min(next.0))
    }

    pub(crate) fn configure(&mut self, settings: &DetectSettings) {
        if *settings == self.settings {
            return;
        }
        self.change_users(settings);
        if settings.dedup_horizon_ms != self.settings.dedup_horizon_ms {
            self.change_horizon(settings);
        }
        self.settings = settings.clone();
        self.forget_ids();
    }

    fn change_horizon(&mut self, settings: &DetectSettings) {
        let Some(oldest_ms) = self.watermark_less(self.settings.dedup_horizon_ms) else {
            self.cuts = vec![(i64::MIN, span_ms(settings))];
            return;
        };
        self.known_from_ms = self.known_from_ms.max(oldest_ms);
        self.gone_ms = self.gone_ms.max(oldest_ms);
        let seen = self.seen.values().map(|(_, end_ms)| *end_ms);
        let reach_ms = seen.chain(self.replayed.values().copied()).max();
        let from_ms = reach_ms.max(self.watermark_ms).unwrap_or(i64::MIN);
        let gone_ms = self.gone_ms;
        self.cuts
            .retain(|(start_ms, _)| *start_ms < from_ms || *start_ms <= gone_ms);
        self.cuts.pop_if(|(start_ms, _)| *start_ms == from_ms);
        if self.cuts.last().map(|cut| cut.1) != Some(span_ms(settings)) {
            self.cuts.push((from_ms, span_ms(settings)));
        }
    }

    fn change_users(&mut self, settings: &DetectSettings) {
        let (before, after) = (&self.settings.rules, &settings.rules);
        let forgotten_before_ms = self.watermark_less(self.settings.profile_retention_ms);
        self.users
            .retain(|_, user| forgotten_before_ms.is_none_or(|before_ms| user.newest_ms >= before_ms));
        let span_ms = before.velocity.map_or(0, |rule| rule.span_ms);
        let useless_before_ms = self.watermark_less(self.settings.dedup_horizon_ms + span_ms);
        for user in self.users.values_mut() {
            let is_useless = Some(user.newest_ms) < useless_before_ms;
            let newest_ms = user.newest_ms;
            let place_ms = user.last_place().map(|place| place.transaction_time_ms);
            for purchase in &mut user.purchases {
                let age_ms = newest_ms - purchase.transaction.transaction_time_ms;
                let is_in = |rule: millrace_fraud::VelocitySettings| age_ms < rule.span_ms;
                let is_in_both = before.velocity.is_some_and(is_in) && after.velocity.is_some_and(is_in);
                purchase.is_kept &= is_in_both && !is_useless;
                purchase.is_outlier &= after.amount_outlier.is_some();
                purchase.is_placed &= after.impossible_travel.is_some();
            }
            match after.velocity {
                Some(rule) => user.keep_last(rule.max_count),
                None => user.velocity_fired_ms = None,
            }
            match (before.impossible_travel, after.impossible_travel) {
                (Some(before), Some(after)) => {
                    let (before, after) = (before.max_speed_km_per_h, after.max_speed_km_per_h);
                    let (Some(until_ms), Some(place_ms)) = (user.quiet_until_ms, place_ms) else {
                        continue;
                    };
                    if until_ms > place_ms && before != after {
                        let silent_ms = (until_ms - place_ms) as f64 * (before / after);
                        user.quiet_until_ms = Some(place_ms + silent_ms.ceil() as i64);
                    }
                }
                _ => user.quiet_until_ms = None,
            }
        }
    }
}
