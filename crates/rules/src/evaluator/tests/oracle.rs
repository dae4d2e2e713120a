//! Rules by the whole history: every term of every record is computed anew by walking the tree, and
//! every feature by going through all records so far.

use std::collections::HashMap;

use millrace_domain::{Currency, Transaction, city};

use super::super::Cities;
use super::super::record::Record;
use super::lists::Change;
use crate::catalogue::{Entity, Function, What};
use crate::file::Rule;
use crate::lists::ListRef;
use crate::plan::Plan;
use crate::program::{city_of, place_number};
use crate::state::Habits;
use crate::term::{Arithmetic, Feature, Of, Term, TextTerm};

pub(super) struct Oracle {
    rules: Vec<Rule>,
    features: HashMap<String, Feature>,
    records: Vec<Transaction>,
    /// Values of texts of terms, by record: what was computed stays as it was.
    known: HashMap<(String, usize), Option<f64>>,
    quiet_until_ms: HashMap<(usize, [u64; 3]), i64>,
    fired: u64,
    lists: Vec<Change>,
}

impl Oracle {
    pub(super) fn new(rules: &[Rule]) -> Self {
        let mut features = HashMap::new();
        for term in rules.iter().flat_map(Rule::terms) {
            term.features(&mut |feature| {
                features.insert(feature.to_string(), Feature::clone(feature));
            });
        }
        Self {
            rules: rules.to_vec(),
            features,
            records: Vec::new(),
            known: HashMap::new(),
            quiet_until_ms: HashMap::new(),
            fired: 0,
            lists: Vec::new(),
        }
    }

    /// With the changes of lists, in their order.
    pub(super) fn with_lists(mut self, lists: Vec<Change>) -> Self {
        self.lists = lists;
        self
    }

    /// Whether an entity was on a list as a record came: by the last word about it until then.
    fn is_listed(&self, at: usize, list: &ListRef, code: u128) -> bool {
        let mut told = self.lists.iter().filter(|change| change.before <= at);
        let last = told.rfind(|change| change.is_of(list, code));
        let time_ms = self.records[at].transaction_time_ms;
        last.is_some_and(|last| last.is_there && last.until_ms.is_none_or(|until_ms| time_ms < until_ms))
    }

    pub(super) fn fired(&self) -> u64 {
        self.fired
    }

    pub(super) fn learn(&mut self, transaction: &Transaction) {
        self.records.push(*transaction);
    }

    /// A feature of the last record, NaN if unknown; `None` if it is a text.
    pub(super) fn feature(&mut self, text: &str) -> Option<f64> {
        let feature = self.features.get(text)?.clone();
        if feature.what == What::Last && matches!(feature.of, Of::Text(_)) {
            return None;
        }
        let last = self.records.len() - 1;
        Some(self.value_of(&feature, last).unwrap_or(f64::NAN))
    }

    /// The rules that fire for the last record.
    pub(super) fn judge(&mut self) -> Vec<usize> {
        let last = self.records.len() - 1;
        let mut fired = Vec::new();
        for (at, rule) in self.rules.clone().iter().enumerate() {
            if self.term(&rule.when, last) != Some(1.0) {
                continue;
            }
            if let Some(quiet) = &rule.quiet {
                let user = key(&self.records[last], Entity::User);
                let newest_ms = self.newest_ms(Entity::User, last);
                let until_ms = self.quiet_until_ms.get(&(at, user)).copied();
                if until_ms.is_some_and(|until_ms| newest_ms < until_ms) {
                    continue;
                }
                let quiet_ms = self.term(quiet, last).unwrap() as i64;
                self.quiet_until_ms.insert((at, user), newest_ms + quiet_ms);
            }
            fired.push(at);
        }
        self.fired += fired.len() as u64;
        fired
    }

    fn newest_ms(&self, entity: Entity, at: usize) -> i64 {
        let own = key(&self.records[at], entity);
        let same = self.records[..=at]
            .iter()
            .filter(|record| key(record, entity) == own);
        same.map(|record| record.transaction_time_ms).max().unwrap()
    }

    /// Records before and at `at` of one entity that a feature looks at.
    fn asked(&mut self, feature: &Feature, at: usize) -> Vec<usize> {
        let own = key(&self.records[at], feature.entity);
        let mut asked = Vec::new();
        for other in 0..=at {
            if key(&self.records[other], feature.entity) != own {
                continue;
            }
            let holds = match &feature.only {
                Some(only) => self.term(only, other) == Some(1.0),
                None => true,
            };
            if holds {
                asked.push(other);
            }
        }
        asked
    }

