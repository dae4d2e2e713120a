//! A record as programs see it.

use std::collections::HashMap;

use millrace_domain::{ShortId, Transaction, city};
use rustc_hash::FxBuildHasher;

use crate::catalogue::Entity;
use crate::check::text::{code_of_currency, code_of_id};
use crate::plan::Plan;
use crate::program::place_number;
use crate::types::TextField;

/// Spellings of locations that are remembered: with more, all are forgotten.
const MOST_SPELLINGS: usize = 16_384;

/// Where cities are, by the spelling of a location. Nothing but time depends on what is remembered.
#[derive(Debug, Clone, Default)]
pub(super) struct Cities(HashMap<ShortId, f64, FxBuildHasher>);

impl Cities {
    fn find(&mut self, location: &ShortId) -> f64 {
        if let Some(place) = self.0.get(location) {
            return *place;
        }
        if self.0.len() >= MOST_SPELLINGS {
            self.0.clear();
        }
        let place = city::find(location).map_or(f64::NAN, place_number);
        self.0.insert(*location, place);
        place
    }
}

/// The names of an entity, in words; which kind it is, its table says.
pub(super) type Key = [u64; 3];

pub(super) struct Record<'a> {
    transaction: &'a Transaction,
    pub(super) time_ms: i64,
    pub(super) currency: u32,
    pub(super) amount: f64,
    pub(super) place: f64,
}

impl<'a> Record<'a> {
    pub(super) fn new(transaction: &'a Transaction, plan: &Plan, cities: &mut Cities) -> Self {
        Self {
            time_ms: transaction.transaction_time_ms,
            currency: code_of_currency(transaction.currency) as u32,
            // Below 2^51, so exactly.
            amount: transaction.amount.units() as f64,
            place: if plan.needs_place {
                cities.find(&transaction.location)
            } else {
                f64::NAN
            },
            transaction,
        }
    }

    pub(super) fn is_international(&self) -> bool {
        self.transaction.is_international
    }

    pub(super) fn code(&self, field: u8) -> u128 {
        const USER: u8 = TextField::User as u8;
        const MERCHANT: u8 = TextField::Merchant as u8;
        const LOCATION: u8 = TextField::Location as u8;
        const CURRENCY: u8 = TextField::Currency as u8;
        const TYPE: u8 = TextField::Type as u8;
        let transaction = self.transaction;
        match field {
            USER => code_of_id(&transaction.user_id),
            MERCHANT => code_of_id(&transaction.merchant_id),
            LOCATION => code_of_id(&transaction.location),
            CURRENCY => u128::from(self.currency),
            TYPE => transaction.transaction_type as u128,
            _ => transaction.payment_method as u128,
        }
    }

    pub(super) fn key(&self, entity: Entity) -> Key {
        let transaction = self.transaction;
        let (user, user_end) = transaction.user_id.to_words();
        let user_end = u64::from(user_end);
        let of = |id: &ShortId| {
            let (low, high) = id.to_words();
            [low, u64::from(high), 0]
        };
        match entity {
            Entity::User => [user, user_end, 0],
            Entity::Merchant => of(&transaction.merchant_id),
            Entity::UserMerchant => {
                let (merchant, merchant_end) = transaction.merchant_id.to_words();
                [user, user_end | u64::from(merchant_end) << 32, merchant]
            }
            Entity::UserCurrency => [user, user_end, u64::from(self.currency)],
            Entity::Method => [transaction.payment_method as u64, 0, 0],
            Entity::Location => of(&transaction.location),
        }
    }

    /// Which of a hundred shares the user is in, by a hash (splitmix64) that is fixed for ever.
    pub(super) fn share(&self) -> u64 {
        let (low, high) = self.transaction.user_id.to_words();
        let mut hash = low ^ u64::from(high).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (hash ^ (hash >> 31)) % 100
    }
}
