//! Reference data: the cities a transaction's location may name, and where they are.

mod fold;
mod table;

pub use table::{CityNumber, find};

/// A place on the globe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coordinates {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

/// A city of the generator's world.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct City {
    /// The name that the generator's `location` carries, at most 12 bytes.
    pub name: &'static str,
    /// ISO 3166-1 alpha-2 code of its country.
    pub country: &'static str,
    /// The country's currency, ISO 4217.
    pub currency: &'static str,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

const fn city(
    name: &'static str,
    country: &'static str,
    currency: &'static str,
    latitude: f64,
    longitude: f64,
) -> City {
    City {
        name,
        country,
        currency,
        latitude,
        longitude,
    }
}

impl From<&City> for Coordinates {
    fn from(city: &City) -> Self {
        Self {
            latitude: city.latitude,
            longitude: city.longitude,
        }
    }
}

/// Every city of the generator's world, sorted by name.
pub const ALL: [City; 40] = [
    city("Amsterdam", "NL", "EUR", 52.37, 4.90),
    city("Athens", "GR", "EUR", 37.98, 23.73),
    city("Bangkok", "TH", "THB", 13.76, 100.50),
    city("Barcelona", "ES", "EUR", 41.39, 2.17),
    city("Berlin", "DE", "EUR", 52.52, 13.40),
    city("Boston", "US", "USD", 42.36, -71.06),
    city("Brussels", "BE", "EUR", 50.85, 4.35),
    city("Chicago", "US", "USD", 41.88, -87.63),
    city("Copenhagen", "DK", "DKK", 55.68, 12.57),
    city("Dallas", "US", "USD", 32.78, -96.80),
    city("Dubai", "AE", "AED", 25.20, 55.27),
    city("Dublin", "IE", "EUR", 53.35, -6.26),
    city("Frankfurt", "DE", "EUR", 50.11, 8.68),
    city("Geneva", "CH", "CHF", 46.20, 6.14),
    city("Helsinki", "FI", "EUR", 60.17, 24.94),
    city("Hong Kong", "HK", "HKD", 22.32, 114.17),
    city("Istanbul", "TR", "TRY", 41.01, 28.98),
    city("Lisbon", "PT", "EUR", 38.72, -9.14),
    city("London", "GB", "GBP", 51.51, -0.13),
    city("Los Angeles", "US", "USD", 34.05, -118.24),
    city("Madrid", "ES", "EUR", 40.42, -3.70),
    city("Melbourne", "AU", "AUD", -37.81, 144.96),
    city("Mexico City", "MX", "MXN", 19.43, -99.13),
    city("Miami", "US", "USD", 25.76, -80.19),
    city("Milan", "IT", "EUR", 45.46, 9.19),
    city("Mumbai", "IN", "INR", 19.08, 72.88),
    city("Munich", "DE", "EUR", 48.14, 11.58),
    city("New York", "US", "USD", 40.71, -74.01),
    city("Oslo", "NO", "NOK", 59.91, 10.75),
    city("Paris", "FR", "EUR", 48.86, 2.35),
    city("Prague", "CZ", "CZK", 50.08, 14.44),
    city("Rome", "IT", "EUR", 41.90, 12.50),
    city("Sao Paulo", "BR", "BRL", -23.55, -46.63),
    city("Seoul", "KR", "KRW", 37.57, 126.98),
    city("Singapore", "SG", "SGD", 1.35, 103.82),
    city("Stockholm", "SE", "SEK", 59.33, 18.07),
    city("Sydney", "AU", "AUD", -33.87, 151.21),
    city("Tokyo", "JP", "JPY", 35.68, 139.69),
    city("Toronto", "CA", "CAD", 43.65, -79.38),
    city("Vienna", "AT", "EUR", 48.21, 16.37),
];

/// Mean radius of the Earth in kilometres (IUGG).
const EARTH_RADIUS_KM: f64 = 6371.0088;

/// The great-circle distance in kilometres, by the haversine formula (R. W. Sinnott, 1984).
#[must_use]
pub fn distance_km(from: impl Into<Coordinates>, to: impl Into<Coordinates>) -> f64 {
    let (from, to) = (from.into(), to.into());
    let (from_latitude, to_latitude) = (from.latitude.to_radians(), to.latitude.to_radians());
    let half_latitude = (to_latitude - from_latitude) / 2.0;
    let half_longitude = (to.longitude - from.longitude).to_radians() / 2.0;
    let haversine =
        half_latitude.sin().powi(2) + from_latitude.cos() * to_latitude.cos() * half_longitude.sin().powi(2);
    2.0 * EARTH_RADIUS_KM * haversine.sqrt().min(1.0).asin()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ShortId;

    #[test]
    fn names_are_sorted_and_fit() {
        assert!(ALL.is_sorted_by(|a, b| a.name < b.name));
        for (index, city) in ALL.iter().enumerate() {
            let number = find(&ShortId::new(city.name, "location").unwrap()).unwrap();
            assert_eq!(number.listed(), Some(index));
            assert_eq!(Coordinates::from(number), city.into());
        }
    }

    #[test]
    fn london_to_new_york_is_as_maps_say() {
        let by_name = |name| find(&ShortId::new(name, "location").unwrap()).unwrap();
        let distance = distance_km(by_name("London"), by_name("New York"));
        assert!((distance - 5570.0).abs() < 15.0, "{distance}");
    }
}
