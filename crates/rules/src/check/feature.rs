//! Features: whose history, of what, which records of it, over which window.

use std::sync::{Arc, LazyLock};

use millrace_domain::TransactionType;

use super::{Checked, Checker, Outcome};
use crate::catalogue::{Entity, FeatureEntry, Function, WINDOWS, What, WindowNeed};
use crate::problem::Problem;
use crate::syntax::ast::{Call, Expr, Method, Node, Span};
use crate::syntax::literal::{duration_ms, duration_text};
use crate::term::{Code, Feature, Of, Term, TextTerm};
use crate::types::{TextField, Type};

/// How many features may be within one another: `count("1h", amount > usual)` has two.
pub(crate) const MAX_FEATURE_DEPTH: usize = 4;

/// Ratios are kept to a millionth.
const RATIO_SCALE: f64 = 1_000_000.0;

/// What `usual` is.
pub(super) fn usual() -> Arc<Feature> {
    static USUAL: LazyLock<Arc<Feature>> = LazyLock::new(|| {
        let purchase = TextTerm::Code(Code {
            text: TransactionType::Purchase.as_str().to_owned(),
            value: TransactionType::Purchase as u128,
        });
        Arc::new(Feature {
            what: What::Usual,
            entity: Entity::UserCurrency,
            of: Of::Value(Term::Call(Function::Log, vec![Term::Amount])),
            only: Some(Term::Same(TextTerm::Field(TextField::Type), purchase)),
            window_ms: None,
            is_excluding: true,
            scale: 1.0,
            ty: Type::Money(None),
        })
    });
    Arc::clone(&USUAL)
}

/// A feature as it is put together.
struct Parts {
    window_ms: Option<i64>,
    of: Option<(Of, Type, Span)>,
    only: Vec<Term>,
    entity: Option<(Entity, Span)>,
    is_excluding: bool,
}

