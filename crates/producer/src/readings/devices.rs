//! Devices that give a reading in turn. Most are well; of 40, one drifts, one sticks, one pauses
//! and one fails.
//!
//! Which reading of a device is how depends on its number alone, so that alerts can be told in
//! advance: the same seed gives the same readings, whatever the times.

use millrace_iot::{Device, Measured, Reading};

use crate::beside::Draws;
use crate::world::random::mix;

/// One device in so many is of each kind that is not well.
const KINDS: u32 = 40;

/// How a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Well,
    /// Of 600 readings 200 are well, 200 rise by [`DRIFT`] each, and 200 stay there.
    Drifts,
    /// Of 300 readings the last 60 are the same.
    Sticks,
    /// Of 120 readings the last 30 are not given.
    Pauses,
    /// Its last readings are far too high, and then there are none.
    Fails,
}

/// Of a temperature, in 1/1000 a reading.
const DRIFT: i32 = 100;
/// Readings that are too high before a device fails for good.
const LAST_GASPS: u32 = 20;

/// Devices, with what each has given.
#[derive(Debug)]
pub(crate) struct Devices {
    seed: u64,
    pub(super) draws: Draws,
    devices: Vec<Given>,
    turn: usize,
}

/// What a device has given.
#[derive(Debug, Clone, Copy)]
struct Given {
    /// Its turns so far, from where in its cycle it began.
    turns: u32,
    /// The turn at which it falls silent for ever, if it does.
    fails_at: u32,
    last: Option<(i32, i32)>,
}

impl Devices {
    /// A world of `devices`, at least one. The ids of its readings begin with `run`.
    pub(crate) fn new(seed: u64, devices: u32, run: [u8; 4]) -> Self {
        let mut world = Self {
            seed,
            draws: Draws::new(seed, run),
            devices: Vec::new(),
            turn: 0,
        };
        world.devices = (0..devices.max(1))
            .map(|number| Given {
                turns: world.draws.below(600) as u32,
                fails_at: match kind(number) {
                    Kind::Fails => 700 + world.draws.below(3_000) as u32,
                    _ => u32::MAX,
                },
                last: None,
            })
            .collect();
        world
    }

    /// The next reading, at this time. Device 0 is well, so that there always is one.
    pub(crate) fn next(&mut self, time_ms: i64) -> Reading {
        loop {
            let number = self.turn;
            self.turn = (self.turn + 1) % self.devices.len();
            let Some((temp, humidity)) = self.values(number as u32) else {
                continue;
            };
            // Texts and values of ours are ids and measures.
            if let (Some(device_id), Some(temp), Some(humidity)) = (
                Device::new(&format!("sensor-{number:04}")),
                Measured::of_units(temp),
                Measured::of_units(humidity),
            ) {
                return Reading {
                    event_id: self.draws.id(),
                    device_id,
                    temp,
                    humidity,
                    time_ms,
                };
            }
        }
    }

    /// What a device measures at its next turn; `None` where it is silent.
    fn values(&mut self, number: u32) -> Option<(i32, i32)> {
        let given = self.devices[number as usize];
        let turn = given.turns;
        self.devices[number as usize].turns = turn.saturating_add(1);
        let place = mix(!self.seed, number.into());
        let noise = |random: u64| (random % 601) as i32 - 300;
        let temp = 15_000 + (place % 15_000) as i32 + noise(self.draws.random());
        let humidity = 35_000 + (place >> 32) as i32 % 15_000 + 15_000 + noise(self.draws.random());
        let values = match kind(number) {
            Kind::Well => (temp, humidity),
            Kind::Drifts => {
                let drifted = (turn % 600).clamp(200, 400) - 200;
                (temp + drifted as i32 * DRIFT, humidity)
            }
            Kind::Sticks if turn % 300 > 240 => given.last.unwrap_or((temp, humidity)),
            Kind::Sticks => (temp, humidity),
            Kind::Pauses if turn % 120 >= 90 => return None,
            Kind::Pauses => (temp, humidity),
            Kind::Fails if turn >= given.fails_at => return None,
            Kind::Fails if turn + LAST_GASPS >= given.fails_at => (temp + 80_000, humidity),
            Kind::Fails => (temp, humidity),
        };
        self.devices[number as usize].last = Some(values);
        Some(values)
    }
}

fn kind(number: u32) -> Kind {
    match number % KINDS {
        7 => Kind::Drifts,
        17 => Kind::Sticks,
        27 => Kind::Pauses,
        37 => Kind::Fails,
        _ => Kind::Well,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use millrace_engine::keyed::OrderedPolicy;
    use millrace_engine::{HashSeed, Operator as _};
    use millrace_iot::{AlertKind, AlertStatus, DeviceAlerts, Notice, Watch};
    use millrace_settings::Settings;

    use super::*;

    const DEVICES: u32 = 80;

    fn readings(seed: u64, count: usize) -> Vec<Reading> {
        let mut world = Devices::new(seed, DEVICES, [1, 2, 3, 4]);
        // Each device each five seconds.
        (0..count)
            .map(|at| world.next(1_000_000 + at as i64 * 5_000 / i64::from(DEVICES)))
            .collect()
    }

    #[test]
    fn a_seed_is_a_stream_and_no_id_comes_twice() {
        assert_eq!(readings(7, 1_000), readings(7, 1_000));
        assert_ne!(readings(7, 1_000), readings(8, 1_000));
        let ids: BTreeSet<_> = readings(7, 50_000).into_iter().map(|it| it.event_id).collect();
        assert_eq!(ids.len(), 50_000);
        assert!(ids.iter().all(|id| id.as_bytes().starts_with(&[1, 2, 3, 4])));
    }

    /// By the settings as they are, each device that is not well is told by its kind of alert, and
    /// the others by none.
    #[test]
    fn devices_that_are_not_well_are_told_and_the_others_are_not() {
        let limits = Settings::default().iot.alerts.limits().expect("limits");
        let policy = OrderedPolicy::new(0, 5_000, limits).expect("a policy");
        let mut operator = DeviceAlerts::new(Watch, policy, HashSeed::FIXED);
        let mut said = Vec::new();
        for reading in readings(42, 4_000 * DEVICES as usize) {
            operator.process(&reading, &mut said);
        }
        let mut kinds: BTreeMap<u32, BTreeSet<AlertKind>> = BTreeMap::new();
        for said in &said {
            if let Notice::Alert {
                kind,
                status: AlertStatus::Started,
                ..
            } = said.output
            {
                let number = said.key.as_str().trim_start_matches("sensor-");
                kinds
                    .entry(number.parse().expect("a number"))
                    .or_default()
                    .insert(kind);
            }
        }
        let told: Vec<_> = kinds.keys().copied().collect();
        let unwell: Vec<_> = (0..DEVICES)
            .filter(|number| kind(*number) != Kind::Well)
            .collect();
        assert_eq!(told, unwell);
        for (number, kinds) in kinds {
            let expected = match kind(number) {
                Kind::Drifts => AlertKind::Drift,
                Kind::Sticks => AlertKind::Stuck,
                Kind::Pauses => AlertKind::Silent,
                Kind::Fails => AlertKind::High,
                Kind::Well => continue,
            };
            assert!(kinds.contains(&expected), "{number}: {kinds:?}");
            let fails_for_good = kind(number) != Kind::Fails || kinds.contains(&AlertKind::Silent);
            assert!(fails_for_good, "{number}: {kinds:?}");
        }
    }
}
