//! Texts that are keys: users, products, and a region with a kind of device.

use millrace_contract::kind::shown;
use millrace_contract::{DecodeError, Id, Text};
use millrace_engine::hashed_text;
use uuid::Uuid;

/// Namespace of the hash (a version 4 UUID drawn once for this pipeline). It is fixed for ever, as
/// states hold what it orders.
const NAMESPACE: Uuid = Uuid::from_u128(0x9b41_c2f7_60d8_4a35_b7e2_0d94_e85a_c113);

/// Between region and device.
const BETWEEN: char = '/';

hashed_text! {
    /// A user: 1 to 64 bytes without NUL.
    id User, 64, "user", NAMESPACE
}

hashed_text! {
    /// A product by its id, 1 to 64 bytes without NUL; or none, which groups the events without a
    /// product and is no field's value.
    Product, 64, "product", NAMESPACE
}

hashed_text! {
    /// A region and a kind of device, as `EU/mobile`.
    Segment, 129, "region and device", NAMESPACE
}

/// What groups the events without a product: no id has NUL, and no key of a state is empty.
const NO_PRODUCT: &str = "\0";

impl Product {
    /// The product of this id, or [`Product::none`] of its text; `None` if it is neither.
    #[must_use]
    pub fn new(id: &str) -> Option<Self> {
        let is_product = id == NO_PRODUCT || Id::new(id).is_some();
        Some(id)
            .filter(|_| is_product)
            .and_then(Text::new)
            .map(Self::hashed)
    }

    /// What groups the events without a product.
    #[must_use]
    pub fn none() -> Self {
        Self::new(NO_PRODUCT).expect("its text")
    }

    /// Whether it is a product.
    #[must_use]
    pub fn is_some(&self) -> bool {
        self.as_str() != NO_PRODUCT
    }

    fn of(id: &str, field: &'static str) -> Result<Self, DecodeError> {
        let product = Self::new(id).filter(Self::is_some);
        product.ok_or_else(|| DecodeError::Invalid {
            code: "invalid_id",
            message: format!(
                "{field} {:?} must be 1 to 64 bytes of UTF-8 without NUL",
                shown(id)
            ),
        })
    }
}

impl Segment {
    /// Reads `region/device`, which has no second `/` in the device; `None` if it is none.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let (region, device) = text.rsplit_once(BETWEEN)?;
        Some(Self::joined(&Id::new(region)?, &Id::new(device)?))
    }

    /// Of a region and a device. Events whose device has a `/` are refused before
    /// ([`millrace_contract::Event::check`]).
    #[must_use]
    pub fn joined(region: &Id, device: &Id) -> Self {
        let text = format!("{region}{BETWEEN}{device}");
        Self::hashed(Text::new(&text).expect("129 bytes hold two ids"))
    }

    /// The region and the device.
    #[must_use]
    pub fn parts(&self) -> Option<(Id, Id)> {
        let (region, device) = self.as_str().rsplit_once(BETWEEN)?;
        Some((Id::new(region)?, Id::new(device)?))
    }

    fn of(text: &str, field: &'static str) -> Result<Self, DecodeError> {
        Self::new(text).ok_or_else(|| DecodeError::Invalid {
            code: "invalid_segment",
            message: format!("{field} {:?} must be a region, / and a device", shown(text)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_told_apart_by_both_of_its_parts() {
        let id = |text| Id::new(text).unwrap();
        let joined = |region, device| Segment::joined(&id(region), &id(device));
        let all = [("EU", "mobile"), ("EU/mobile", "tv"), ("E", "U"), ("ß", "mobile")];
        for (at, (region, device)) in all.into_iter().enumerate() {
            let segment = joined(region, device);
            assert_eq!(Segment::new(segment.as_str()), Some(segment));
            assert_eq!(segment.parts(), Some((id(region), id(device))));
            let mut others = all.iter().skip(at + 1);
            assert!(others.all(|other| joined(other.0, other.1) != segment));
        }
        let long = "x".repeat(64);
        assert_eq!(joined(&long, &long).as_str().len(), 129);
        for text in ["", "EU", "/mobile", "EU/", "EU/\0"] {
            assert_eq!(Segment::new(text), None, "{text:?}");
        }
        assert_eq!(Segment::of("EU", "key").unwrap_err().code(), "invalid_segment");
    }

    #[test]
    fn no_product_is_no_fields_value() {
        assert!(!Product::none().is_some() && Product::new("p-1").is_some_and(|it| it.is_some()));
        for id in ["", "\0", "a\0", &"p".repeat(65)] {
            assert_eq!(Product::of(id, "product_id").unwrap_err().code(), "invalid_id");
        }
    }
}
