//! The world as a whole.

use std::collections::HashMap;

use super::*;

fn world(users: u32) -> World {
    World::new(&WorldConfig {
        seed: 42,
        users,
        merchants: 1_000,
        zipf_exponent: 1.0,
    })
    .unwrap()
}

#[test]
fn a_user_is_a_function_of_seed_and_number() {
    let (one, other) = (world(10), world(10_000_000));
    for number in [0, 1, 9, 10, 99_999, 4_294_967_295] {
        assert_eq!(
            format!("{:?}", one.user(number)),
            format!("{:?}", other.user(number))
        );
        assert_eq!(one.user(number).id().to_string(), format!("u-{number}"));
    }
}

#[test]
fn homes_and_methods_are_spread() {
    let world = world(50_000);
    let mut homes = [0; city::ALL.len()];
    let mut methods = HashMap::new();
    for number in 0..50_000 {
        let user = world.user(number);
        homes[user.home as usize] += 1;
        *methods.entry(user.payment_method.as_str()).or_insert(0) += 1;
    }
    assert!(
        homes.iter().all(|&count| (1_000..1_500).contains(&count)),
        "{homes:?}"
    );
    assert!((34_000..36_500).contains(&methods["credit_card"]), "{methods:?}");
    assert!(methods["bank_transfer"] > 4_000, "{methods:?}");
}

#[test]
fn amounts_have_the_users_median_and_whole_steps() {
    let world = world(100);
    for number in 0..50 {
        let user = world.user(number);
        let step_units = world.places[user.home as usize].step_units;
        let mut amounts: Vec<i64> = (0..4_001)
            .map(|draw| world.amount(&user, mix(9, draw) as u32).units())
            .collect();
        assert!(amounts.iter().all(|units| units % step_units == 0));
        amounts.sort_unstable();
        let median = amounts[2_000] as f64 / step_units as f64;
        assert!(
            (median / user.median_steps - 1.0).abs() < 0.05,
            "{median} for {}",
            user.median_steps
        );
    }
}

#[test]
fn a_part_is_never_nothing_and_never_more() {
    let world = world(100);
    let user = world.user(1);
    for units in [100, 200, 1_000, 123_400] {
        let amount = Amount::from_units(units).unwrap();
        for eighths in 1..8 {
            let part = world.part_of(&user, amount, eighths);
            assert!(part <= amount);
        }
    }
}
