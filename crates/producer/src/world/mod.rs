//! The believable world: users with a home, a purse and habits, merchants by Zipf's law, and what
//! travelling takes.
//!
//! A user is a function of the seed and the user's number, never stored, so that ten million users
//! cost no memory. Arithmetic that decides anything goes through `libm` and integers, so that a
//! seed gives the same world on every platform.

mod alias;
mod price;
pub(crate) mod random;
mod spread;
mod travel;
mod user;

use millrace_domain::{Amount, Currency, InvalidValue, ShortId, city};
use millrace_settings::Producer;

pub use random::{mix, multiply_shift};
pub use user::User;

use alias::AliasTable;
use spread::Spread;
use travel::TravelTable;

/// A place as an index into [`city::ALL`].
pub type CityIndex = u8;

/// A merchant as an index into the world's merchants; 0 is the most popular.
pub type MerchantIndex = u32;

/// Standard deviations of a user's log-amounts. Draws end at three of them, so that no ordinary
/// purchase looks like an outlier.
const USER_SIGMAS: [f64; 4] = [0.20, 0.27, 0.33, 0.40];
/// Standard deviation of the log of the users' median amounts.
const MEDIAN_SIGMA: f64 = 0.7;
/// The median of the users' median amounts, in euros.
const MEDIAN_EUR: f64 = 25.0;

/// A merchant.
#[derive(Debug, Clone, Copy)]
pub struct Merchant {
    /// As `m-17`.
    pub id: ShortId,
    /// Where its seat is.
    pub seat: CityIndex,
    /// Whether it has branches everywhere, so that paying there crosses no border.
    pub is_chain: bool,
}

/// A city's name and currency in the form that transactions carry.
#[derive(Debug, Clone, Copy)]
struct Place {
    name: ShortId,
    currency: Currency,
    /// The currency's units (1/10,000) in the smallest amount that is used, and such amounts in a
    /// euro.
    step_units: i64,
    steps_per_eur: f64,
}

/// What a world is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WorldConfig {
    /// The same seed gives the same world.
    pub seed: u64,
    /// Number of users, at least 1.
    pub users: u32,
    /// Number of merchants, at least 1.
    pub merchants: u32,
    /// Exponent of Zipf's law.
    pub zipf_exponent: f64,
}

impl From<&Producer> for WorldConfig {
    fn from(settings: &Producer) -> Self {
        Self {
            seed: settings.seed,
            users: settings.users,
            merchants: settings.merchants,
            zipf_exponent: settings.zipf_exponent,
        }
    }
}

/// The world. Immutable, shared by all threads.
#[derive(Debug)]
pub struct World {
    seed: u64,
    users: u32,
    merchants: Vec<Merchant>,
    popularity: AliasTable,
    places: Vec<Place>,
    travel: TravelTable,
    medians: Spread,
    spreads: [Spread; 4],
}

impl World {
    /// Makes the world.
    ///
    /// # Errors
    /// Never with the reference data as it is: only if a city's name or currency broke the
    /// contract.
    pub fn new(config: &WorldConfig) -> Result<Self, InvalidValue> {
        let places = city::ALL
            .iter()
            .map(|city| {
                let scale = price::of(city.currency);
                Ok(Place {
                    name: ShortId::new(city.name, "location")?,
                    currency: Currency::parse(city.currency.as_bytes())?,
                    step_units: scale.step_units,
                    steps_per_eur: scale.steps_per_eur(),
                })
            })
            .collect::<Result<Vec<_>, InvalidValue>>()?;
        let merchants = (0..config.merchants.max(1))
            .map(|index| {
                let traits = mix(config.seed ^ MERCHANT_SALT, u64::from(index));
                Ok(Merchant {
                    id: ShortId::new(&format!("m-{}", index + 1), "merchantId")?,
                    seat: multiply_shift((traits >> 32) as u32, places.len() as u32) as CityIndex,
                    is_chain: traits & 0xff >= 26,
                })
            })
            .collect::<Result<Vec<_>, InvalidValue>>()?;
        Ok(Self {
            seed: config.seed,
            users: config.users.max(1),
            popularity: AliasTable::zipf(merchants.len(), config.zipf_exponent),
            merchants,
            places,
            // A handful of users must not all be on a plane at once.
            travel: TravelTable::new(config.users >= 64),
            medians: Spread::new(MEDIAN_SIGMA),
            spreads: USER_SIGMAS.map(Spread::new),
        })
    }

    /// Number of users.
    #[must_use]
    pub fn user_count(&self) -> u32 {
        self.users
    }

    /// The user of that number.
    #[inline]
    #[must_use]
    pub fn user(&self, number: u32) -> User {
        User::derive(self, number)
    }

    /// A merchant.
    #[inline]
    #[must_use]
    pub fn merchant(&self, index: MerchantIndex) -> &Merchant {
        &self.merchants[index as usize]
    }

    /// Draws a merchant by popularity from 64 random bits.
    #[inline]
    #[must_use]
    pub fn popular_merchant(&self, random: u64) -> MerchantIndex {
        self.popularity.draw(random)
    }

    /// A city's name as transactions carry it.
    #[inline]
    #[must_use]
    pub fn city_name(&self, city: CityIndex) -> ShortId {
        self.places[city as usize].name
    }

    /// Where the user is at that time; `None` on the way from one city to another.
    #[inline]
    #[must_use]
    pub fn whereabouts(&self, user: &User, time_ms: i64) -> Option<CityIndex> {
        self.travel.whereabouts(user, time_ms)
    }

    /// A city that nobody can reach from `from` within hours, chosen by 32 random bits.
    #[must_use]
    pub fn far_city(&self, from: CityIndex, random: u32) -> CityIndex {
        self.travel.far_city(from, random)
    }

    /// Draws an amount of the user's from 32 random bits: log-normal around the user's median, cut
    /// at three standard deviations.
    #[inline]
    #[must_use]
    pub fn amount(&self, user: &User, random: u32) -> Amount {
        self.times_median(user, self.spreads[user.spread as usize].draw(random))
    }

    /// The user's median amount times `factor`.
    #[inline]
    #[must_use]
    pub fn times_median(&self, user: &User, factor: f64) -> Amount {
        let steps = (user.median_steps * factor) as i64;
        let units = steps
            .max(1)
            .saturating_mul(self.places[user.home as usize].step_units);
        Amount::from_units(units).unwrap_or(Amount::MAX)
    }

    /// A part of an amount in the user's currency, of `eighths` of it, rounded down to what is used
    /// but never to nothing.
    #[inline]
    #[must_use]
    pub fn part_of(&self, user: &User, amount: Amount, eighths: i64) -> Amount {
        let step_units = self.places[user.home as usize].step_units;
        let units = amount.units() / 8 * eighths / step_units * step_units;
        Amount::from_units(units.max(step_units.min(amount.units()))).unwrap_or(amount)
    }

    /// Whether paying that merchant from `city` crosses a border of the user's.
    #[inline]
    #[must_use]
    pub fn is_international(&self, user: &User, city: CityIndex, merchant: &Merchant) -> bool {
        let home = city::ALL[user.home as usize].country;
        city::ALL[city as usize].country != home
            || !merchant.is_chain && city::ALL[merchant.seat as usize].country != home
    }
}

/// Keeps the merchants' traits apart from the users'.
const MERCHANT_SALT: u64 = 0x6d65_7263_6861_6e74;

#[cfg(test)]
mod tests;
