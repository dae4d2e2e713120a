//! The cities that locations name, and the distances between them.

use std::collections::HashMap;

use millrace_domain::ShortId;
use millrace_domain::city::{self, CityNumber};
use rustc_hash::FxBuildHasher;

const LISTED: usize = city::ALL.len();

/// Spellings that are remembered, beside the names of the generator's cities: with more than so
/// many, all are forgotten.
const MOST_SPELLINGS: usize = 16_384;

/// What is asked for again and again: cities by the spelling of a location, and the distances
/// between those of [`city::ALL`]. Nothing but time depends on what is remembered.
#[derive(Debug, Clone)]
pub(crate) struct Cities {
    by_spelling: HashMap<ShortId, Option<CityNumber>, FxBuildHasher>,
    distances_km: Vec<[f64; LISTED]>,
}

impl Cities {
    pub(crate) fn new() -> Self {
        let distances_km = city::ALL
            .iter()
            .map(|from| city::ALL.each_ref().map(|to| city::distance_km(from, to)))
            .collect();
        Self {
            by_spelling: listed().collect(),
            distances_km,
        }
    }

    /// The city that a location names: see [`city::find`].
    #[inline]
    pub(crate) fn find(&mut self, location: &ShortId) -> Option<CityNumber> {
        match self.by_spelling.get(location) {
            Some(known) => *known,
            None => self.learn(location),
        }
    }

    #[cold]
    fn learn(&mut self, location: &ShortId) -> Option<CityNumber> {
        if self.by_spelling.len() >= LISTED + MOST_SPELLINGS {
            self.by_spelling.clear();
            self.by_spelling.extend(listed());
        }
        let found = city::find(location);
        self.by_spelling.insert(*location, found);
        found
    }

    /// The great-circle distance in kilometres.
    #[inline]
    pub(crate) fn distance_km(&self, from: CityNumber, to: CityNumber) -> f64 {
        match (from.listed(), to.listed()) {
            (Some(from), Some(to)) => self.distances_km[from][to],
            _ => city::distance_km(from, to),
        }
    }
}

fn listed() -> impl Iterator<Item = (ShortId, Option<CityNumber>)> {
    city::ALL.iter().enumerate().filter_map(|(index, city)| {
        let name = ShortId::new(city.name, "location").ok()?;
        Some((name, CityNumber::of_listed(index)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(name: &str) -> ShortId {
        ShortId::new(name, "location").unwrap()
    }

    #[test]
    fn knows_what_the_reference_data_knows() {
        let mut cities = Cities::new();
        let sydney = cities.find(&short("Sydney")).unwrap();
        let osaka = cities.find(&short("OSAKA ")).unwrap();
        for (index, from) in city::ALL.iter().enumerate() {
            let number = cities.find(&short(from.name)).unwrap();
            assert_eq!(number.listed(), Some(index));
            for to in [sydney, osaka] {
                let distance_km = city::distance_km(from, to);
                assert!((cities.distance_km(number, to) - distance_km).abs() < 1e-9);
                assert!((cities.distance_km(to, number) - distance_km).abs() < 1e-9);
            }
        }
        assert_eq!(cities.find(&short("Atlantis")), None);
    }

    #[test]
    fn spellings_are_bounded_and_a_name_that_is_forgotten_is_found_again() {
        let mut cities = Cities::new();
        for number in 0..2 * MOST_SPELLINGS {
            assert_eq!(cities.find(&short(&format!("shop {number}"))), None);
            assert!(cities.by_spelling.len() <= LISTED + MOST_SPELLINGS);
        }
        assert_eq!(cities.find(&short("LONDON")), cities.find(&short("London")));
    }
}
