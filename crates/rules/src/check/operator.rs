//! Operators: what they take, and what they give.

use super::{Checked, Checker, Outcome};
use crate::problem::Problem;
use crate::syntax::ast::{Binary, Expr, Node, Span};
use crate::syntax::literal::{duration_text, money_text};
use crate::term::{Arithmetic, Term};
use crate::types::Type;

impl Checker<'_> {
    pub(super) fn binary(&self, operator: Binary, left: &Expr, right: &Expr, whole: &Expr) -> Outcome {
        let condition = |term| Ok(Checked::Value(term, Type::Bool));
        match operator {
            Binary::And => condition(Term::and(vec![self.condition(left)?, self.condition(right)?])),
            Binary::Or => condition(Term::or(vec![self.condition(left)?, self.condition(right)?])),
            Binary::In => condition(self.is_in(left, right)?),
            Binary::Equal | Binary::Unequal => {
                let (a, b) = (self.check(left)?, self.check(right)?);
                let term = if a.ty().is_text() || b.ty().is_text() {
                    self.same((a, left), (b, right), &whole.span)?
                } else {
                    let (a, b) = comparable(operator, (a, left), (b, right), &whole.span)?;
                    let (a, b) = Term::sorted(a, b);
                    Term::Equal(a, b)
                };
                condition(if operator == Binary::Equal {
                    term
                } else {
                    Term::not(term)
                })
            }
            Binary::Less | Binary::AtMost | Binary::More | Binary::AtLeast => {
                let (a, b) = (self.check(left)?, self.check(right)?);
                let (a, b) = comparable(operator, (a, left), (b, right), &whole.span)?;
                let (a, b) = (Box::new(a), Box::new(b));
                condition(match operator {
                    Binary::Less => Term::Less(a, b),
                    Binary::More => Term::Less(b, a),
                    Binary::AtMost => Term::AtMost(a, b),
                    _ => Term::AtMost(b, a),
                })
            }
            Binary::Add | Binary::Subtract | Binary::Multiply | Binary::Divide => {
                let (a, b) = (self.check(left)?, self.check(right)?);
                arithmetic(operator, (a, left), (b, right), &whole.span)
            }
        }
    }

    pub(super) fn negative(&self, inner: &Expr) -> Outcome {
        match self.check(inner)? {
            Checked::Value(Term::Number(number), ty) => Ok(Checked::Value(Term::Number(-number), ty)),
            Checked::Value(term, ty) if ty.is_number() || matches!(ty, Type::Duration | Type::Money(_)) => {
                Ok(Checked::Value(Term::Negative(Box::new(term)), ty))
            }
            other => Err(
                Problem::new(inner.span.clone(), format!("{} has no negative", other.ty()))
                    .expected("a number"),
            ),
        }
    }

    pub(super) fn choice(&self, parts: &[Expr; 3], whole: &Expr) -> Outcome {
        let condition = self.condition(&parts[0])?;
        let (then, otherwise) = (self.check(&parts[1])?, self.check(&parts[2])?);
        let (Checked::Value(a, a_type), Checked::Value(b, b_type)) = (then, otherwise) else {
            return Err(Problem::new(whole.span.clone(), "a text depends on a condition")
                .fix("write the condition around it: `c and user == \"a\" or not c and user == \"b\"`"));
        };
        let ty = match (a_type, b_type) {
            (a, b) if a == b => a,
            (a, b) if a.is_number() && b.is_number() => Type::Ratio,
            (a, b) => {
                return Err(Problem::new(
                    whole.span.clone(),
                    format!("one side of `:` is {a}, the other {b}"),
                )
                .expected("the same on both"));
            }
        };
        Ok(Checked::Value(Term::If(Box::new([condition, a, b])), ty))
    }
}

/// Whether the two may be compared, and as what.
fn comparable(
    operator: Binary,
    left: (Checked, &Expr),
    right: (Checked, &Expr),
    whole: &Span,
) -> Result<(Term, Term), Problem> {
    let (a, b) = (left.0.ty(), right.0.ty());
    let is_equality = matches!(operator, Binary::Equal | Binary::Unequal);
    let (Checked::Value(left_term, _), Checked::Value(right_term, _)) = (left.0, right.0) else {
        return Err(no_order(whole, a, b));
    };
    let agree = match (a, b) {
        (Type::Bool, Type::Bool) => {
            return Err(Problem::new(whole.clone(), "a condition is compared")
                .fix("write the condition, or `not` before it"));
        }
        (Type::Place, Type::Place) if !is_equality => {
            return Err(
                Problem::new(whole.clone(), "places have no order").fix("write `distance_km(a, b) > 100`")
            );
        }
        (Type::Money(Some(one)), Type::Money(Some(other))) if one != other => {
            return Err(Problem::new(
                whole.clone(),
                format!("{one} and {other} are never compared: there is no rate of exchange"),
            ));
        }
        (Type::Money(_), Type::Money(_)) => true,
        (a, b) => a == b || (a.is_number() && b.is_number()),
    };
    if agree {
        return Ok((left_term, right_term));
    }
    if let (Type::Money(_), other) | (other, Type::Money(_)) = (a, b)
        && other.is_number()
    {
        let (money, number) = if matches!(a, Type::Money(_)) {
            (left.1, right.1)
        } else {
            (right.1, left.1)
        };
        return Err(bare_number(operator, whole, money, number));
    }
    if let (Type::Duration, other) | (other, Type::Duration) = (a, b)
        && other.is_number()
    {
        return Err(
            Problem::new(whole.clone(), "a duration is compared with a bare number")
                .fix("write the unit: `since_last() < 10s`"),
        );
    }
    Err(no_order(whole, a, b))
}