impl Checker<'_> {
    pub(super) fn feature(&self, entry: &FeatureEntry, call: &Call, whole: &Expr) -> Outcome {
        let mut parts = Parts {
            window_ms: None,
            of: None,
            only: Vec::new(),
            entity: None,
            is_excluding: false,
        };
        let mut arguments = call.arguments.iter().peekable();
        if let Some(first) = arguments.next_if(|first| is_window(first)) {
            parts.window_ms = Some(window(entry, first)?);
        }
        if entry.takes_value {
            let Some(argument) = arguments.next() else {
                return Err(
                    Problem::new(whole.span.clone(), format!("`{}` of what?", entry.name))
                        .fix(format!("write `{}`", entry.usage)),
                );
            };
            let (of, ty) = self.value(entry, argument)?;
            parts.of = Some((of, ty, argument.span.clone()));
        }
        if let Some(argument) = arguments.next() {
            parts.only.push(self.only(argument)?);
        }
        if let Some(more) = arguments.next() {
            return Err(Problem::new(
                more.span.clone(),
                format!("`{}` has too many arguments", entry.name),
            )
            .fix(format!("write `{}`", entry.usage)));
        }
        for method in &call.methods {
            self.method(entry, method, &mut parts)?;
        }
        finish(entry, parts, &whole.span)
    }

    fn only(&self, argument: &Expr) -> Result<Term, Problem> {
        self.condition(argument)
    }

    fn method(&self, entry: &FeatureEntry, method: &Method, parts: &mut Parts) -> Result<(), Problem> {
        let twice = || Problem::new(method.span.clone(), format!("`{}` is said twice", method.name));
        match (method.name.as_str(), method.arguments.as_slice()) {
            ("by", names) => {
                if parts.entity.is_some() {
                    return Err(twice());
                }
                parts.entity = Some((entity(names, &method.span)?, method.span.clone()));
            }
            ("where", [condition]) => parts.only.push(self.condition(condition)?),
            ("over", [over]) => {
                if parts.window_ms.is_some() {
                    return Err(twice());
                }
                parts.window_ms = Some(window(entry, over)?);
            }
            ("excluding_current", []) => {
                if matches!(
                    entry.what,
                    What::FirstSeen | What::SinceLast | What::Last | What::Streak | What::ZScore
                ) {
                    return Err(Problem::new(
                        method.span.clone(),
                        format!("`{}` says itself what it includes", entry.name),
                    )
                    .fix("leave `.excluding_current()` out"));
                }
                parts.is_excluding = true;
            }
            (name @ ("where" | "over" | "excluding_current"), arguments) => {
                let needed = usize::from(name != "excluding_current");
                return Err(Problem::new(
                    method.span.clone(),
                    format!("`.{name}` has {} arguments", arguments.len()),
                )
                .expected(needed.to_string()));
            }
            (name, _) => {
                return Err(
                    Problem::new(method.span.clone(), format!("there is no `.{name}(…)`"))
                        .expected("`by`, `where`, `over` or `excluding_current`")
                        .near(name, ["by", "where", "over", "excluding_current"]),
                );
            }
        }
        Ok(())
    }

    fn value(&self, entry: &FeatureEntry, argument: &Expr) -> Result<(Of, Type), Problem> {
        if let (What::ZScore, Node::Call(call)) = (entry.what, &argument.node)
            && call.name == "log"
            && let [inner] = call.arguments.as_slice()
            && let Checked::Value(term, Type::Money(_)) = self.check(inner)?
        {
            // Compared within one currency, where its unit does not matter.
            let log = Term::Call(Function::Log, vec![term]);
            return Ok((Of::Value(log), Type::Money(None)));
        }
        let (of, ty) = self.of(argument)?;
        let wrong =
            |expected: &str| Problem::new(argument.span.clone(), format!("this is {ty}")).expected(expected);
        match entry.what {
            What::Sum | What::Avg | What::Min | What::Max | What::ZScore => match ty {
                Type::Money(_) | Type::Duration | Type::Count | Type::Ratio => Ok((of, ty)),
                Type::Bool => Err(wrong("a number, money or a duration")
                    .fix("count where it holds: `count(\"1h\", CONDITION)`")),
                Type::Text(_) => Err(wrong("a number, money or a duration")
                    .fix("count its values: `distinct(\"24h\", merchant)`")),
                _ => Err(wrong("a number, money or a duration")),
            },
            What::Distinct | What::FirstSeen => match &of {
                Of::Text(TextTerm::Field(_)) => Ok((of, ty)),
                _ => Err(wrong("a field that is a text or an enum, as `merchant`")),
            },
            What::Streak => match ty {
                Type::Bool => Ok((of, ty)),
                _ => Err(wrong("a condition").fix("write `streak(amount > usual * 5)`")),
            },
            _ => match ty {
                Type::Bool => Err(wrong("a value").fix("ask for its value, and compare that")),
                _ => Ok((of, ty)),
            },
        }
    }
}

