//! Incidents as bytes of a state.

use std::collections::BTreeMap;

use millrace_domain::{Currency, Severity, Sum, TransactionId};
use millrace_engine::RestoreError;
use millrace_engine::snapshot::{StateReader, StateWriter};
use uuid::Uuid;

use crate::bounded::{Ends, Few};
use crate::{Closed, Incident, RuleCount, State, Verdict};

/// The first byte of a state: which operator's it is, and the version of what follows.
pub(crate) const VERSION: u8 = 0x51;
/// Bytes of an incident, at least.
pub(crate) const LEAST_LEN: usize = 16 + 8 + 3 * 8 + 2 + 3 * 8 + 4 * 8;

/// By their numbers in a state.
const STATES: [State; 5] = [
    State::Growing,
    State::Open,
    State::Closed(Closed::Quiet),
    State::Closed(Closed::Verdict(Verdict::Confirmed)),
    State::Closed(Closed::Verdict(Verdict::FalseAlarm)),
];

/// Appends an incident.
pub(crate) fn write(incident: &Incident, writer: &mut StateWriter<'_>) {
    writer.raw(incident.id.as_bytes());
    writer.u64(incident.revision);
    for text in [&*incident.typology, &incident.reason, &incident.user] {
        writer.text(text);
    }
    let state = STATES.iter().position(|state| *state == incident.state);
    writer.u8(state.map_or(0, |place| place as u8));
    writer.u8(incident.severity as u8);
    for number in [incident.score, incident.threshold] {
        writer.f64(number);
    }
    for ms in [
        incident.quiet_ms,
        incident.opened_ms,
        incident.first_ms,
        incident.last_ms,
    ] {
        writer.i64(ms);
    }
    writer.count(incident.rules.len());
    for (rule, count) in &incident.rules {
        writer.text(rule);
        writer.u64(count.alerts);
        writer.bool(count.best_score.is_some());
        if let Some(score) = count.best_score {
            writer.f64(score);
        }
    }
    write_transactions(&incident.transactions, writer);
    writer.count(incident.money.len());
    for (currency, sum) in &incident.money {
        writer.raw(currency.as_bytes());
        writer.i128(sum.units());
    }
    writer.bool(incident.merchants.has_more());
    writer.count(incident.merchants.len());
    incident
        .merchants
        .iter()
        .for_each(|merchant| writer.text(merchant));
}

fn write_transactions(transactions: &Ends<TransactionId>, writer: &mut StateWriter<'_>) {
    writer.u64(transactions.count());
    writer.count(transactions.iter().count());
    for id in transactions.iter() {
        writer.raw(id.as_bytes());
    }
}

/// Reads what [`write`] wrote.
///
/// # Errors
/// Something else is there.
pub(crate) fn read(reader: &mut StateReader<'_>) -> Result<Incident, RestoreError> {
    let id = Uuid::from_bytes(reader.array()?);
    let revision = reader.u64()?;
    let typology = reader.text("typology")?.to_owned();
    let reason = reader.text("reason")?.into();
    let user = reader.text("user")?.into();
    let at = reader.position();
    let state = STATES.get(usize::from(reader.u8()?)).copied();
    let state = state.ok_or(RestoreError::Invalid { what: "state", at })?;
    let at = reader.position();
    let severity = usize::from(reader.u8()?);
    let severity = Severity::ALL.get(severity).copied();
    let severity = severity.ok_or(RestoreError::Invalid { what: "severity", at })?;
    let (score, threshold) = (reader.f64()?, reader.f64()?);
    let (quiet_ms, opened_ms, first_ms, last_ms) =
        (reader.i64()?, reader.i64()?, reader.i64()?, reader.i64()?);
    let mut incident = Incident {
        id,
        revision,
        typology,
        reason,
        threshold,
        quiet_ms,
        user,
        state,
        score,
        severity,
        opened_ms,
        first_ms,
        last_ms,
        rules: BTreeMap::new(),
        transactions: Ends::default(),
        money: BTreeMap::new(),
        merchants: Few::default(),
    };
    for _ in 0..reader.count("rules", 8 + 8 + 1)? {
        let rule = reader.text("rule")?.into();
        let alerts = reader.u64()?;
        let best_score = reader.bool("score")?.then(|| reader.f64()).transpose()?;
        incident.rules.insert(rule, RuleCount { alerts, best_score });
    }
    incident.transactions = read_transactions(reader)?;
    for _ in 0..reader.count("money", 3 + 16)? {
        let at = reader.position();
        let currency = Currency::from_code(&reader.array()?);
        let currency = currency.ok_or(RestoreError::Invalid { what: "currency", at })?;
        incident.money.insert(currency, Sum::from_units(reader.i128()?));
    }
    incident.merchants = read_few(reader)?;
    Ok(incident)
}

fn read_transactions(reader: &mut StateReader<'_>) -> Result<Ends<TransactionId>, RestoreError> {
    let at = reader.position();
    let count = reader.u64()?;
    let mut kept = Vec::new();
    for _ in 0..reader.count("transactions", 16)? {
        kept.push(TransactionId::from_bytes(reader.array()?));
    }
    Ends::of(kept, count).ok_or(RestoreError::Invalid {
        what: "row of transactions",
        at,
    })
}

fn read_few(reader: &mut StateReader<'_>) -> Result<Few, RestoreError> {
    let has_more = reader.bool("further merchants")?;
    let mut known = Vec::new();
    for _ in 0..reader.count("merchants", 8)? {
        known.push(reader.text("merchant")?);
    }
    Ok(Few::of(known, has_more))
}
