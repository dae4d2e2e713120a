//! A user as a function of the seed and a number.

use millrace_domain::{Currency, PaymentMethod, ShortId, city};

use super::random::{mix, multiply_shift};
use super::{CityIndex, MEDIAN_EUR, MerchantIndex, World};

/// Number of merchants where a user usually buys.
const USUAL_MERCHANTS: u32 = 6;

/// A user's traits.
#[derive(Debug, Clone, Copy)]
pub struct User {
    /// The user's number, from 0.
    pub number: u32,
    /// Where the user lives.
    pub home: CityIndex,
    /// How the user usually pays.
    pub payment_method: PaymentMethod,
    /// The currency of the user's account, that of the home's country.
    pub currency: Currency,
    /// Median amount in the smallest amounts of the currency.
    pub(super) median_steps: f64,
    /// Index of the user's spread of amounts.
    pub(super) spread: u8,
    pub(super) hash: u64,
}

impl User {
    #[inline]
    pub(super) fn derive(world: &World, number: u32) -> Self {
        let hash = mix(world.seed, u64::from(number));
        let more = mix(hash, 0);
        let home = multiply_shift((more >> 32) as u32, city::ALL.len() as u32) as CityIndex;
        let place = &world.places[home as usize];
        // 70 % card, 20 % PayPal, 10 % transfer.
        let payment_method = match more & 0xff {
            0..179 => PaymentMethod::CreditCard,
            179..230 => PaymentMethod::Paypal,
            _ => PaymentMethod::BankTransfer,
        };
        Self {
            number,
            home,
            payment_method,
            currency: place.currency,
            median_steps: MEDIAN_EUR * place.steps_per_eur * world.medians.draw((hash >> 32) as u32),
            spread: (more >> 8 & 3) as u8,
            hash,
        }
    }

    /// The user's id, as `u-17`.
    #[inline]
    #[must_use]
    pub fn id(&self) -> ShortId {
        let mut text = [b'0'; 16];
        let mut left = self.number;
        let mut first = text.len();
        loop {
            first -= 1;
            text[first] = b'0' + (left % 10) as u8;
            left /= 10;
            if left == 0 {
                break;
            }
        }
        first -= 2;
        text[first..first + 2].copy_from_slice(b"u-");
        let length = text.len() - first;
        ShortId::from_ascii_end(&text, length).expect("u- and at most ten digits")
    }

    /// One of the merchants where the user usually buys, chosen by 32 random bits.
    #[inline]
    #[must_use]
    pub fn usual_merchant(&self, world: &World, random: u32) -> MerchantIndex {
        let which = multiply_shift(random, USUAL_MERCHANTS);
        world.popular_merchant(mix(self.hash, 0x5000 + u64::from(which)))
    }
}
