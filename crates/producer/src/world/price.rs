//! How amounts look in each currency.

use millrace_domain::money::UNITS_PER_WHOLE;

/// The scale of prices in a currency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PriceScale {
    /// Roughly what a euro is worth: it only has to make amounts look right.
    per_eur: f64,
    /// Units of 1/10,000 in the smallest amount that is used.
    pub(super) step_units: i64,
}

impl PriceScale {
    /// Smallest amounts in a euro.
    pub(super) fn steps_per_eur(self) -> f64 {
        self.per_eur * UNITS_PER_WHOLE as f64 / self.step_units as f64
    }
}

/// The scale of an ISO 4217 code; that of the euro for a code that is not listed.
pub(super) fn of(currency: &str) -> PriceScale {
    let per_eur = match currency {
        "USD" => 1.1,
        "GBP" => 0.85,
        "CHF" => 0.95,
        "CAD" | "SGD" => 1.5,
        "AUD" => 1.65,
        "AED" => 4.0,
        "BRL" => 6.0,
        "DKK" => 7.5,
        "HKD" => 8.6,
        "NOK" | "SEK" => 11.5,
        "MXN" => 20.0,
        "CZK" => 25.0,
        "THB" => 38.0,
        "TRY" => 45.0,
        "INR" => 92.0,
        "JPY" => 160.0,
        "KRW" => 1_500.0,
        _ => 1.0,
    };
    let step_units = if matches!(currency, "JPY" | "KRW") {
        UNITS_PER_WHOLE
    } else {
        UNITS_PER_WHOLE / 100
    };
    PriceScale { per_eur, step_units }
}