#[cold]
fn no_order(whole: &Span, a: Type, b: Type) -> Problem {
    let problem = Problem::new(whole.clone(), format!("{a} and {b} are not comparable"));
    if a.is_text() || b.is_text() {
        return problem.fix("texts and enums have `==`, `!=` and `in`");
    }
    problem.expected("two of one type")
}

/// Money against a number: which currency, or as a multiple of what?
#[cold]
fn bare_number(operator: Binary, whole: &Span, money: &Expr, number: &Expr) -> Problem {
    let text = match &number.node {
        Node::Integer(number) => number.to_string(),
        Node::Decimal(number) => number.to_string(),
        _ => "100".to_owned(),
    };
    let subject = match &money.node {
        Node::Name(name) if name != "usual" => name.clone(),
        Node::Call(call) => format!("{}(…)", call.name),
        _ => "amount".to_owned(),
    };
    let sign = operator.symbol();
    Problem::new(
        whole.clone(),
        format!("money of a varying currency is compared with a bare number: {text} of what?"),
    )
    .expected("money of a currency, or a ratio")
    .fix(format!(
        "write `{subject} {sign} {text} EUR` for one currency, or `{subject} / usual {sign} 5` for any"
    ))
}

fn arithmetic(operator: Binary, left: (Checked, &Expr), right: (Checked, &Expr), whole: &Span) -> Outcome {
    use Type::{Count, Duration, Instant, Money, Ratio};
    let (a, b) = (left.0.ty(), right.0.ty());
    let given = match (operator, a, b) {
        (Binary::Divide, a, b) if a.is_number() && b.is_number() => Some(Ratio),
        (_, Count, Count) => Some(Count),
        (_, a, b) if a.is_number() && b.is_number() => Some(Ratio),
        (Binary::Divide, Money(one), Money(other)) if one == other || one.is_none() || other.is_none() => {
            Some(Ratio)
        }
        (Binary::Add | Binary::Subtract, Money(one), Money(other)) if one == other => Some(Money(one)),
        (Binary::Multiply | Binary::Divide, Money(currency), b) if b.is_number() => Some(Money(currency)),
        (Binary::Multiply, a, Money(currency)) if a.is_number() => Some(Money(currency)),
        (Binary::Divide, Duration, Duration) => Some(Ratio),
        (Binary::Add | Binary::Subtract, Duration, Duration) | (Binary::Subtract, Instant, Instant) => {
            Some(Duration)
        }
        (Binary::Multiply | Binary::Divide, Duration, b) if b.is_number() => Some(Duration),
        (Binary::Multiply, a, Duration) if a.is_number() => Some(Duration),
        (Binary::Add | Binary::Subtract, Instant, Duration) => Some(Instant),
        _ => None,
    };
    let (Checked::Value(one, _), Checked::Value(other, _)) = (left.0, right.0) else {
        return Err(Problem::new(
            whole.clone(),
            format!("there is no `{}` of texts", operator.symbol()),
        )
        .expected("numbers, money or durations"));
    };
    let Some(ty) = given else {
        return Err(no_arithmetic(operator, a, b, right.1, whole));
    };
    if operator == Binary::Divide && other == Term::Number(0.0) {
        return Err(Problem::new(right.1.span.clone(), "division by 0 is never known"));
    }
    let (one, other) = match operator {
        Binary::Add | Binary::Multiply => Term::sorted(one, other),
        _ => (Box::new(one), Box::new(other)),
    };
    let operator = match operator {
        Binary::Add => Arithmetic::Add,
        Binary::Subtract => Arithmetic::Subtract,
        Binary::Multiply => Arithmetic::Multiply,
        _ => Arithmetic::Divide,
    };
    Ok(Checked::Value(Term::Arithmetic(operator, one, other), ty))
}

#[cold]
fn no_arithmetic(operator: Binary, a: Type, b: Type, right: &Expr, whole: &Span) -> Problem {
    let problem = Problem::new(
        whole.clone(),
        format!("there is no `{}` of {a} and {b}", operator.symbol()),
    );
    match (operator, a, b) {
        (Binary::Multiply, Type::Money(_), Type::Money(_)) => {
            problem.fix("multiply money by a number: `usual * 3`")
        }
        (_, Type::Money(Some(_)), Type::Money(None)) | (_, Type::Money(None), Type::Money(Some(_))) => {
            problem.fix("money of a varying currency is only compared with, or divided by, money of one")
        }
        (_, Type::Money(Some(one)), Type::Money(Some(other))) => problem.fix(format!(
            "{one} and {other} are never added: there is no rate of exchange"
        )),
        (Binary::Add | Binary::Subtract, Type::Money(_), b) if b.is_number() => {
            let text = match &right.node {
                Node::Integer(number) => money_text(number.saturating_mul(10_000)),
                _ => "1".to_owned(),
            };
            problem.fix(format!(
                "write a factor, `usual * 3`, or compare with `{text} EUR`"
            ))
        }
        (Binary::Add | Binary::Subtract, Type::Duration | Type::Instant, b) if b.is_number() => {
            let text = match &right.node {
                Node::Integer(number) => duration_text(number.saturating_mul(60_000)),
                _ => "10m".to_owned(),
            };
            problem.fix(format!("write the unit: `{text}`"))
        }
        (Binary::Divide, a, Type::Duration) if a.is_number() => {
            problem.fix("divide the duration too: `x / (since_last() / 1h)` for something an hour")
        }
        (_, Type::Bool, _) | (_, _, Type::Bool) => problem.fix("write `CONDITION ? 1 : 0`"),
        _ => problem.expected("numbers, money or durations that go together"),
    }
}
