//! From a term to its program.

use std::collections::HashMap;

use super::{Op, Program, TextSource, is_unary};
use crate::lists::ListRef;
use crate::term::{Arithmetic, Term, TextTerm};

/// How many places of the stack are in use at once.
fn depth(ops: &[Op]) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for op in ops {
        let taken = match op {
            Op::Not | Op::Negative => 1,
            Op::Call(function) if is_unary(*function) => 1,
            Op::If => 3,
            Op::Number(_) | Op::Money(..) | Op::Amount | Op::Time | Op::International => 0,
            Op::Place | Op::Feature(_) | Op::Same(..) | Op::In(..) | Op::Listed(..) => 0,
            _ => 2,
        };
        now = now + 1 - taken;
        most = most.max(now);
    }
    most
}

/// Makes programs of terms whose features have their slots.
pub(crate) struct Compiler<'a> {
    slots: &'a HashMap<String, u16>,
    lists: &'a mut Vec<ListRef>,
    program: Program,
}

impl<'a> Compiler<'a> {
    /// With the features' slots, and the lists that are asked for so far: those of its terms are
    /// added.
    pub(crate) fn new(slots: &'a HashMap<String, u16>, lists: &'a mut Vec<ListRef>) -> Self {
        Self {
            slots,
            lists,
            program: Program {
                ops: Vec::new(),
                codes: Vec::new(),
                depth: 0,
            },
        }
    }

    pub(crate) fn compile(mut self, term: &Term) -> Program {
        self.term(term);
        self.program.depth = depth(&self.program.ops);
        self.program
    }

    fn term(&mut self, term: &Term) {
        let op = match term {
            Term::Number(number) => Op::Number(*number),
            Term::Money(units, currency) => {
                let [a, b, c] = *currency.as_bytes();
                Op::Money(*units as f64, u32::from_le_bytes([a, b, c, 0]))
            }
            Term::Amount => Op::Amount,
            Term::Time => Op::Time,
            Term::International => Op::International,
            Term::Place => Op::Place,
            Term::Feature(feature) => Op::Feature(self.slot(&feature.to_string())),
            Term::Not(inner) => self.after(&[inner], Op::Not),
            Term::Negative(inner) => self.after(&[inner], Op::Negative),
            Term::Arithmetic(arithmetic, a, b) => self.after(
                &[a, b],
                match arithmetic {
                    Arithmetic::Add => Op::Add,
                    Arithmetic::Subtract => Op::Subtract,
                    Arithmetic::Multiply => Op::Multiply,
                    Arithmetic::Divide => Op::Divide,
                },
            ),
            Term::Less(a, b) => self.after(&[a, b], Op::Less),
            Term::AtMost(a, b) => self.after(&[a, b], Op::AtMost),
            Term::Equal(a, b) => self.after(&[a, b], Op::Equal),
            Term::And(terms) => return self.fold(terms, Op::And),
            Term::Or(terms) => return self.fold(terms, Op::Or),
            Term::If(parts) => self.after(&[&parts[0], &parts[1], &parts[2]], Op::If),
            Term::Same(a, b) => Op::Same(self.text(a), self.text(b)),
            Term::In(text, codes) => {
                let text = self.text(text);
                let first = self.program.codes.len();
                let mut values: Vec<u128> = codes.iter().map(|code| code.value).collect();
                values.sort_unstable();
                self.program.codes.extend(values);
                Op::In(text, index(first), index(self.program.codes.len()))
            }
            Term::Listed(list, text) => Op::Listed(self.text(text), self.list(list)),
            Term::Call(function, terms) => {
                terms.iter().for_each(|term| self.term(term));
                Op::Call(*function)
            }
        };
        self.program.ops.push(op);
    }

    fn after(&mut self, terms: &[&Term], op: Op) -> Op {
        terms.iter().for_each(|term| self.term(term));
        op
    }

    fn fold(&mut self, terms: &[Term], op: Op) {
        for (at, term) in terms.iter().enumerate() {
            self.term(term);
            if at > 0 {
                self.program.ops.push(op);
            }
        }
    }

    fn text(&mut self, text: &TextTerm) -> TextSource {
        match text {
            TextTerm::Field(field) => TextSource::Field(*field as u8),
            TextTerm::Code(code) => {
                self.program.codes.push(code.value);
                TextSource::Code(index(self.program.codes.len() - 1))
            }
            TextTerm::Last(feature) => TextSource::Last(self.slot(&feature.to_string())),
        }
    }

    fn list(&mut self, wanted: &ListRef) -> u16 {
        let known = self.lists.iter().position(|list| list == wanted);
        let at = known.unwrap_or_else(|| {
            self.lists.push(wanted.clone());
            self.lists.len() - 1
        });
        u16::try_from(at).unwrap_or(u16::MAX)
    }

    fn slot(&self, text: &str) -> u16 {
        self.slots.get(text).copied().unwrap_or(u16::MAX)
    }
}

/// Lists and texts are bounded far below what 32 bits hold.
fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