    fn value_of(&mut self, feature: &Feature, at: usize) -> Option<f64> {
        let name = (feature.to_string(), at);
        if let Some(known) = self.known.get(&name) {
            return *known;
        }
        let value = self.compute(feature, at);
        self.known.insert(name, value);
        value
    }

    fn compute(&mut self, feature: &Feature, at: usize) -> Option<f64> {
        let asked = self.asked(feature, at);
        let time_ms = |oracle: &Self, at: usize| oracle.records[at].transaction_time_ms;
        match (&feature.what, feature.window_ms) {
            (What::Usual, _) | (What::ZScore, None) => return self.habit(feature, at),
            (What::Streak, _) => {
                let mut length = 0.0;
                for other in asked {
                    match self.number(feature, other) {
                        Some(1.0) => length += 1.0,
                        Some(_) => length = 0.0,
                        None => {}
                    }
                }
                return Some(length);
            }
            (What::SinceLast | What::Last, _) => {
                let last = self.last(feature, at)?;
                return if feature.what == What::Last {
                    self.number(feature, last)
                } else {
                    Some((time_ms(self, at) - time_ms(self, last)).abs() as f64)
                };
            }
            _ => {}
        }
        let start_ms = self.newest_ms(feature.entity, at) - feature.window_ms?;
        let mut within: Vec<usize> = asked;
        within.retain(|other| time_ms(self, *other) > start_ms);
        if feature.is_excluding || feature.what == What::FirstSeen {
            within.retain(|other| *other != at);
        }
        if let Of::Text(text) = &feature.of {
            let own = self.code(text, at)?;
            let mut codes: Vec<_> = within
                .iter()
                .filter_map(|other| self.code(text, *other))
                .collect();
            if feature.what == What::FirstSeen {
                return Some(f64::from(u8::from(!codes.contains(&own))));
            }
            codes.sort_unstable();
            codes.dedup();
            return Some(codes.len().min(25) as f64);
        }
        within.sort_by_key(|other| time_ms(self, *other));
        let mut values = Vec::new();
        for other in within {
            let value = self.number(feature, other);
            values.extend(value.map(|value| (value * feature.scale).round() as i64));
        }
        self.window(feature, &values, at)
    }

    fn window(&mut self, feature: &Feature, values: &[i64], at: usize) -> Option<f64> {
        let count = values.len() as f64;
        let sum: i64 = values.iter().sum();
        let scaled = |units: i64| units as f64 / feature.scale;
        match feature.what {
            What::Count => Some(count),
            What::Sum => Some(scaled(sum)),
            What::Avg => (count > 0.0).then(|| scaled(sum) / count),
            What::Min => values.iter().min().map(|units| scaled(*units)),
            What::Max => values.iter().max().map(|units| scaled(*units)),
            What::ZScore => {
                let own = (self.number(feature, at)? * feature.scale).round();
                let mean = sum as f64 / count;
                let squares: f64 = values.iter().map(|value| (*value as f64 - mean).powi(2)).sum();
                (count >= 2.0 && squares > 0.0).then(|| (own - mean) / (squares / count).sqrt())
            }
            _ => None,
        }
    }

    /// The last record before one whose value is known.
    fn last(&mut self, feature: &Feature, at: usize) -> Option<usize> {
        let mut last: Option<usize> = None;
        for other in self.asked(feature, at) {
            let is_known = match &feature.of {
                Of::Text(text) => self.code(text, other).is_some(),
                _ => self.number(feature, other).is_some(),
            };
            let time_ms = self.records[other].transaction_time_ms;
            let is_later = last.is_none_or(|last| time_ms >= self.records[last].transaction_time_ms);
            if other != at && is_known && is_later {
                last = Some(other);
            }
        }
        last
    }

    /// What a habit that learns the whole history is before a record.
    fn habit(&mut self, feature: &Feature, at: usize) -> Option<f64> {
        let least = match &feature.of {
            Of::Value(Term::Call(Function::Log, _)) => 0.3,
            _ => 0.0,
        };
        let user = Feature {
            entity: Entity::User,
            ..feature.clone()
        };
        let mut habits = Habits::default();
        for other in self.asked(&user, at) {
            if let (true, Some(value)) = (other != at, self.number(feature, other)) {
                habits.learn(currency(self.records[other].currency), value, least);
            }
        }
        let usual = habits.usual(currency(self.records[at].currency), least);
        if usual.mean.is_nan() {
            return None;
        }
        if feature.what == What::Usual {
            return Some(usual.mean.exp());
        }
        let value = self.number(feature, at)?;
        (usual.deviation > 0.0).then(|| (value - usual.mean) / usual.deviation)
    }

