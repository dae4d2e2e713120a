//! Every city that a location may name: those of the reference data, then those of GeoNames.

use std::collections::HashMap;
use std::num::NonZeroU16;
use std::sync::LazyLock;

use super::fold::fold;
use super::{ALL, Coordinates};
use crate::ShortId;

/// The number of a city in this process: two bytes, with room for none. What outlives the process
/// keeps its name ([`CityNumber::listed`]) or its id ([`CityNumber::geonames_id`]), as numbers
/// change with the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CityNumber(NonZeroU16);

/// See `data/README.md`.
static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("../../data/cities.tsv")));

struct Table {
    /// In the order of their ids.
    cities: Vec<Row>,
    /// Those of [`ALL`] by name, as [`fold`] makes it.
    listed: HashMap<String, CityNumber>,
    /// All others by their names.
    names: HashMap<&'static str, CityNumber>,
}

struct Row {
    geonames_id: u32,
    coordinates: Coordinates,
}

impl Table {
    fn read(lines: &'static str) -> Self {
        let mut cities = Vec::new();
        let listed: HashMap<_, _> = ALL
            .iter()
            .enumerate()
            .filter_map(|(index, city)| Some((fold(city.name), CityNumber::of_index(index)?)))
            .collect();
        let mut names = HashMap::new();
        for line in lines.lines() {
            let mut fields = line.split('\t');
            let Some(row) = row(&mut fields) else {
                continue;
            };
            // All names of a city of the generator's world lead to that.
            let twin = fields.clone().find_map(|name| listed.get(name).copied());
            let own = || CityNumber::of_index(ALL.len() + cities.len());
            let Some(number) = twin.or_else(own) else {
                break;
            };
            cities.push(row);
            names.extend(fields.map(|name| (name, number)));
        }
        Self {
            cities,
            listed,
            names,
        }
    }
}

/// The first three fields of a line.
fn row(fields: &mut std::str::Split<'_, char>) -> Option<Row> {
    Some(Row {
        geonames_id: fields.next()?.parse().ok()?,
        coordinates: Coordinates {
            latitude: fields.next()?.parse().ok()?,
            longitude: fields.next()?.parse().ok()?,
        },
    })
}

impl CityNumber {
    fn of_index(index: usize) -> Option<Self> {
        let number = u16::try_from(index.checked_add(1)?).ok()?;
        NonZeroU16::new(number).map(Self)
    }

    const fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    /// The number of a city of [`ALL`], by its place there.
    #[must_use]
    pub fn of_listed(index: usize) -> Option<Self> {
        Self::of_index(index).filter(|_| index < ALL.len())
    }

    /// Its place in [`ALL`], if it is there.
    #[inline]
    #[must_use]
    pub const fn listed(self) -> Option<usize> {
        let index = self.index();
        if index < ALL.len() { Some(index) } else { None }
    }

    fn row(self) -> Option<&'static Row> {
        TABLE.cities.get(self.index().checked_sub(ALL.len())?)
    }

    /// Its id in GeoNames; none of those of [`ALL`].
    #[must_use]
    pub fn geonames_id(self) -> Option<u32> {
        self.row().map(|row| row.geonames_id)
    }

    /// The number of a city by its id in GeoNames, if the table has it.
    #[must_use]
    pub fn of_geonames_id(id: u32) -> Option<Self> {
        let at = TABLE
            .cities
            .binary_search_by_key(&id, |row| row.geonames_id)
            .ok()?;
        Self::of_index(ALL.len() + at)
    }
}

impl From<CityNumber> for Coordinates {
    fn from(number: CityNumber) -> Self {
        match (number.listed(), number.row()) {
            (None, Some(row)) => row.coordinates,
            // A number that is not listed has a row.
            (listed, _) => (&ALL[listed.unwrap_or_default()]).into(),
        }
    }
}

