//! Profiles in a snapshot.

use millrace_domain::ShortId;
use millrace_engine::dedup::Earlier;
use millrace_engine::snapshot::{StateReader, StateWriter};
use millrace_engine::{HashSeed, RestoreError, near};

use crate::cities::Cities;
use crate::habit::{CURRENCIES, Habit, Habits};
use crate::profile::{Burst, Place, Profile};
use crate::recent::{FrozenRecent, Recent, RecentPool, Run};
use crate::table::{FrozenProfiles, ProfileTable};

/// First byte of the state; see [`StateReader::version`].
pub(crate) const VERSION: u8 = 0x23;

/// How a version wrote the ids of payloads, where that was not as now.
pub(crate) const fn earlier(version: u8) -> Option<Earlier> {
    match version {
        1 => Some(Earlier::Halves),
        2 => Some(Earlier::Quarters),
        _ => None,
    }
}

/// How many profiles ahead recent purchases are asked for.
const AHEAD: usize = 16;
/// Bytes of a profile with nothing in it.
const LEAST_PROFILE_LEN: usize = 12 + 8 + 1 + 8 + 2 + 1 + 8;

/// Appends the profiles that are not forgotten, in the order of places.
pub(crate) fn write_profiles(
    writer: &mut StateWriter<'_>,
    profiles: FrozenProfiles,
    recent: &FrozenRecent,
    forgotten_before_ms: i64,
) {
    let is_live = |profile: &&Profile| !profile.is_free() && profile.newest_ms >= forgotten_before_ms;
    // Counted first: what is written may have left for the store before the last is known.
    writer.count(profiles.iter().filter(is_live).count());
    profiles.for_each_page(|profiles| {
        for (at, profile) in profiles.iter().enumerate() {
            // Recent purchases lie anywhere: each look at them would wait for memory.
            let ahead = profiles.get(at + AHEAD);
            if let Some(first) = ahead.and_then(|profile| recent.entries(profile.burst.run).first()) {
                near::ask(&first.time_low);
            }
            if is_live(&profile) {
                write_profile(writer, profile, recent.entries(profile.burst.run));
            }
        }
    });
}

fn write_profile(writer: &mut StateWriter<'_>, profile: &Profile, entries: &[Recent]) {
    profile.user.write(writer);
    writer.i64(profile.newest_ms);
    writer.u8(profile.habits.iter().count() as u8);
    for habit in profile.habits.iter() {
        write_habit(writer, habit);
    }
    writer.i64(profile.burst.fired_ms);
    writer.raw(&(entries.len() as u16).to_le_bytes());
    for entry in entries {
        writer.u32(entry.time_low);
        writer.u32(entry.ratio.to_bits());
        writer.transaction_id(entry.id);
    }
    write_place(writer, &profile.place);
}

fn write_habit(writer: &mut StateWriter<'_>, habit: &Habit) {
    writer.raw(&habit.currency);
    writer.u32(habit.mean.to_bits());
    writer.u32(habit.variance.to_bits());
    writer.raw(&habit.count.to_le_bytes());
    writer.u8(u8::from(habit.has_fired));
}

fn write_place(writer: &mut StateWriter<'_>, place: &Place) {
    writer.i64(place.quiet_until_ms);
    writer.u8(u8::from(place.city.is_some()));
    if let Some(city) = place.city {
        let mut name = [0; ShortId::MAX_LEN];
        let text = Cities::name(city).as_bytes();
        name[..text.len()].copy_from_slice(text);
        writer.raw(&name);
        writer.i64(place.time_ms);
        writer.transaction_id(place.id);
    }
}

/// Reads back what [`write_profiles`] wrote; recent purchases go into `recent`.
pub(crate) fn read_profiles(
    reader: &mut StateReader<'_>,
    recent: &mut RecentPool,
    cities: &Cities,
    seed: HashSeed,
) -> Result<ProfileTable, RestoreError> {
    let count = reader.count("profiles", LEAST_PROFILE_LEN)?;
    let mut profiles = ProfileTable::with_capacity(count, seed);
    for _ in 0..count {
        let at = reader.position();
        let user = reader.short_id("user")?;
        let newest_ms = reader.i64()?;
        let (place, is_new) = profiles.find_or_insert(&user, newest_ms);
        if !is_new {
            return Err(RestoreError::Invalid {
                what: "user, a second time",
                at,
            });
        }
        let profile = profiles.at(place);
        profile.habits = read_habits(reader)?;
        profile.burst = read_burst(reader, recent, newest_ms)?;
        profile.place = read_place(reader, cities, newest_ms)?;
    }
    Ok(profiles)
}

fn read_habits(reader: &mut StateReader<'_>) -> Result<Habits, RestoreError> {
    let at = reader.position();
    let count = usize::from(reader.u8()?);
    if count > CURRENCIES {
        return Err(RestoreError::Invalid {
            what: "number of currencies",
            at,
        });
    }
    let mut habits = [Habit::NONE; CURRENCIES];
    for habit in &mut habits[..count] {
        let at = reader.position();
        *habit = Habit {
            currency: *reader.currency()?.as_bytes(),
            mean: f32::from_bits(reader.u32()?),
            variance: f32::from_bits(reader.u32()?),
            count: u16::from_le_bytes(reader.array()?),
            has_fired: read_flag(reader, "flag of a habit")?,
        };
        if !(habit.mean.is_finite() && habit.variance.is_finite() && habit.variance >= 0.0) {
            return Err(RestoreError::Invalid { what: "habit", at });
        }
    }
    Ok(Habits::from_parts(&habits[..count]))
}

fn read_burst(
    reader: &mut StateReader<'_>,
    recent: &mut RecentPool,
    newest_ms: i64,
) -> Result<Burst, RestoreError> {
    let mut burst = Burst {
        fired_ms: reader.i64()?,
        run: Run::EMPTY,
    };
    let at = reader.position();
    let invalid = RestoreError::Invalid {
        what: "run of recent purchases",
        at,
    };
    let count = usize::from(u16::from_le_bytes(reader.array()?));
    if count > recent.max_len() {
        return Err(invalid);
    }
    let mut last_ms = i64::MIN;
    for position in 0..count {
        let entry = Recent {
            time_low: reader.u32()?,
            ratio: f32::from_bits(reader.u32()?),
            id: reader.transaction_id()?,
        };
        let time_ms = entry.time_ms(newest_ms);
        if time_ms < last_ms || !entry.ratio.is_finite() {
            return Err(invalid);
        }
        last_ms = time_ms;
        recent.insert(&mut burst.run, position, entry);
    }
    Ok(burst)
}

fn read_place(reader: &mut StateReader<'_>, cities: &Cities, newest_ms: i64) -> Result<Place, RestoreError> {
    let mut place = Place {
        quiet_until_ms: reader.i64()?,
        ..Place::NONE
    };
    if read_flag(reader, "flag of a place")? {
        let at = reader.position();
        let name = reader.short_id("city")?;
        let invalid = RestoreError::Invalid {
            what: "city, which the reference data does not know,",
            at,
        };
        place.city = Some(cities.find(&name).ok_or(invalid)?);
        let at = reader.position();
        place.time_ms = reader.i64()?;
        if place.time_ms < 0 || place.time_ms > newest_ms {
            return Err(RestoreError::Invalid {
                what: "time of a place",
                at,
            });
        }
        place.id = reader.transaction_id()?;
    }
    Ok(place)
}

fn read_flag(reader: &mut StateReader<'_>, what: &'static str) -> Result<bool, RestoreError> {
    let at = reader.position();
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(RestoreError::Invalid { what, at }),
    }
}
