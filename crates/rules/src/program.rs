//! Terms as flat programs for a stack of doubles, in which NaN is unknown.

mod compile;

use millrace_domain::city::{self, CityNumber};

pub(crate) use self::compile::Compiler;
use crate::catalogue::Function;

/// The deepest stack that an expression needs: one place a level, and two for a choice.
const STACK: usize = 2 * crate::syntax::MAX_DEPTH as usize + 8;

const SMALL_STACK: usize = 6;

/// A text: a field of the record, a constant, or the value of a feature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum TextSource {
    Field(u8),
    Code(u32),
    Last(u16),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Op {
    Number(f64),
    Money(f64, u32),
    Amount,
    Time,
    International,
    Place,
    Feature(u16),
    Not,
    Negative,
    Add,
    Subtract,
    Multiply,
    Divide,
    Less,
    AtMost,
    Equal,
    And,
    Or,
    If,
    Same(TextSource, TextSource),
    /// One of the codes from the first index to the second.
    In(TextSource, u32, u32),
    /// On a list of the plan, by its number.
    Listed(TextSource, u16),
    Call(Function),
}

/// A term as it is computed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Program {
    ops: Vec<Op>,
    codes: Vec<u128>,
    /// Places of the stack that it needs.
    depth: usize,
}

/// What a program asks for.
pub(crate) trait Inputs {
    fn amount(&self) -> f64;
    fn time_ms(&self) -> f64;
    fn is_international(&self) -> bool;
    /// The currency's letters.
    fn currency(&self) -> u32;
    /// The number of the location's city.
    fn place(&self) -> f64;
    /// A field that is a text, by its number.
    fn field(&self, field: u8) -> u128;
    fn feature(&self, slot: u16) -> f64;
    /// The value of a feature that is a text; `None` while it is unknown.
    fn last(&self, slot: u16) -> Option<u128>;
    /// Whether an id is on a list, by the list's number, at the record's event time.
    fn is_listed(&self, list: u16, code: u128) -> bool;
}

impl Program {
    /// Those that cost less come first: what looks at the record alone before what looks at
    /// features.
    pub(crate) fn rank(&self) -> (usize, usize) {
        let features = self
            .ops
            .iter()
            .filter(|op| {
                matches!(op, Op::Feature(_))
                    || matches!(op, Op::Same(a, b) if is_last(a) || is_last(b))
                    || matches!(op, Op::In(text, ..) | Op::Listed(text, _) if is_last(text))
            })
            .count();
        (features, self.weight())
    }

    /// Whether it asks where the record's city is.
    pub(crate) fn needs_place(&self) -> bool {
        self.ops.contains(&Op::Place)
    }

    /// How long it takes, in operations of the simplest kind: a look into a list that changes may
    /// wait for memory.
    pub(crate) fn weight(&self) -> usize {
        const LOOK: usize = 8;
        let looks = self.ops.iter().filter(|op| matches!(op, Op::Listed(..)));
        self.ops.len() + looks.count() * (LOOK - 1)
    }

    /// Its value.
    #[inline]
    pub(crate) fn run(&self, inputs: &impl Inputs) -> f64 {
        // Most need few places, and clearing many takes longer than what is computed.
        if self.depth <= SMALL_STACK {
            self.run_within::<SMALL_STACK>(inputs)
        } else {
            self.run_within::<STACK>(inputs)
        }
    }

    #[inline]
    fn run_within<const PLACES: usize>(&self, inputs: &impl Inputs) -> f64 {
        let mut stack = [0.0_f64; PLACES];
        let mut top = 0;
        for op in &self.ops {
            let pushed = match *op {
                Op::Number(number) => number,
                Op::Money(units, currency) => {
                    if currency == inputs.currency() {
                        units
                    } else {
                        f64::NAN
                    }
                }
                Op::Amount => inputs.amount(),
                Op::Time => inputs.time_ms(),
                Op::International => f64::from(u8::from(inputs.is_international())),
                Op::Place => inputs.place(),
                Op::Feature(slot) => inputs.feature(slot),
                Op::Same(a, b) => match (self.text(a, inputs), self.text(b, inputs)) {
                    (Some(a), Some(b)) => truth(a == b),
                    _ => f64::NAN,
                },
                Op::In(text, first, end) => match self.text(text, inputs) {
                    Some(code) => {
                        let codes = &self.codes[first as usize..end as usize];
                        truth(codes.binary_search(&code).is_ok())
                    }
                    None => f64::NAN,
                },
                Op::Listed(text, list) => match self.text(text, inputs) {
                    Some(code) => truth(inputs.is_listed(list, code)),
                    None => f64::NAN,
                },
                Op::Not => {
                    top -= 1;
                    1.0 - stack[top]
                }
                Op::Negative => {
                    top -= 1;
                    -stack[top]
                }
                Op::If => {
                    top -= 3;
                    choose(stack[top], stack[top + 1], stack[top + 2])
                }
                Op::Call(function) if is_unary(function) => {
                    top -= 1;
                    unary(function, stack[top])
                }
                binary_op => {
                    top -= 2;
                    binary(binary_op, stack[top], stack[top + 1])
                }
            };
            stack[top] = pushed;
            top += 1;
        }
        stack[0]
    }

