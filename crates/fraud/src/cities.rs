//! The cities of the reference data by number, with the distances between them.

use std::collections::HashMap;

use millrace_domain::{ShortId, city};
use rustc_hash::FxBuildHasher;

const COUNT: usize = city::ALL.len();

/// The number of a city in this process. Snapshots hold names, as numbers change with the reference data.
pub(crate) type CityIndex = u8;
const _: () = assert!(COUNT < CityIndex::MAX as usize);

/// The cities by name and the distances between them.
#[derive(Debug, Clone)]
pub(crate) struct Cities {
    by_name: HashMap<ShortId, CityIndex, FxBuildHasher>,
    distances_km: Vec<[f64; COUNT]>,
}

impl Cities {
    pub(crate) fn new() -> Self {
        let by_name = city::ALL
            .iter()
            .enumerate()
            .filter_map(|(index, city)| Some((ShortId::new(city.name, "location").ok()?, index as CityIndex)))
            .collect();
        let distances_km = city::ALL
            .iter()
            .map(|from| city::ALL.each_ref().map(|to| city::distance_km(from, to)))
            .collect();
        Self {
            by_name,
            distances_km,
        }
    }

    /// The city of that name.
    #[inline]
    pub(crate) fn find(&self, name: &ShortId) -> Option<CityIndex> {
        self.by_name.get(name).copied()
    }

    /// The name of a city that [`Cities::find`] gave.
    pub(crate) fn name(city: CityIndex) -> &'static str {
        city::ALL[usize::from(city)].name
    }

    /// The great-circle distance in kilometres between two that [`Cities::find`] gave.
    #[inline]
    pub(crate) fn distance_km(&self, from: CityIndex, to: CityIndex) -> f64 {
        self.distances_km[usize::from(from)][usize::from(to)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_the_reference_data_knows() {
        let cities = Cities::new();
        for from in &city::ALL {
            let name = ShortId::new(from.name, "location").unwrap();
            let index = cities.find(&name).unwrap();
            assert_eq!(Cities::name(index), from.name);
            let to = city::find(&ShortId::new("Sydney", "location").unwrap()).unwrap();
            let sydney = cities.find(&ShortId::new("Sydney", "location").unwrap()).unwrap();
            assert!((cities.distance_km(index, sydney) - city::distance_km(from, to)).abs() < 1e-9);
        }
        assert_eq!(cities.find(&ShortId::new("Atlantis", "location").unwrap()), None);
    }
}