    fn number(&mut self, feature: &Feature, at: usize) -> Option<f64> {
        match &feature.of {
            Of::Value(term) => self.term(&term.clone(), at),
            _ => Some(0.0),
        }
    }

    fn code(&mut self, text: &TextTerm, at: usize) -> Option<u128> {
        match text {
            TextTerm::Field(field) => {
                let record = self.records[at];
                Some(Record::new(&record, &Plan::default(), &mut Cities::default()).code(*field as u8))
            }
            TextTerm::Code(code) => Some(code.value),
            TextTerm::Last(feature) => {
                let last = self.last(feature, at)?;
                match &feature.of {
                    Of::Text(text) => self.code(&text.clone(), last),
                    _ => None,
                }
            }
        }
    }

    fn term(&mut self, term: &Term, at: usize) -> Option<f64> {
        let record = self.records[at];
        let truth = |is_true: bool| Some(f64::from(u8::from(is_true)));
        match term {
            Term::Number(number) => Some(*number),
            Term::Money(units, currency) => (record.currency == *currency).then_some(*units as f64),
            Term::Amount => Some(record.amount.units() as f64),
            Term::Time => Some(record.transaction_time_ms as f64),
            Term::International => truth(record.is_international),
            Term::Place => city::find(&record.location).map(place_number),
            Term::Feature(feature) => self.value_of(feature, at),
            Term::Not(inner) => self.term(inner, at).map(|value| 1.0 - value),
            Term::Negative(inner) => self.term(inner, at).map(|value| -value),
            Term::Arithmetic(operator, a, b) => {
                let (a, b) = (self.term(a, at)?, self.term(b, at)?);
                match operator {
                    Arithmetic::Add => Some(a + b),
                    Arithmetic::Subtract => Some(a - b),
                    Arithmetic::Multiply => Some(a * b),
                    Arithmetic::Divide => (b != 0.0).then(|| a / b),
                }
            }
            Term::Less(a, b) => truth(self.term(a, at)? < self.term(b, at)?),
            Term::AtMost(a, b) => truth(self.term(a, at)? <= self.term(b, at)?),
            Term::Equal(a, b) => truth(self.term(a, at)? == self.term(b, at)?),
            Term::And(terms) => {
                let values: Vec<_> = terms.iter().map(|term| self.term(term, at)).collect();
                if values.contains(&Some(0.0)) {
                    return Some(0.0);
                }
                (!values.contains(&None)).then_some(1.0)
            }
            Term::Or(terms) => {
                let values: Vec<_> = terms.iter().map(|term| self.term(term, at)).collect();
                if values.contains(&Some(1.0)) {
                    return Some(1.0);
                }
                (!values.contains(&None)).then_some(0.0)
            }
            Term::If(parts) => match self.term(&parts[0], at)? {
                1.0 => self.term(&parts[1], at),
                _ => self.term(&parts[2], at),
            },
            Term::Same(a, b) => truth(self.code(a, at)? == self.code(b, at)?),
            Term::In(text, codes) => {
                let code = self.code(text, at)?;
                truth(codes.iter().any(|one| one.value == code))
            }
            Term::Listed(list, text) => {
                let code = self.code(text, at)?;
                truth(self.is_listed(at, list, code))
            }
            Term::Call(function, terms) => self.call(*function, terms, at),
        }
    }

    fn call(&mut self, function: Function, terms: &[Term], at: usize) -> Option<f64> {
        let values: Vec<_> = terms.iter().map(|term| self.term(term, at)).collect();
        if function == Function::Has {
            return Some(f64::from(u8::from(values[0].is_some())));
        }
        let x = values[0]?;
        match function {
            Function::Log => (x > 0.0).then(|| x.ln()),
            Function::Greatest => Some(x.max(values[1]?)),
            Function::DistanceKm => Some(city::distance_km(city_of(x)?, city_of(values[1]?)?)),
            Function::Hour | Function::Weekday => {
                let time = jiff::Timestamp::from_millisecond(x as i64).unwrap();
                let time = time.to_zoned(jiff::tz::TimeZone::UTC);
                Some(if function == Function::Hour {
                    f64::from(time.hour())
                } else {
                    f64::from(time.weekday().to_monday_one_offset())
                })
            }
            _ => unreachable!("no random rule has it"),
        }
    }
}

fn key(record: &Transaction, entity: Entity) -> [u64; 3] {
    Record::new(record, &Plan::default(), &mut Cities::default()).key(entity)
}

fn currency(currency: Currency) -> u32 {
    let [a, b, c] = *currency.as_bytes();
    u32::from_le_bytes([a, b, c, 0])
}
