//! Texts and enums: what they may be compared with.

use millrace_domain::{Currency, PaymentMethod, ShortId, TransactionType};

use super::{Checked, Checker};
use crate::problem::{Problem, nearest};
use crate::syntax::ast::{Expr, Node, Span};
use crate::term::{Code, Term, TextTerm};
use crate::types::{TextField, Type};

/// The most values of one list.
pub(crate) const MAX_LIST_LEN: usize = 10_000;

/// The text as a value of `field`.
pub(crate) fn code(text: &str, field: TextField, span: &Span) -> Result<Code, Problem> {
    let made = |value| Code {
        text: text.to_owned(),
        value,
    };
    match field {
        TextField::User | TextField::Merchant | TextField::Location => ShortId::new(text, field.name())
            .map(|id| made(code_of_id(&id)))
            .map_err(|error| Problem::new(span.clone(), error.to_string())),
        TextField::Currency => Currency::parse(text.as_bytes())
            .map(|currency| made(code_of_currency(currency)))
            .map_err(|_| {
                Problem::new(span.clone(), format!("{text:?} is no currency"))
                    .expected("a code of three capital letters, as \"EUR\"")
            }),
        TextField::Type => symbol(
            text,
            field,
            span,
            TransactionType::parse(text).map(|value| value as u128),
        )
        .map(made),
        TextField::Method => symbol(
            text,
            field,
            span,
            PaymentMethod::parse(text).map(|value| value as u128),
        )
        .map(made),
    }
}

pub(crate) fn code_of_id(id: &ShortId) -> u128 {
    let (low, high) = id.to_words();
    u128::from(low) | u128::from(high) << 64
}

pub(crate) fn code_of_currency(currency: Currency) -> u128 {
    let [a, b, c] = *currency.as_bytes();
    u128::from(u32::from_le_bytes([a, b, c, 0]))
}

fn symbol(text: &str, field: TextField, span: &Span, value: Option<u128>) -> Result<u128, Problem> {
    value.ok_or_else(|| {
        let symbols = field.symbols();
        let listed = symbols
            .iter()
            .map(|symbol| format!("{symbol:?}"))
            .collect::<Vec<_>>()
            .join(", ");
        let problem = Problem::new(span.clone(), format!("`{}` is never {text:?}", field.name()))
            .expected(format!("one of {listed}"));
        match nearest(&text.to_lowercase(), symbols.iter().copied()) {
            Some(near) => problem.fix(format!("did you mean {near:?}?")),
            None => problem,
        }
    })
}

impl Checker<'_> {
    /// `left == right` of texts.
    pub(super) fn same(
        &self,
        left: (Checked, &Expr),
        right: (Checked, &Expr),
        whole: &Span,
    ) -> Result<Term, Problem> {
        let (left, left_expr) = left;
        let (right, right_expr) = right;
        let (one, other) = match (left, right) {
            (Checked::Text(text, Type::Text(field)), Checked::Literal(literal)) => {
                (text, TextTerm::Code(code(&literal, field, &right_expr.span)?))
            }
            (Checked::Literal(literal), Checked::Text(text, Type::Text(field))) => {
                (text, TextTerm::Code(code(&literal, field, &left_expr.span)?))
            }
            (Checked::Text(one, a), Checked::Text(other, b)) if a == b => (one, other),
            (Checked::Literal(_), Checked::Literal(_)) => {
                return Err(Problem::new(whole.clone(), "two texts that never change")
                    .expected("a field on one side"));
            }
            (a, b) => {
                return Err(Problem::new(
                    whole.clone(),
                    format!("{} and {} are never the same", a.ty(), b.ty()),
                )
                .expected("two texts of one field"));
            }
        };
        if one == other {
            return Err(Problem::new(whole.clone(), "both sides are the same"));
        }
        // In one order, whichever was written.
        let (one, other) = if one.to_string() <= other.to_string() || matches!(other, TextTerm::Code(_)) {
            (one, other)
        } else {
            (other, one)
        };
        Ok(Term::Same(one, other))
    }

    /// `left in right`.
    pub(super) fn is_in(&self, left: &Expr, right: &Expr) -> Result<Term, Problem> {
        let (text, field) = match self.check(left)? {
            Checked::Text(text, Type::Text(field)) => (text, field),
            other => {
                return Err(
                    Problem::new(left.span.clone(), format!("{} is in no list", other.ty()))
                        .expected("a text or an enum, as `merchant in [\"m-1\"]`"),
                );
            }
        };
        let mut codes = self.codes(field, right)?;
        codes.sort();
        codes.dedup();
        if codes.len() > MAX_LIST_LEN {
            return Err(
                Problem::new(right.span.clone(), format!("the list has {} values", codes.len()))
                    .expected(format!("at most {MAX_LIST_LEN}")),
            );
        }
        Ok(match codes.len() {
            0 => return Err(Problem::new(right.span.clone(), "the list is empty")),
            1 => Term::Same(text, TextTerm::Code(codes.remove(0))),
            _ => Term::In(text, codes),
        })
    }

    fn codes(&self, field: TextField, list: &Expr) -> Result<Vec<Code>, Problem> {
        match &list.node {
            Node::List(items) => {
                items
                    .iter()
                    .map(|item| match &item.node {
                        Node::Text(text) => code(text, field, &item.span),
                        _ => Err(Problem::new(item.span.clone(), "a list holds texts")
                            .expected("a text in quotes")),
                    })
                    .collect()
            }
            Node::Name(name) => match self.lists.get(name) {
                Some(values) => values.iter().map(|text| code(text, field, &list.span)).collect(),
                None => Err(
                    Problem::new(list.span.clone(), format!("there is no list `{name}` in this file"))
                        .expected(format!(
                            "a list in brackets, or one of `lists:`; of `millrace lists` it is `listed({name:?}, {})`",
                            field.name()
                        ))
                        .near(name, self.lists.keys().map(String::as_str)),
                ),
            },
            _ => Err(Problem::new(list.span.clone(), "this is no list").fix("write `[\"a\", \"b\"]`")),
        }
    }
}
