//! Impossible travel: two card payments in places too far apart for the time between.
//!
//! Only purchases by card tell where a user is; PayPal and transfers come from anywhere. A location
//! names a city of the reference data whatever its case, accents and blanks
//! ([`millrace_domain::city::find`]); one that it does not know is skipped and counted.
//!
//! *Fires* when the great-circle distance to the user's last place, at least `min_distance_km`,
//! over the time between is more than `max_speed_km_per_h`. The last place is the one with the
//! highest event time; of several with the same, the last to come. A time of less than a second
//! counts as one. A purchase that comes out of order is judged against the same last place,
//! whichever of the two was first, and does not replace it.
//!
//! *Armed again*, for purchases whose event time is late enough: that is the time that the journey
//! takes at the highest speed, counted from the later of the two purchases; for one that came out
//! of order, the time of the longest journey on Earth. So a card in use at home and abroad at once
//! is one anomaly, whoever pays next; and as the purchase an anomaly is named for cannot fire
//! again, no id comes twice.
//!
//! *A change* holds from the next purchase by card on. Where the rule is silent because of a
//! journey, it is so for as long as that takes at the new speed. Switched off, it forgets where
//! users are.
//!
//! *Evidence*: the purchase at the last place, the one that fired; `distance_km`, `elapsed_s`,
//! `speed_km_per_h`, `max_speed_km_per_h`.

use millrace_domain::city::CityNumber;
use millrace_domain::{PaymentMethod, Transaction};

use super::{RuleSettings, set};
use crate::cities::Cities;
use crate::event_time::EventTime;
use crate::finding::{Finding, score};
use crate::profile::Place;

/// The standard name.
pub const NAME: &str = "impossible_travel";

const HOUR_MS: f64 = 3_600_000.0;
/// No two places are further apart: half of the Earth's circumference, rounded up.
const LONGEST_JOURNEY_KM: f64 = 20_038.0;
const LEAST_ELAPSED_MS: i64 = 1_000;

set::settings! {
    /// What a policy has of the rule.
    ImpossibleTravelSettings, set by
    /// Impossible travel: the great-circle speed between two card-present places.
    ImpossibleTravelRule of "impossible_travel":
    /// A higher speed fires; 1 to 1,000,000. 1,000 km/h is faster than an airliner.
    max_speed_km_per_h: f64 = 1_000.0, 1.0..=1e6;
    /// Distances below this never fire; 0 to 20,038, the Earth's half circumference.
    min_distance_km: f64 = 300.0, 0.0..=LONGEST_JOURNEY_KM;
}

#[derive(Debug, Clone)]
pub(crate) struct ImpossibleTravel {
    pub(crate) settings: ImpossibleTravelSettings,
}

/// From a user's last place to the one of a purchase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Journey {
    pub(crate) distance_km: f64,
    pub(crate) elapsed_ms: f64,
    pub(crate) speed_km_per_h: f64,
}

impl Journey {
    #[inline]
    pub(crate) fn of(purchase: &Transaction, distance_km: f64, place: &Place) -> Self {
        let elapsed_ms = (purchase.transaction_time_ms - place.time.ms()).abs();
        let elapsed_ms = elapsed_ms.max(LEAST_ELAPSED_MS) as f64;
        Self {
            distance_km,
            elapsed_ms,
            speed_km_per_h: distance_km / (elapsed_ms / HOUR_MS),
        }
    }
}

impl ImpossibleTravel {
    pub(crate) fn of(settings: ImpossibleTravelSettings, _rules: &RuleSettings) -> Self {
        Self { settings }
    }

    /// Whether a purchase tells where the user is.
    #[inline]
    pub(crate) fn applies_to(&self, purchase: &Transaction) -> bool {
        purchase.payment_method == PaymentMethod::CreditCard
    }

    /// Judges a purchase by card in `city`, and remembers the place.
    #[inline]
    pub(crate) fn judge(
        &self,
        purchase: &Transaction,
        city: CityNumber,
        place: &mut Place,
        cities: &Cities,
    ) -> Option<Finding> {
        let finding = match place.city {
            Some(last) if last != city => self.compare(purchase, cities.distance_km(last, city), place),
            _ => None,
        };
        if purchase.transaction_time_ms >= place.time.ms() {
            place.city = Some(city);
            place.time = EventTime::of_ms(purchase.transaction_time_ms);
            place.id = purchase.transaction_id;
        }
        finding
    }

    /// Where the rule is silent, for how long a journey takes at its speed, and not at another one.
    pub(crate) fn change_speed(&self, before_km_per_h: f64, place: &mut Place) {
        let now_km_per_h = self.settings.max_speed_km_per_h;
        let silent_ms = place.quiet_until.ms() - place.time.ms();
        if place.city.is_some() && silent_ms > 0 && now_km_per_h != before_km_per_h {
            let silent_ms = silent_ms as f64 * (before_km_per_h / now_km_per_h);
            place.quiet_until = EventTime::of_ms(place.time.ms() + silent_ms.ceil() as i64);
        }
    }

    /// Whether nobody travels so, be the rule silent or not.
    #[inline]
    pub(crate) fn is_impossible(&self, journey: &Journey) -> bool {
        journey.distance_km >= self.settings.min_distance_km
            && journey.speed_km_per_h > self.settings.max_speed_km_per_h
    }

    fn compare(&self, purchase: &Transaction, distance_km: f64, place: &mut Place) -> Option<Finding> {
        let (time_ms, last_ms) = (purchase.transaction_time_ms, place.time.ms());
        let journey = Journey::of(purchase, distance_km, place);
        let max_speed_km_per_h = self.settings.max_speed_km_per_h;
        if !self.is_impossible(&journey) || time_ms < place.quiet_until.ms() {
            return None;
        }
        let Journey {
            elapsed_ms,
            speed_km_per_h,
            ..
        } = journey;
        let in_order = time_ms >= last_ms;
        let journey_km = if in_order { distance_km } else { LONGEST_JOURNEY_KM };
        let journey_ms = (journey_km / max_speed_km_per_h * HOUR_MS).ceil() as i64;
        place.quiet_until = EventTime::of_ms(time_ms.max(last_ms) + journey_ms);
        Some(Finding {
            rule: NAME,
            score: score(speed_km_per_h / max_speed_km_per_h),
            transaction_ids: vec![place.id, purchase.transaction_id],
            figures: vec![
                ("distance_km", distance_km),
                ("elapsed_s", elapsed_ms / 1_000.0),
                ("max_speed_km_per_h", max_speed_km_per_h),
                ("speed_km_per_h", speed_km_per_h),
            ],
        })
    }
}
