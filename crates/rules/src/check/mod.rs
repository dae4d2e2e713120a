//! From a tree to a term: names are looked up, types are checked, and whatever means the same gets
//! one form.

mod call;
pub(crate) mod feature;
mod listed;
mod operator;
pub(crate) mod text;

use std::collections::BTreeMap;

use crate::catalogue;
use crate::problem::Problem;
use crate::syntax::ast::{Expr, Node};
use crate::term::{Of, Term, TextTerm};
use crate::types::{TextField, Type};

/// Named lists of a file, by name.
pub(crate) type Lists = BTreeMap<String, Vec<String>>;

/// A value with its type.
#[derive(Debug, Clone)]
pub(crate) enum Checked {
    Value(Term, Type),
    /// A text or an enum, of no field yet where it is a literal.
    Text(TextTerm, Type),
    /// A text that was written, with no field to compare it with yet.
    Literal(String),
}

impl Checked {
    pub(crate) fn ty(&self) -> Type {
        match self {
            Self::Value(_, ty) | Self::Text(_, ty) => *ty,
            Self::Literal(_) => Type::AnyText,
        }
    }
}

/// Checks the expressions of one file.
pub(crate) struct Checker<'a> {
    pub(crate) lists: &'a Lists,
}

type Outcome = Result<Checked, Problem>;

impl Checker<'_> {
    /// A term of a condition.
    pub(crate) fn condition(&self, expr: &Expr) -> Result<Term, Problem> {
        match self.check(expr)? {
            Checked::Value(term, Type::Bool) => Ok(term),
            other => {
                let problem = Problem::new(expr.span.clone(), format!("this is {}", other.ty()))
                    .expected("a condition, true or false");
                Err(match other.ty() {
                    Type::Money(_) => problem.fix("compare it: `amount > 100 EUR`, `amount / usual > 5`"),
                    ty if ty.is_number() => problem.fix("compare it: `count(\"10m\") > 3`"),
                    Type::Duration => problem.fix("compare it: `since_last() < 10s`"),
                    _ => problem,
                })
            }
        }
    }

    /// A term of a plain number.
    pub(crate) fn number(&self, expr: &Expr) -> Result<Term, Problem> {
        match self.check(expr)? {
            Checked::Value(term, ty) if ty.is_number() => Ok(term),
            other => {
                let problem =
                    Problem::new(expr.span.clone(), format!("this is {}", other.ty())).expected("a number");
                Err(match other.ty() {
                    Type::Money(_) => problem.fix("divide it by other money: `amount / usual`"),
                    Type::Duration => problem.fix("divide it by a duration: `since_last() / 1h`"),
                    Type::Bool => problem.fix("write `CONDITION ? 1 : 0`"),
                    _ => problem,
                })
            }
        }
    }

    /// A term of a duration.
    pub(crate) fn duration(&self, expr: &Expr) -> Result<Term, Problem> {
        match self.check(expr)? {
            Checked::Value(term, Type::Duration) => Ok(term),
            other => Err(Problem::new(expr.span.clone(), format!("this is {}", other.ty()))
                .expected("a duration")
                .fix("write `10m`, or `X * 1h` for a number of hours")),
        }
    }

    pub(crate) fn check(&self, expr: &Expr) -> Outcome {
        let value = |term, ty| Ok(Checked::Value(term, ty));
        match &expr.node {
            Node::Integer(number) => value(Term::Number(*number as f64), Type::Count),
            Node::Decimal(number) => value(Term::Number(*number), Type::Ratio),
            Node::Money(units, currency) => {
                value(Term::Money(*units, *currency), Type::Money(Some(*currency)))
            }
            Node::Duration(ms) => value(Term::Number(*ms as f64), Type::Duration),
            Node::Bool(is_true) => value(Term::Number(f64::from(u8::from(*is_true))), Type::Bool),
            Node::Text(text) => Ok(Checked::Literal(text.clone())),
            Node::Name(name) => self.name(name, expr),
            Node::List(_) => Err(Problem::new(expr.span.clone(), "a list stands alone")
                .fix("ask whether something is in it: `merchant in [\"m-1\", \"m-2\"]`")),
            Node::Not(inner) => {
                let term = self.condition(inner)?;
                value(Term::not(term), Type::Bool)
            }
            Node::Negative(inner) => self.negative(inner),
            Node::Binary(operator, left, right) => self.binary(*operator, left, right, expr),
            Node::If(parts) => self.choice(parts, expr),
            Node::Call(call) => self.call(call, expr),
        }
    }

    fn name(&self, name: &str, expr: &Expr) -> Outcome {
        if let Some(field) = catalogue::field(name) {
            return Ok(match (name, field.ty) {
                ("amount", ty) => Checked::Value(Term::Amount, ty),
                ("usual", ty) => Checked::Value(Term::Feature(feature::usual()), ty),
                ("time", ty) => Checked::Value(Term::Time, ty),
                ("international", ty) => Checked::Value(Term::International, ty),
                (_, ty @ Type::Text(field)) => Checked::Text(TextTerm::Field(field), ty),
                (_, ty) => Checked::Value(Term::Number(f64::NAN), ty),
            });
        }
        let problem = Problem::new(expr.span.clone(), format!("there is no `{name}`"));
        let symbol_of = [TextField::Type, TextField::Method]
            .into_iter()
            .find(|field| field.symbols().contains(&name));
        if let Some(field) = symbol_of {
            return Err(problem.fix(format!("put values of `{}` in quotes: \"{name}\"", field.name())));
        }
        if self.lists.contains_key(name) {
            return Err(
                Problem::new(expr.span.clone(), format!("the list `{name}` stands alone"))
                    .fix(format!("ask whether something is in it: `merchant in {name}`")),
            );
        }
        if catalogue::feature(name).is_some() || catalogue::function_named(name).is_some() {
            let usage = catalogue::feature(name)
                .map(|entry| entry.usage)
                .or_else(|| catalogue::function_named(name).map(|entry| entry.usage));
            return Err(Problem::new(expr.span.clone(), format!("`{name}` is a function"))
                .fix(format!("write `{}`", usage.unwrap_or(name))));
        }
        if matches!(name, "True" | "False" | "TRUE" | "FALSE") {
            return Err(problem.fix(format!("write `{}`", name.to_lowercase())));
        }
        if matches!(name, "null" | "None" | "unknown") {
            return Err(problem.fix("ask whether something is known: `has(usual)`"));
        }
        if millrace_domain::Currency::parse(name.as_bytes()).is_ok() {
            return Err(problem.fix(format!("write money as `100 {name}`, a currency as \"{name}\"")));
        }
        let problem = problem.expected("a field or a feature of docs/rules.md");
        let fields = catalogue::FIELDS.iter().map(|field| field.name);
        Err(problem.near(name, fields.chain(self.lists.keys().map(String::as_str))))
    }

    /// What a feature or `has` may be of.
    fn of(&self, expr: &Expr) -> Result<(Of, Type), Problem> {
        match self.check(expr)? {
            Checked::Value(term, ty) => Ok((Of::Value(term), ty)),
            Checked::Text(text, ty) => Ok((Of::Text(text), ty)),
            Checked::Literal(_) => {
                Err(Problem::new(expr.span.clone(), "this text never changes").expected("a field or a value"))
            }
        }
    }
}
