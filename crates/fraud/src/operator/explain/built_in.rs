//! What the built-in rules compared.

use millrace_domain::money::UNITS_PER_WHOLE;
use millrace_domain::{Transaction, TransactionType};
use millrace_engine::Disposition;
use millrace_rules::Judgement;

use super::Around;
use crate::event_time::EventTime;
use crate::explanation::{BuiltInFigure, BuiltInTrace};
use crate::profile::{Profile, UserKey};
use crate::rules::impossible_travel::{self, Journey};
use crate::rules::velocity::LEAST_BURST;
use crate::rules::{amount_outlier, replay, velocity};

const OFF: &str = "it is switched off";
const REFUND: &str = "it looks at purchases alone";
const NO_CARD: &str = "it looks at purchases by card alone";
const AGAIN: &str = "the transaction id was seen before";
const LATE: &str = "the transaction is late";

/// What a rule found, before it is known whether it is silent.
struct Found {
    is_over: bool,
    figures: Vec<BuiltInFigure>,
    gap: f64,
}

/// Why a rule says nothing.
enum Silent {
    NotJudged(&'static str),
    Unknown(&'static str),
}

fn figure(name: &'static str, value: f64, limit: Option<f64>) -> BuiltInFigure {
    BuiltInFigure {
        name,
        value,
        limit,
        sign: ">",
    }
}

/// As of the rules of a rule set: the difference as a share of the greater of the two.
fn gap(value: f64, limit: f64) -> f64 {
    let most = value.abs().max(limit.abs());
    if value > limit || most == 0.0 {
        0.0
    } else {
        (limit - value) / most
    }
}

impl Around<'_> {
    /// In the order in which they judge.
    pub(super) fn built_in(&mut self, profile: Option<&Profile>) -> Vec<BuiltInTrace> {
        let fresh = Profile::new(UserKey::of(&self.transaction.user_id), EventTime::NEVER);
        let profile = profile.unwrap_or(&fresh);
        let velocity = self.velocity(profile);
        let amount = self.amount_outlier(profile);
        let travel = self.impossible_travel(profile);
        vec![
            self.trace(velocity::NAME, velocity),
            self.trace(amount_outlier::NAME, amount),
            self.trace(impossible_travel::NAME, travel),
            self.replay(),
        ]
    }

    fn trace(&self, rule: &'static str, found: Result<Found, Silent>) -> BuiltInTrace {
        let silent = |judgement, why| BuiltInTrace {
            rule,
            judgement,
            why: Some(why),
            figures: Vec::new(),
            gap: None,
        };
        match found {
            Err(Silent::NotJudged(why)) => silent(Judgement::NotJudged, why),
            Err(Silent::Unknown(why)) => silent(Judgement::Unknown, why),
            Ok(found) => BuiltInTrace {
                rule,
                judgement: match (self.has_fired(rule), found.is_over) {
                    (true, _) => Judgement::Fired,
                    (false, true) => Judgement::Quiet,
                    (false, false) => Judgement::Not,
                },
                why: None,
                figures: found.figures,
                gap: Some(found.gap),
            },
        }
    }

    /// A purchase that was accepted; all rules but replay look at nothing else.
    fn purchase(&self) -> Result<&Transaction, Silent> {
        match self.disposition {
            Disposition::Accepted => {}
            Disposition::Duplicate => return Err(Silent::NotJudged(AGAIN)),
            Disposition::Late { .. } => return Err(Silent::NotJudged(LATE)),
        }
        match self.transaction.transaction_type {
            TransactionType::Purchase => Ok(self.transaction),
            TransactionType::Refund => Err(Silent::NotJudged(REFUND)),
        }
    }

    fn velocity(&mut self, profile: &Profile) -> Result<Found, Silent> {
        let rule = self.after.rules.velocity.clone();
        let rule = rule.ok_or(Silent::NotJudged(OFF))?;
        let time_ms = self.purchase()?.transaction_time_ms;
        let settings = &rule.settings;
        let newest_ms = profile.newest.ms().max(time_ms);
        if time_ms <= newest_ms - settings.span_ms {
            return Err(Silent::NotJudged("it is older than the span that it looks at"));
        }
        let (user, profiles) = (profile.user, &mut self.after.profiles);
        let (place, _) = profiles.find_or_insert(user, || Profile::new(user, EventTime::of_ms(time_ms)));
        let run = &profiles.get(place).run;
        let (count, sum_ratio, is_over) = rule.figures(&self.after.recent, run);
        let (max_count, max_sum_ratio) = (f64::from(settings.max_count), settings.max_sum_ratio);
        let mut nearest = gap(count as f64, max_count);
        // A sum counts from so many purchases on.
        if count >= LEAST_BURST {
            nearest = nearest.min(gap(sum_ratio, max_sum_ratio));
        }
        Ok(Found {
            is_over,
            figures: vec![
                figure("transactions_count", count as f64, Some(max_count)),
                figure("sum_ratio", sum_ratio, Some(max_sum_ratio)),
                figure("span_s", settings.span_ms as f64 / 1_000.0, None),
            ],
            gap: nearest,
        })
    }

    fn amount_outlier(&self, profile: &Profile) -> Result<Found, Silent> {
        let rule = self.before.rules.amount_outlier.as_ref();
        let rule = rule.ok_or(Silent::NotJudged(OFF))?;
        let purchase = self.purchase()?;
        // Of a copy: a habit that there is not yet is made.
        let mut habits = profile.habits;
        let habit = *habits.of(purchase.currency);
        if !habit.is_settled(&rule.habit) {
            return Err(Silent::Unknown("too few purchases in the currency yet"));
        }
        let log_amount = (purchase.amount.units() as f64).ln();
        let z_score = habit.z_score(log_amount, &rule.habit);
        let max_z_score = rule.settings.max_z_score;
        let usual = f64::from(habit.mean).exp() / UNITS_PER_WHOLE as f64;
        Ok(Found {
            is_over: z_score > max_z_score,
            figures: vec![
                figure("z_score", z_score, Some(max_z_score)),
                figure("amount", purchase.amount.to_f64(), None),
                figure("usual_amount", usual, None),
            ],
            gap: gap(z_score, max_z_score),
        })
    }

    fn impossible_travel(&mut self, profile: &Profile) -> Result<Found, Silent> {
        let rule = self.before.rules.impossible_travel.clone();
        let rule = rule.ok_or(Silent::NotJudged(OFF))?;
        let purchase = *self.purchase()?;
        if !rule.applies_to(&purchase) {
            return Err(Silent::NotJudged(NO_CARD));
        }
        let cities = &mut self.before.cities;
        let city = cities.find(&purchase.location);
        let city = city.ok_or(Silent::Unknown("no city has the location's name"))?;
        let last = profile.place.city;
        let last = last.ok_or(Silent::Unknown("no place of the user is known yet"))?;
        let distance_km = if last == city {
            0.0
        } else {
            cities.distance_km(last, city)
        };
        let journey = Journey::of(&purchase, distance_km, &profile.place);
        let (least_km, most_km_per_h) = (rule.settings.min_distance_km, rule.settings.max_speed_km_per_h);
        // Of the distance, the limit itself is enough.
        let of_distance = if distance_km >= least_km {
            0.0
        } else {
            gap(distance_km, least_km)
        };
        Ok(Found {
            is_over: last != city && rule.is_impossible(&journey),
            figures: vec![
                BuiltInFigure {
                    sign: ">=",
                    ..figure("distance_km", distance_km, Some(least_km))
                },
                figure("speed_km_per_h", journey.speed_km_per_h, Some(most_km_per_h)),
                figure("elapsed_s", journey.elapsed_ms / 1_000.0, None),
            ],
            gap: of_distance.max(gap(journey.speed_km_per_h, most_km_per_h)),
        })
    }

    /// It speaks of what is no new transaction, which no other rule judges.
    fn replay(&self) -> BuiltInTrace {
        let is_again = self.disposition == Disposition::Duplicate;
        let (judgement, why) = match (self.before.policy.rules.replay, is_again) {
            (false, _) => (Judgement::NotJudged, Some(OFF)),
            (true, true) if self.has_fired(replay::NAME) => (Judgement::Fired, None),
            (true, _) => (Judgement::Not, None),
        };
        BuiltInTrace {
            rule: replay::NAME,
            judgement,
            why,
            figures: Vec::new(),
            gap: None,
        }
    }
}