    #[inline]
    fn text(&self, source: TextSource, inputs: &impl Inputs) -> Option<u128> {
        match source {
            TextSource::Field(field) => Some(inputs.field(field)),
            TextSource::Code(at) => self.codes.get(at as usize).copied(),
            TextSource::Last(slot) => inputs.last(slot),
        }
    }
}

fn is_last(source: &TextSource) -> bool {
    matches!(source, TextSource::Last(_))
}

#[inline]
fn truth(is_true: bool) -> f64 {
    f64::from(u8::from(is_true))
}

#[inline]
fn known(a: f64, b: f64, is_true: bool) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        truth(is_true)
    }
}

#[inline]
fn choose(condition: f64, then: f64, otherwise: f64) -> f64 {
    if condition.is_nan() {
        f64::NAN
    } else if condition == 0.0 {
        otherwise
    } else {
        then
    }
}

#[inline]
fn binary(op: Op, a: f64, b: f64) -> f64 {
    match op {
        Op::Add => a + b,
        Op::Subtract => a - b,
        Op::Multiply => a * b,
        Op::Divide if b == 0.0 => f64::NAN,
        Op::Divide => a / b,
        Op::Less => known(a, b, a < b),
        Op::AtMost => known(a, b, a <= b),
        Op::Equal => known(a, b, a == b),
        // By Kleene: false and unknown is false, true or unknown is true.
        Op::And if a == 0.0 || b == 0.0 => 0.0,
        Op::And => a * b,
        Op::Or if a == 1.0 || b == 1.0 => 1.0,
        Op::Or => a + b,
        Op::Call(Function::Least) if a.is_nan() || b.is_nan() => f64::NAN,
        Op::Call(Function::Least) => a.min(b),
        Op::Call(Function::Greatest) if a.is_nan() || b.is_nan() => f64::NAN,
        Op::Call(Function::Greatest) => a.max(b),
        Op::Call(Function::DistanceKm) => distance_km(a, b),
        _ => f64::NAN,
    }
}

fn is_unary(function: Function) -> bool {
    !matches!(
        function,
        Function::Least | Function::Greatest | Function::DistanceKm
    )
}

fn unary(function: Function, x: f64) -> f64 {
    const DAY_MS: f64 = 86_400_000.0;
    const HOUR_MS: f64 = 3_600_000.0;
    match function {
        Function::Log if x > 0.0 => x.ln(),
        Function::Exp => x.exp(),
        Function::Sqrt => x.sqrt(),
        Function::Abs => x.abs(),
        Function::Hour => (x.rem_euclid(DAY_MS) / HOUR_MS).floor(),
        // 1970 began on a Thursday.
        Function::Weekday => ((x / DAY_MS).floor() + 3.0).rem_euclid(7.0) + 1.0,
        Function::Has => truth(!x.is_nan()),
        _ => f64::NAN,
    }
}

/// The number of a city as it is kept in states: of GeoNames, or below 0 for the generator's.
pub(crate) fn place_number(city: CityNumber) -> f64 {
    match city.listed() {
        Some(index) => -1.0 - index as f64,
        None => city.geonames_id().map_or(f64::NAN, f64::from),
    }
}

/// The city that a number is of.
pub(crate) fn city_of(number: f64) -> Option<CityNumber> {
    if number.is_nan() {
        None
    } else if number < 0.0 {
        CityNumber::of_listed((-1.0 - number) as usize)
    } else {
        CityNumber::of_geonames_id(number as u32)
    }
}

fn distance_km(a: f64, b: f64) -> f64 {
    match (city_of(a), city_of(b)) {
        (Some(a), Some(b)) => city::distance_km(a, b),
        _ => f64::NAN,
    }
}
