//! Functions of values.

use super::{Checked, Checker, Outcome};
use crate::catalogue::{self, Function, FunctionEntry};
use crate::problem::Problem;
use crate::syntax::ast::{Call, Expr, Node};
use crate::syntax::literal::duration_ms;
use crate::term::{Of, Term, TextTerm};
use crate::types::{TextField, Type};

impl Checker<'_> {
    pub(super) fn call(&self, call: &Call, whole: &Expr) -> Outcome {
        if let Some(entry) = catalogue::feature(&call.name) {
            return self.feature(entry, call, whole);
        }
        let Some(entry) = catalogue::function_named(&call.name) else {
            let problem = Problem::new(
                call.name_span.clone(),
                format!("there is no function `{}`", call.name),
            );
            if catalogue::field(&call.name).is_some() {
                return Err(problem.fix(format!("`{}` is a field: write it without brackets", call.name)));
            }
            return Err(match call.name.as_str() {
                "mean" | "average" => problem.fix("did you mean `avg`?"),
                "stddev" | "std" => problem.fix("write `zscore(\"7d\", X) > 3`"),
                "not" => problem.fix("write `not (…)`"),
                "median" => problem.fix("`usual` is the user's usual amount"),
                name => problem
                    .expected("a function or a feature of docs/rules.md")
                    .near(name, catalogue::names()),
            });
        };
        if let Some(method) = call.methods.first() {
            return Err(Problem::new(
                method.span.clone(),
                format!("`{}` is no feature: it has no `.{}(…)`", call.name, method.name),
            ));
        }
        if call.arguments.len() != entry.arguments {
            return Err(Problem::new(
                whole.span.clone(),
                format!("`{}` has {} arguments", call.name, call.arguments.len()),
            )
            .expected(format!("{}", entry.arguments))
            .fix(format!("write `{}`", entry.usage)));
        }
        self.function(entry, &call.arguments, whole)
    }

    fn function(&self, entry: &FunctionEntry, arguments: &[Expr], whole: &Expr) -> Outcome {
        let first = &arguments[0];
        let made = |terms, ty| Ok(Checked::Value(Term::Call(entry.function, terms), ty));
        match entry.function {
            Function::Log => match self.check(first)? {
                Checked::Value(term, ty) if ty.is_number() => made(vec![term], Type::Ratio),
                Checked::Value(_, Type::Money(_)) => Err(Problem::new(
                    whole.span.clone(),
                    "the logarithm of money depends on the currency",
                )
                .fix("write `log(amount / usual)`; only `zscore(log(amount))` compares within one")),
                other => Err(wrong(first, other.ty(), "a ratio")),
            },
            Function::Exp | Function::Sqrt => made(vec![self.number(first)?], Type::Ratio),
            Function::Abs => match self.check(first)? {
                Checked::Value(term, ty)
                    if ty.is_number() || matches!(ty, Type::Duration | Type::Money(_)) =>
                {
                    made(vec![term], ty)
                }
                other => Err(wrong(first, other.ty(), "a number, money or a duration")),
            },
            Function::Least | Function::Greatest => self.extreme(entry, arguments, whole),
            Function::Hour | Function::Weekday => match self.check(first)? {
                Checked::Value(term, Type::Instant) => made(vec![term], Type::Count),
                other => Err(wrong(first, other.ty(), "an instant, as `time`")),
            },
            Function::Place => match self.check(first)? {
                Checked::Text(TextTerm::Field(TextField::Location), _) => {
                    Ok(Checked::Value(Term::Place, Type::Place))
                }
                other => Err(wrong(first, other.ty(), "`location`")
                    .fix("write `place(location)`, and `last(place(location))` for the one before")),
            },
            Function::DistanceKm => made(self.places(arguments)?, Type::Ratio),
            Function::Has => match self.of(first)? {
                (Of::Value(term), _) => made(vec![term], Type::Bool),
                (Of::Text(TextTerm::Last(feature)), _) => made(vec![Term::Feature(feature)], Type::Bool),
                _ => Err(Problem::new(first.span.clone(), "this is always known")),
            },
            Function::Listed => {
                let term = self.listed(first, &arguments[1])?;
                Ok(Checked::Value(term, Type::Bool))
            }
            Function::Duration => duration(first),
            Function::Timestamp => timestamp(first),
        }
    }

    /// Places in one order, as a distance is the same both ways.
    fn places(&self, arguments: &[Expr]) -> Result<Vec<Term>, Problem> {
        let mut places = Vec::new();
        for argument in arguments {
            match self.check(argument)? {
                Checked::Value(term, Type::Place) => places.push(term),
                other => {
                    return Err(wrong(argument, other.ty(), "a place")
                        .fix("write `distance_km(place(location), last(place(location)))`"));
                }
            }
        }
        places.sort_by_cached_key(ToString::to_string);
        Ok(places)
    }

    fn extreme(&self, entry: &FunctionEntry, arguments: &[Expr], whole: &Expr) -> Outcome {
        let (a, b) = (self.check(&arguments[0])?, self.check(&arguments[1])?);
        let (Checked::Value(one, a), Checked::Value(other, b)) = (a, b) else {
            return Err(Problem::new(whole.span.clone(), "texts have no order"));
        };
        let ty = match (a, b) {
            (a, b) if a.is_number() && b.is_number() => {
                if a == b {
                    a
                } else {
                    Type::Ratio
                }
            }
            (a, b) if a == b && matches!(a, Type::Money(_) | Type::Duration | Type::Instant) => a,
            (a, b) => {
                return Err(
                    Problem::new(whole.span.clone(), format!("{a} and {b} are not comparable"))
                        .expected("two of one type"),
                );
            }
        };
        let (one, other) = Term::sorted(one, other);
        Ok(Checked::Value(Term::Call(entry.function, vec![*one, *other]), ty))
    }
}

fn wrong(argument: &Expr, ty: Type, expected: &str) -> Problem {
    Problem::new(argument.span.clone(), format!("this is {ty}")).expected(expected)
}

fn duration(argument: &Expr) -> Outcome {
    let ms = match &argument.node {
        Node::Text(text) => duration_ms(text),
        _ => None,
    };
    let ms = ms.ok_or_else(|| {
        Problem::new(argument.span.clone(), "this is no duration").expected("a text as \"10m\" or \"1h30m\"")
    })?;
    Ok(Checked::Value(Term::Number(ms as f64), Type::Duration))
}

fn timestamp(argument: &Expr) -> Outcome {
    let instant = match &argument.node {
        Node::Text(text) => text.parse::<jiff::Timestamp>().ok(),
        _ => None,
    };
    let instant = instant.ok_or_else(|| {
        Problem::new(argument.span.clone(), "this is no instant")
            .expected("a text as \"2026-01-31T00:00:00Z\"")
    })?;
    let ms = instant.as_millisecond() as f64;
    Ok(Checked::Value(Term::Number(ms), Type::Instant))
}
