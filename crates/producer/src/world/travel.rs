//! Where users are: at home mostly, away now and then, and on the way in between as long as it
//! takes.

use millrace_domain::city;

use super::random::{mix, multiply_shift};
use super::{CityIndex, User};

const HOUR_MS: i64 = 3_600_000;
/// A user decides anew where to be each time this has passed.
const STAY_MS: i64 = 96 * HOUR_MS;
/// Share of stays away from home, in 256ths.
const AWAY_IN_256: u64 = 20;
/// Door to door, well below an airliner, so that nobody honest looks as if travelling impossibly
/// fast.
const SPEED_KM_PER_H: f64 = 700.0;
/// What any journey takes besides.
const OVERHEAD_MS: i64 = 2 * HOUR_MS;
/// Beyond this nobody gets within hours.
const FAR_KM: f64 = 2_500.0;

const CITIES: usize = city::ALL.len();

/// How long each journey takes.
#[derive(Debug)]
pub(super) struct TravelTable {
    trips: bool,
    /// From one city to another in milliseconds, in whole minutes.
    journey_ms: Box<[[i64; CITIES]; CITIES]>,
    far: Box<[[bool; CITIES]; CITIES]>,
}

impl TravelTable {
    /// With `trips` off, everybody stays at home.
    pub(super) fn new(trips: bool) -> Self {
        let mut journey_ms = Box::new([[0; CITIES]; CITIES]);
        let mut far = Box::new([[false; CITIES]; CITIES]);
        for (from, origin) in city::ALL.iter().enumerate() {
            for (to, destination) in city::ALL.iter().enumerate() {
                let distance_km = city::distance_km(origin, destination);
                let minutes = (distance_km / SPEED_KM_PER_H * 60.0).ceil() as i64;
                journey_ms[from][to] = minutes * 60_000 + OVERHEAD_MS;
                far[from][to] = distance_km > FAR_KM;
            }
        }
        Self {
            trips,
            journey_ms,
            far,
        }
    }

    /// Where the user is at that time; `None` on the way.
    #[inline]
    pub(super) fn whereabouts(&self, user: &User, time_ms: i64) -> Option<CityIndex> {
        if !self.trips {
            return Some(user.home);
        }
        // Stays begin at another time for each user.
        let shifted_ms = time_ms + (user.hash % STAY_MS as u64) as i64;
        let (stay, since_ms) = (shifted_ms.div_euclid(STAY_MS), shifted_ms.rem_euclid(STAY_MS));
        let (before, now) = (city_of_stay(user, stay - 1), city_of_stay(user, stay));
        let arrived = before == now || since_ms >= self.journey_ms[before as usize][now as usize];
        arrived.then_some(now)
    }

    pub(super) fn far_city(&self, from: CityIndex, random: u32) -> CityIndex {
        let start = multiply_shift(random, CITIES as u32) as usize;
        (start..start + CITIES)
            .map(|at| (at % CITIES) as CityIndex)
            .find(|&to| self.far[from as usize][to as usize])
            .unwrap_or(from)
    }
}

#[inline]
fn city_of_stay(user: &User, stay: i64) -> CityIndex {
    let bits = mix(user.hash, stay as u64);
    if bits & 0xff < AWAY_IN_256 {
        multiply_shift((bits >> 32) as u32, CITIES as u32) as CityIndex
    } else {
        user.home
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{World, WorldConfig};

    #[test]
    fn nobody_travels_faster_than_an_airliner() {
        let world = World::new(&WorldConfig {
            seed: 5,
            users: 1_000,
            merchants: 10,
            zipf_exponent: 1.0,
        })
        .unwrap();
        let (mut moves, mut away) = (0, 0);
        for number in 0..200 {
            let user = world.user(number);
            let mut last: Option<(i64, CityIndex)> = None;
            for minute in 0..(30 * 24 * 60) {
                let time_ms = 1_760_000_000_000 + minute * 60_000;
                let Some(city) = world.whereabouts(&user, time_ms) else {
                    continue;
                };
                away += i64::from(city != user.home);
                if let Some((since_ms, from)) = last
                    && from != city
                {
                    let (from, to) = (&city::ALL[from as usize], &city::ALL[city as usize]);
                    let hours = (time_ms - since_ms) as f64 / HOUR_MS as f64;
                    assert!(city::distance_km(from, to) / hours < 800.0);
                    moves += 1;
                }
                last = Some((time_ms, city));
            }
        }
        assert!(moves > 50, "{moves} journeys");
        let share = away as f64 / f64::from(200 * 30 * 24 * 60);
        assert!((0.02..0.15).contains(&share), "{share} of the time away");
    }

    #[test]
    fn every_city_has_a_far_one() {
        let table = TravelTable::new(true);
        for from in 0..CITIES as CityIndex {
            let to = table.far_city(from, 12_345);
            let distance_km = city::distance_km(&city::ALL[from as usize], &city::ALL[to as usize]);
            assert!(distance_km > FAR_KM);
        }
    }
}
