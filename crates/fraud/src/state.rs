//! Profiles in a snapshot.

use millrace_domain::city::{self, CityNumber};
use millrace_engine::dedup::Earlier;
use millrace_engine::keyed::Slot as _;
use millrace_engine::snapshot::{StateReader, StateWriter};
use millrace_engine::{HashSeed, RestoreError, near};
use millrace_payments::state::{ReadPayment as _, WritePayment as _};

use crate::event_time::EventTime;
use crate::habit::{CURRENCIES, Habit, Habits};
use crate::profile::{FrozenProfiles, Place, Profile, ProfileTable, UserKey};
use crate::recent::{Entries, FrozenRecent, Recent, RecentPool, Run};

/// First byte of the state; see [`StateReader::version`].
pub(crate) const VERSION: u8 = 0x25;
/// First byte of the state of a policy without a rule set: as the version before wrote every one.
pub(crate) const WITHOUT_RULE_SET: u8 = 0x24;
/// The first version that has the state of a rule set, at the end.
pub(crate) const WITH_RULE_SET: u8 = 5;
/// The first version that carries a policy.
pub(crate) const WITH_POLICY: u8 = 4;

/// How a version wrote the ids of payloads, where that was not as now.
pub(crate) const fn earlier(version: u8) -> Option<Earlier> {
    match version {
        1 => Some(Earlier::Halves),
        2 => Some(Earlier::Quarters),
        3 => Some(Earlier::Short),
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
    let is_live = |profile: &&Profile| !profile.is_free() && profile.newest.ms() >= forgotten_before_ms;
    // Counted first: what is written may have left for the store before the last is known.
    writer.count(profiles.iter().filter(is_live).count());
    profiles.for_each_page(|profiles| {
        for (at, profile) in profiles.iter().enumerate() {
            // Recent purchases lie anywhere: each look at them would wait for memory.
            let ahead = profiles.get(at + AHEAD);
            if let Some(first) = ahead.and_then(|profile| recent.earlier(&profile.run).first()) {
                near::ask(first);
            }
            if is_live(&profile) {
                write_profile(writer, profile, recent.entries(&profile.run));
            }
        }
    });
}

fn write_profile(writer: &mut StateWriter<'_>, profile: &Profile, entries: Entries<'_>) {
    profile.user.write(writer);
    write_time(writer, profile.newest);
    writer.u8(profile.habits.iter().count() as u8);
    for habit in profile.habits.iter() {
        write_habit(writer, habit);
    }
    write_time(writer, profile.velocity_fired);
    writer.raw(&(profile.run.len() as u16).to_le_bytes());
    for entry in entries {
        writer.u32(entry.time_low);
        writer.u32(entry.ratio.to_bits());
        writer.transaction_id(entry.id);
    }
    write_place(writer, &profile.place);
}

/// What stands for [`EventTime::NEVER`].
const NEVER_MS: i64 = i64::MIN;

fn write_time(writer: &mut StateWriter<'_>, time: EventTime) {
    writer.i64(if time.is_never() { NEVER_MS } else { time.ms() });
}

fn write_habit(writer: &mut StateWriter<'_>, habit: &Habit) {
    writer.raw(&habit.currency);
    writer.u32(habit.mean.to_bits());
    writer.u32(habit.variance.to_bits());
    writer.raw(&habit.count.to_le_bytes());
    writer.u8(u8::from(habit.has_fired));
}

fn write_place(writer: &mut StateWriter<'_>, place: &Place) {
    write_time(writer, place.quiet_until);
    writer.u8(u8::from(place.city.is_some()));
    if let Some(city) = place.city {
        writer.raw(&city_bytes(city));
        write_time(writer, place.time);
        writer.transaction_id(place.id);
    }
}

/// What stands for a city: the name of one of [`city::ALL`], padded, or NULs and its id in
/// GeoNames.
fn city_bytes(city: CityNumber) -> [u8; CITY_LEN] {
    let mut bytes = [0; CITY_LEN];
    match city.listed() {
        Some(index) => {
            let name = city::ALL[index].name.as_bytes();
            bytes[..name.len()].copy_from_slice(name);
        }
        None => {
            let id = city.geonames_id().unwrap_or_default();
            bytes[GEONAMES_ID_AT..].copy_from_slice(&id.to_le_bytes());
        }
    }
    bytes
}

fn city_of_bytes(bytes: [u8; CITY_LEN]) -> Option<CityNumber> {
    match bytes {
        [0, 0, 0, 0, 0, 0, 0, 0, id @ ..] => CityNumber::of_geonames_id(u32::from_le_bytes(id)),
        _ => {
            let name = bytes.split(|&byte| byte == 0).next()?;
            let index = city::ALL.iter().position(|city| city.name.as_bytes() == name)?;
            CityNumber::of_listed(index)
        }
    }
}

const CITY_LEN: usize = 12;
const GEONAMES_ID_AT: usize = 8;

/// Reads back what [`write_profiles`] wrote; recent purchases go into `recent`.
pub(crate) fn read_profiles(
    reader: &mut StateReader<'_>,
    recent: &mut RecentPool,
    seed: HashSeed,
) -> Result<ProfileTable, RestoreError> {
    let count = reader.count("profiles", LEAST_PROFILE_LEN)?;
    let mut profiles = ProfileTable::with_capacity(count, seed);
    for _ in 0..count {
        let at = reader.position();
        let user = reader.id_alone("user")?;
        let newest = read_event_time(reader, "time of a user")?;
        let (place, is_new) =
            profiles.find_or_insert(UserKey::of(&user), || Profile::new(UserKey::of(&user), newest));
        if !is_new {
            return Err(RestoreError::Invalid {
                what: "user, a second time",
                at,
            });
        }
        let profile = profiles.at(place);
        profile.habits = read_habits(reader)?;
        profile.velocity_fired = read_time(reader, "time of an anomaly")?;
        profile.run = read_run(reader, recent, newest.ms())?;
        profile.place = read_place(reader, newest.ms())?;
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

fn read_time(reader: &mut StateReader<'_>, what: &'static str) -> Result<EventTime, RestoreError> {
    let at = reader.position();
    match reader.i64()? {
        NEVER_MS => Ok(EventTime::NEVER),
        ms => EventTime::checked(ms).ok_or(RestoreError::Invalid { what, at }),
    }
}

/// As [`read_time`], of what has happened.
fn read_event_time(reader: &mut StateReader<'_>, what: &'static str) -> Result<EventTime, RestoreError> {
    let at = reader.position();
    let time = read_time(reader, what)?;
    if time.is_never() {
        return Err(RestoreError::Invalid { what, at });
    }
    Ok(time)
}

fn read_run(
    reader: &mut StateReader<'_>,
    recent: &mut RecentPool,
    newest_ms: i64,
) -> Result<Run, RestoreError> {
    let mut run = Run::EMPTY;
    let at = reader.position();
    let invalid = RestoreError::Invalid {
        what: "run of recent purchases",
        at,
    };
    let count = u16::from_le_bytes(reader.array()?);
    if count > recent.max_len() {
        return Err(invalid);
    }
    let mut last_ms = i64::MIN;
    for position in 0..usize::from(count) {
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
        recent.insert(&mut run, position, entry);
    }
    Ok(run)
}

fn read_place(reader: &mut StateReader<'_>, newest_ms: i64) -> Result<Place, RestoreError> {
    let mut place = Place {
        quiet_until: read_time(reader, "time of a place")?,
        ..Place::NONE
    };
    if read_flag(reader, "flag of a place")? {
        let at = reader.position();
        let bytes = reader.array()?;
        let invalid = RestoreError::Invalid {
            what: "city, which the reference data does not know,",
            at,
        };
        place.city = Some(city_of_bytes(bytes).ok_or(invalid)?);
        let (what, at) = ("time of a place", reader.position());
        place.time = read_event_time(reader, what)?;
        if place.time.ms() > newest_ms {
            return Err(RestoreError::Invalid { what, at });
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