fn finish(entry: &FeatureEntry, parts: Parts, whole: &Span) -> Outcome {
    if entry.window == WindowNeed::Needed && parts.window_ms.is_none() {
        return Err(
            Problem::new(whole.clone(), format!("`{}` has no window", entry.name))
                .fix(format!("write `{}`", entry.usage)),
        );
    }
    let (of, ty) = match parts.of {
        Some((of, ty, _)) => (of, ty),
        None => (Of::Nothing, Type::Count),
    };
    let is_habit = entry.what == What::ZScore && parts.window_ms.is_none();
    let is_money = matches!(ty, Type::Money(None));
    let default = if is_money || is_habit {
        Entity::UserCurrency
    } else {
        Entity::User
    };
    let (entity, entity_span) = parts.entity.unwrap_or((default, whole.clone()));
    if is_habit && entity != Entity::UserCurrency {
        return Err(
            Problem::new(entity_span, "habits are those of a user in a currency")
                .fix("leave `.by(…)` out, or give `zscore` a window"),
        );
    }
    if is_money && entity != Entity::UserCurrency {
        return Err(Problem::new(
            entity_span,
            "money of several currencies would be put together: there is no rate of exchange",
        )
        .fix("write `.by(user, currency)`, or make it a ratio: `amount / usual`"));
    }
    let only = (!parts.only.is_empty()).then(|| Term::and(parts.only));
    let given = match entry.what {
        What::Count | What::Distinct | What::Streak => Type::Count,
        What::FirstSeen => Type::Bool,
        What::SinceLast => Type::Duration,
        What::ZScore => Type::Ratio,
        What::Avg if ty == Type::Count => Type::Ratio,
        _ => ty,
    };
    let scale = if ty == Type::Ratio { RATIO_SCALE } else { 1.0 };
    let feature = Arc::new(Feature {
        what: entry.what,
        entity,
        of,
        only,
        window_ms: parts.window_ms,
        is_excluding: parts.is_excluding,
        scale,
        ty: given,
    });
    if feature.depth() > MAX_FEATURE_DEPTH {
        return Err(Problem::new(whole.clone(), "features are nested too deep")
            .expected(format!("at most {MAX_FEATURE_DEPTH} within one another")));
    }
    Ok(match given {
        Type::Text(_) => Checked::Text(TextTerm::Last(feature), given),
        _ => Checked::Value(Term::Feature(feature), given),
    })
}

/// Whether an argument is where the window is.
fn is_window(argument: &Expr) -> bool {
    matches!(argument.node, Node::Text(_) | Node::Duration(_))
}

fn window(entry: &FeatureEntry, argument: &Expr) -> Result<i64, Problem> {
    let span = argument.span.clone();
    if entry.window == WindowNeed::None {
        return Err(Problem::new(span, format!("`{}` has no window", entry.name))
            .fix(format!("write `{}`", entry.usage)));
    }
    let names = WINDOWS.map(|(name, _)| name).join(", ");
    let (ms, text) = match &argument.node {
        Node::Text(text) => (duration_ms(text), text.clone()),
        Node::Duration(ms) => (Some(*ms), duration_text(*ms)),
        _ => (None, String::new()),
    };
    if let Some(ms) = ms
        && WINDOWS.iter().any(|(_, window_ms)| *window_ms == ms)
    {
        return Ok(ms);
    }
    let problem =
        Problem::new(span, format!("there is no window {text:?}")).expected(format!("one of {names}"));
    let Some(ms) = ms else {
        return Err(problem);
    };
    let near = WINDOWS.iter().min_by_key(|(_, window_ms)| {
        let (less, more) = (ms.min(*window_ms).max(1), ms.max(*window_ms));
        more.saturating_mul(1_000) / less
    });
    Err(match near {
        Some((near, _)) => problem.fix(format!("the nearest is \"{near}\"")),
        None => problem,
    })
}

fn entity(names: &[Expr], span: &Span) -> Result<Entity, Problem> {
    let mut written = Vec::new();
    for name in names {
        match &name.node {
            Node::Name(name) => written.push(name.as_str()),
            _ => {
                return Err(Problem::new(name.span.clone(), "an entity is a name")
                    .expected("`by(user)`, `by(user, merchant)`, …"));
            }
        }
    }
    let found = Entity::ALL.into_iter().find(|entity| {
        let parts: Vec<&str> = entity.names().split(", ").collect();
        parts.len() == written.len() && parts.iter().all(|part| written.contains(part))
    });
    found.ok_or_else(|| {
        let all = Entity::ALL
            .map(|entity| format!("`by({})`", entity.names()))
            .join(", ");
        let span = match (names.first(), names.last()) {
            (Some(first), Some(last)) => first.span.start..last.span.end,
            _ => span.clone(),
        };
        Problem::new(span, format!("there is no entity of {}", written.join(" and ")))
            .expected(format!("one of {all}"))
    })
}