/// The city that a location names, whatever its case, accents and blanks; `None` for a place that
/// is not known. Of cities of one name it is the most populous one, but for those of [`ALL`], which
/// are always meant.
#[must_use]
pub fn find(location: &ShortId) -> Option<CityNumber> {
    let text = location.text();
    let name = text.as_str();
    let listed = ALL.binary_search_by(|city| city.name.cmp(name));
    match listed {
        Ok(index) => CityNumber::of_index(index),
        Err(_) => {
            let name = fold(name);
            let listed = TABLE.listed.get(&name);
            listed.or_else(|| TABLE.names.get(&*name)).copied()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::city::distance_km;

    const LINES: &str = include_str!("../../data/cities.tsv");

    fn by_name(name: &str) -> Option<CityNumber> {
        find(&ShortId::new(name, "location").unwrap())
    }

    #[test]
    fn every_line_of_the_table_is_a_city_with_names_of_its_own() {
        assert_eq!(TABLE.cities.len(), LINES.lines().count());
        assert!(TABLE.cities.is_sorted_by(|a, b| a.geonames_id < b.geonames_id));
        let names: Vec<_> = LINES.lines().flat_map(|line| line.split('\t').skip(3)).collect();
        assert!(names.iter().all(|name| fold(name) == *name && name.len() <= 64));
        assert_eq!(TABLE.names.len(), names.len());
        for (index, city) in ALL.iter().enumerate() {
            let number = by_name(&city.name.to_uppercase()).unwrap();
            assert_eq!(number.listed(), Some(index), "{}", city.name);
        }
        for row in &TABLE.cities {
            let Coordinates { latitude, longitude } = row.coordinates;
            assert!((-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude));
            let number = CityNumber::of_geonames_id(row.geonames_id).unwrap();
            assert_eq!(number.geonames_id(), Some(row.geonames_id));
            assert_eq!(Coordinates::from(number), row.coordinates);
        }
    }

    #[test]
    fn a_city_is_found_by_its_spellings_and_by_what_its_people_call_it() {
        for (names, place) in [
            (
                &["Sao Paulo", "São Paulo", "SÃO PAULO", "sao-paulo ", " sao  paulo"][..],
                (-23.55, -46.63),
            ),
            (&["London", "LONDON", "London ", "Londyn"], (51.51, -0.13)),
            (&["Rome", "ROMA"], (41.90, 12.50)),
            (&["Munich", "München", "MUENCHEN"], (48.14, 11.58)),
            (&["Vienna", "Wien"], (48.21, 16.37)),
            (&["Gothenburg", "Göteborg"], (57.71, 11.97)),
            (&["St. Louis", "ST LOUIS"], (38.63, -90.20)),
        ] {
            let found: Vec<_> = names.iter().map(|name| by_name(name)).collect();
            assert!(found.iter().all(|number| number == &found[0]), "{names:?}");
            let distance = distance_km(
                found[0].unwrap(),
                Coordinates {
                    latitude: place.0,
                    longitude: place.1,
                },
            );
            assert!(distance < 3.0, "{names:?}: {distance} km");
        }
    }

    #[test]
    fn of_cities_of_one_name_the_most_populous_is_meant_and_a_listed_one_before_all() {
        let is_near = |name, latitude, longitude| {
            let distance = distance_km(by_name(name).unwrap(), Coordinates { latitude, longitude });
            assert!(distance < 30.0, "{name}: {distance} km");
        };
        // In England, not in New Hampshire, whose Manchester is smaller.
        is_near("manchester", 53.48, -2.24);
        // In Venezuela, not in Spain.
        is_near("VALENCIA", 10.16, -68.00);
        assert!(by_name("Paris").unwrap().listed().is_some());
        assert!(by_name("PARIS").unwrap().listed().is_some());
    }

    #[test]
    fn what_is_no_city_is_not_found() {
        for name in ["Atlantis", "Atlantis ", " ", "-", "WWW.SHOP.COM"] {
            assert_eq!(by_name(name), None, "{name:?}");
        }
    }

    /// Towns of GeoNames with fewer than 15,000 inhabitants that the table does not have, half of
    /// them with a name that is one letter off one in the table.
    #[test]
    fn a_town_that_is_not_in_the_table_is_no_other_place() {
        let towns = include_str!("../../data/towns.txt");
        assert!(towns.lines().count() > 500 && towns.lines().any(|town| town == "Veen"));
        let taken: Vec<_> = towns.lines().filter(|town| by_name(town).is_some()).collect();
        assert!(taken.is_empty(), "{taken:?}");
    }

    /// Looked up in the lines themselves: nothing but a whole name leads to a city.
    fn in_lines(name: &str) -> Option<Coordinates> {
        let name = fold(name);
        if let Some(listed) = ALL.iter().find(|city| fold(city.name) == name) {
            return Some(listed.into());
        }
        LINES.lines().find_map(|line| {
            let mut fields = line.split('\t').skip(1);
            let mut degrees = || fields.next()?.parse().ok();
            let place = Coordinates {
                latitude: degrees()?,
                longitude: degrees()?,
            };
            fields.any(|field| field == name).then_some(place)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn only_a_whole_name_is_found(
            line in 0..LINES.lines().count(),
            which: prop::sample::Index,
            at: prop::sample::Index,
            (other, change) in (any::<char>(), 0..4),
        ) {
            let names: Vec<_> = LINES.lines().nth(line).unwrap().split('\t').skip(3).collect();
            prop_assume!(!names.is_empty());
            let mut name: Vec<char> = which.get(&names).chars().collect();
            let at = at.index(name.len());
            match change {
                0 => name.truncate(at),
                1 => name.insert(at, other),
                2 => name[at] = other,
                _ => drop(name.remove(at)),
            }
            let name: String = name.into_iter().collect();
            let Ok(location) = ShortId::new(&name, "location") else {
                return Ok(());
            };
            let (found, wanted) = (find(&location), in_lines(&name));
            prop_assert_eq!(found.is_some(), wanted.is_some(), "{}", name);
            if let (Some(found), Some(wanted)) = (found, wanted) {
                // A city of the generator's world is a little elsewhere than GeoNames has it.
                prop_assert!(distance_km(found, wanted) < 20.0, "{}", name);
            }
        }
    }
}
