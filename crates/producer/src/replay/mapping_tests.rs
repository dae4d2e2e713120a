//! Mappings, right and wrong.

use std::path::Path;

use super::tests::{MAPPING, mapping};
use super::*;

#[test]
fn the_shipped_mapping_is_sound() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/mappings/card-transactions.yml");
    let mapping = Mapping::load(&path).unwrap();
    assert!(
        !mapping
            .columns()
            .iter()
            .any(|column| column.starts_with("TX_FRAUD"))
    );
}

#[test]
fn a_wrong_mapping_is_named() {
    let changed = |from: &str, to: &str| mapping(&MAPPING.replace(from, to)).unwrap_err();
    for (from, to, expected) in [
        (
            "currency: {constant: EUR}",
            "currency: {constant: Euro}",
            "currency: currency \"Euro\" is not an ISO 4217",
        ),
        ("currency: {constant: EUR}", "", "missing field `currency`"),
        (
            "currency: {constant: EUR}",
            "currency: {}",
            "currency: must have one of column, constant, template",
        ),
        (
            "{column: AMOUNT}",
            "{column: AMOUNT, constant: 1}",
            "amount: must have one of",
        ),
        ("{column: AMOUNT}", "{colum: AMOUNT}", "unknown field `colum`"),
        ("location:", "place:", "unknown field `place`"),
        (
            "u-{CUSTOMER}",
            "u-{CUSTOMER",
            "userId: the template \"u-{CUSTOMER\" must close every brace",
        ),
        ("u-{CUSTOMER}", "u-CUSTOMER", "names no column"),
        (
            "{uuid5: \"test/{ID}\"}",
            "{constant: x}",
            "transactionId: must differ from row to row",
        ),
        (
            "default: purchase",
            "default: buy",
            "transactionType: transactionType: \"buy\" is not purchase or refund",
        ),
        (
            "zone: UTC",
            "zone: Nowhere",
            "transactionTime: zone \"Nowhere\" is not known",
        ),
        (
            "{constant: Paris}",
            "{constant: Paris, zone: UTC}",
            "location: format, zone and disambiguation are for transactionTime only",
        ),
        (
            "{column: AMOUNT}",
            "{column: AMOUNT, decimals: 5}",
            "amount: decimals is for amount only, from 0 to 4",
        ),
    ] {
        let error = changed(from, to);
        assert!(
            error.starts_with("the mapping m.yml: ") && error.contains(expected),
            "{error}"
        );
    }
    let error = Mapping::load(Path::new("/nowhere/m.yml"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("/nowhere/m.yml"), "{error}");
}

#[test]
fn amounts_are_rounded_where_the_mapping_says_so() {
    let exact = mapping(MAPPING).unwrap();
    let rounded = mapping(&MAPPING.replace("{column: AMOUNT}", "{column: AMOUNT, decimals: 2}")).unwrap();
    let amount = |mapping: &Mapping, amount: &str| {
        let cells: Vec<Cell> = mapping
            .columns()
            .iter()
            .map(|column| match column.as_str() {
                "AMOUNT" => Cell::Text(amount.to_owned()),
                "TIME" => Cell::Instant(5),
                "KIND" => Cell::Empty,
                _ => Cell::Text("1".to_owned()),
            })
            .collect();
        mapping.map(&cells).map(|transaction| transaction.amount.units())
    };
    assert!(amount(&exact, "85.649999").is_err());
    assert_eq!(amount(&rounded, "85.64999999999999"), Ok(856_500));
    assert_eq!(amount(&rounded, "141.65"), Ok(1_416_500));
    assert!(amount(&rounded, "0.004").is_err());
    assert!(amount(&rounded, "NaN").is_err());
}
