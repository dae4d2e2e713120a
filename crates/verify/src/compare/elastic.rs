//! What Elasticsearch holds against what the topics hold.

use std::collections::{BTreeMap, BTreeSet};

use millrace_domain::Currency;

use crate::figures::{Indexed, Observed};
use crate::report::Verdict;
use crate::rows::{Kind, Rows, difference};
use crate::totals::{Totals, Windows, by_currency, in_windows_of};

/// How the rows about Elasticsearch begin.
pub(crate) const INDEX: &str = "Elasticsearch:";

pub(super) fn compare(observed: &Observed, indexed: &Indexed, rows: &mut Rows) {
    // Documents stay when the topic's retention has removed what they were made of.
    let until_ms = observed.retention.aggregates_until_ms;
    let is_kept = |start_ms: i64| until_ms.is_none_or(|until| start_ms > until);
    let kept = |windows: Windows| -> Windows {
        windows
            .into_iter()
            .filter(|((start_ms, _), _)| is_kept(*start_ms))
            .collect()
    };
    let documents = |documents: &BTreeMap<i64, u64>| -> u64 {
        let start_of = |start_ms: &i64| start_ms - start_ms.rem_euclid(observed.window_ms);
        let kept = documents
            .iter()
            .filter(|(start_ms, _)| is_kept(start_of(start_ms)));
        kept.map(|(_, count)| count).sum()
    };
    let name = format!("{INDEX} aggregates");
    rows.count(
        &name,
        documents(&observed.documents),
        0,
        documents(&indexed.documents),
    );
    let wanted = kept(observed.aggregates.clone());
    let found = kept(in_windows_of(&indexed.aggregates, observed.window_ms));
    totals_by_currency(&wanted, &found, rows);
    let keys: BTreeSet<_> = wanted.keys().chain(found.keys()).collect();
    let right = keys
        .iter()
        .filter(|&&key| wanted.get(key) == found.get(key))
        .count();
    let verdict = rows.verdict(right == keys.len(), true);
    let off = difference(keys.len() as i128, right as i128);
    let name = format!("{INDEX} windows by currency");
    rows.push(&name, keys.len(), right, off, verdict.0, verdict.1);
    let name = format!("{INDEX} anomalies");
    match observed.retention.anomalies {
        true => rows.at_least(&name, observed.anomalies, indexed.anomalies),
        false => rows.count(&name, observed.anomalies, 0, indexed.anomalies),
    }
}

fn totals_by_currency(wanted: &Windows, found: &Windows, rows: &mut Rows) {
    let (wanted, found) = (by_currency(wanted), by_currency(found));
    let currencies: BTreeSet<Currency> = wanted.keys().chain(found.keys()).copied().collect();
    for currency in currencies {
        let of = |totals: &BTreeMap<Currency, Totals>| totals.get(&currency).copied().unwrap_or_default();
        let (wanted, found) = (of(&wanted), of(&found));
        for kind in [Kind::Purchases, Kind::Refunds] {
            let (wanted, found) = (kind.of(&wanted), kind.of(&found));
            let verdict: (Verdict, bool) = rows.verdict(wanted == found, true);
            rows.push(
                &format!("{INDEX} {currency} {}", kind.name()),
                kind.show(&wanted, &Totals::default()),
                kind.show(&found, &Totals::default()),
                kind.difference(&wanted, &found),
                verdict.0,
                verdict.1,
            );
        }
    }
}
