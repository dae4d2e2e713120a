use millrace_clickstream::{Page, PageViews};
use millrace_domain::codec::DecodedAnomaly;
use millrace_domain::{
    Amount, Currency, EntityType, MerchantAggregate, Severity, ShortId, Sum, Totals, TransactionId,
};
use scylla::value::{CqlDate, CqlValue};

use super::*;
use crate::row::{Cell, Row};
use crate::table::Role;

fn an_aggregate() -> MerchantAggregate {
    MerchantAggregate {
        merchant_id: ShortId::new("m-17", "test").unwrap(),
        currency: Currency::parse(b"EUR").unwrap(),
        window_start_ms: 1_767_225_540_000,
        window_end_ms: 1_767_225_600_000,
        totals: Totals {
            purchase_count: 3,
            purchase_sum: Sum::from_units(1_234_567),
            refund_count: 0,
            refund_sum: Sum::ZERO,
            min_amount: Amount::from_units(1).unwrap(),
            max_amount: Amount::from_units(1_000_000).unwrap(),
        },
        distinct_users: 2,
        revision: -4_000,
    }
}

fn an_anomaly() -> DecodedAnomaly {
    DecodedAnomaly {
        id: "0f8fad5b-d9cb-569f-a165-70867728950e".parse().unwrap(),
        rule: "velocity".to_owned(),
        entity_type: EntityType::User,
        entity: ShortId::new("u-1", "test").unwrap(),
        severity: Severity::High,
        score: 0.75,
        transaction_ids: vec![TransactionId::from_bytes([1; 16])],
        figures: vec![("count".to_owned(), 12.0), ("a_span_s".to_owned(), 60.5)],
        event_time_ms: 1_769_903_999_999,
        detection_time_ms: 1_769_904_000_100,
        rule_set_version: None,
        rule_revision: None,
        reason: None,
        reason_codes: Vec::new(),
    }
}

fn some_views() -> PageViews {
    PageViews {
        page: Page::new("/cart").unwrap(),
        window_start_ms: 1_767_225_540_000,
        window_end_ms: 1_767_225_600_000,
        views: 7,
        visitors: 3,
    }
}

fn every_row() -> Vec<Row> {
    let mut rows = aggregates::rows(&an_aggregate(), 3).unwrap();
    rows.extend(anomalies::rows(&an_anomaly(), 3).unwrap());
    rows.extend(page_views::rows(&some_views(), 3).unwrap());
    rows
}

/// A column's value of a row.
fn cell<'a>(row: &'a Row, name: &str) -> &'a Cell {
    let at = row.table.columns.iter().position(|column| column.name == name);
    &row.cells[at.unwrap()]
}

fn day_of(row: &Row, name: &str) -> i64 {
    match cell(row, name) {
        Cell::Set(CqlValue::Date(CqlDate(days))) => i64::from(*days) - (1 << 31),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_row_has_a_value_of_its_type_for_each_column() {
    for row in every_row() {
        assert_eq!(row.cells.len(), row.table.columns.len(), "{}", row.table.name);
        for (column, cell) in row.table.columns.iter().zip(&row.cells) {
            let Cell::Set(value) = cell else {
                assert_eq!(column.role, Role::Value, "{} is unset", column.name);
                continue;
            };
            let kind = match value {
                CqlValue::Text(_) => "text",
                CqlValue::Date(_) => "date",
                CqlValue::Timestamp(_) => "timestamp",
                CqlValue::BigInt(_) => "bigint",
                CqlValue::Int(_) => "int",
                CqlValue::TinyInt(_) => "tinyint",
                CqlValue::Double(_) => "double",
                CqlValue::Decimal(_) => "decimal",
                CqlValue::Uuid(_) => "uuid",
                CqlValue::Map(_) => "frozen<map<text, double>>",
                CqlValue::List(values) => match values.first() {
                    Some(CqlValue::Uuid(_)) => "frozen<list<uuid>>",
                    _ => "frozen<list<text>>",
                },
                other => panic!("{other:?}"),
            };
            assert_eq!(kind, column.kind, "{}.{}", row.table.name, column.name);
        }
        assert!(row.size_bytes() > 30);
    }
}

#[test]
fn every_table_gets_a_row_and_has_its_keys_first() {
    let rows = every_row();
    for table in all() {
        assert!(rows.iter().any(|row| row.table == table), "{}", table.name);
        let order = |role| match role {
            Role::Partition => 0,
            Role::Ascending | Role::Descending => 1,
            Role::Value => 2,
        };
        let roles = table.columns.iter().map(|column| order(column.role));
        assert!(roles.is_sorted(), "{}", table.name);
    }
}

#[test]
fn an_aggregate_is_of_its_windows_day_and_of_its_revision() {
    let early = aggregates::rows(&an_aggregate(), 3).unwrap().remove(0);
    assert_eq!(day_of(&early, "day"), 20_453, "2025-12-31");
    let last = MerchantAggregate {
        revision: 0,
        ..an_aggregate()
    };
    let last = aggregates::rows(&last, 2).unwrap().remove(0);
    assert!(early.version < last.version);
}

#[test]
fn an_anomaly_is_of_its_month_and_of_a_part_of_its_day() {
    let rows = anomalies::rows(&an_anomaly(), 3).unwrap();
    let [by_entity, by_day] = &rows[..] else {
        panic!("{rows:?}")
    };
    assert_eq!(day_of(by_entity, "month"), 20_454, "2026-01-01");
    assert_eq!(day_of(by_day, "day"), 20_484, "2026-01-31");
    assert!(matches!(cell(by_day, "bucket"), Cell::Set(CqlValue::TinyInt(14))));
    let Cell::Set(CqlValue::Map(figures)) = cell(by_entity, "figures") else {
        panic!("no figures")
    };
    let names: Vec<_> = figures.iter().map(|(name, _)| name.as_text().unwrap()).collect();
    assert_eq!(names, ["a_span_s", "count"], "in the server's order");
}

#[test]
fn what_no_row_takes_is_named() {
    let late = MerchantAggregate {
        window_start_ms: i64::MAX,
        ..an_aggregate()
    };
    assert_eq!(aggregates::rows(&late, 0).unwrap_err().code, "time_out_of_range");
    let many = MerchantAggregate {
        distinct_users: u64::MAX,
        ..an_aggregate()
    };
    assert_eq!(aggregates::rows(&many, 0).unwrap_err().code, "count_out_of_range");
    let early = DecodedAnomaly {
        event_time_ms: -1,
        ..an_anomaly()
    };
    assert_eq!(anomalies::rows(&early, 0).unwrap_err().code, "time_out_of_range");
}
