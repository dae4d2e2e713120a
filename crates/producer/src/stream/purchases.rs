//! Recent purchases, so that a refund refers to one.

use millrace_domain::{Amount, PaymentMethod};

use crate::world::{MerchantIndex, multiply_shift};

/// How many purchases are remembered; older ones are forgotten.
const CAPACITY: usize = 2048;

/// What a refund needs of its purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Purchase {
    pub(super) user: u32,
    pub(super) merchant: MerchantIndex,
    pub(super) amount: Amount,
    pub(super) payment_method: PaymentMethod,
    pub(super) time_ms: i64,
}

/// A ring of purchases not refunded yet.
#[derive(Debug)]
pub(super) struct Purchases {
    ring: Vec<Option<Purchase>>,
    next: usize,
}

impl Purchases {
    pub(super) fn new() -> Self {
        Self {
            ring: Vec::with_capacity(CAPACITY),
            next: 0,
        }
    }

    #[inline]
    pub(super) fn remember(&mut self, purchase: Purchase) {
        if self.ring.len() < CAPACITY {
            self.ring.push(Some(purchase));
        } else {
            self.ring[self.next] = Some(purchase);
            self.next = (self.next + 1) % CAPACITY;
        }
    }

    /// Takes a purchase out, so that none is refunded twice; `None` if the one drawn has gone.
    pub(super) fn take(&mut self, random: u32) -> Option<Purchase> {
        let at = multiply_shift(random, self.ring.len() as u32) as usize;
        self.ring.get_mut(at)?.take()
    }
}
