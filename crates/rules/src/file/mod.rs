//! A file of rules: YAML around expressions.

mod locate;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use millrace_domain::Severity;
use serde::Deserialize;

use self::locate::{Located, locate};
use crate::check::{Checker, Lists};
use crate::problem::{Problem, nearest};
use crate::syntax::ast::Expr;
use crate::syntax::parse;
use crate::term::Term;

/// The longest file in bytes.
pub const MAX_FILE_LEN: usize = 1 << 20;
/// The most rules in a file.
pub const MAX_RULES: usize = 500;
/// The most lists in a file.
pub const MAX_LISTS: usize = 100;
/// The longest name in bytes.
pub const MAX_NAME_LEN: usize = 64;
/// The longest reason or source in bytes.
pub const MAX_REASON_LEN: usize = 500;

/// A rule that was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub(crate) name: String,
    pub(crate) when: Term,
    pub(crate) severity: Severity,
    pub(crate) score: Option<Term>,
    pub(crate) quiet: Option<Term>,
    pub(crate) reason: String,
    pub(crate) customer: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) mode: Mode,
}

impl Rule {
    /// Its name, unique in a version.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// What it says to an analyst.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What may be said to the customer.
    #[must_use]
    pub fn customer(&self) -> Option<&str> {
        self.customer.as_deref()
    }

    /// Where the idea comes from.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// Whether it runs, and whom it tells.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The same rule in another mode.
    #[must_use]
    pub fn in_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Its terms: the condition, the score, the quiet time.
    pub(crate) fn terms(&self) -> impl Iterator<Item = &Term> {
        std::iter::once(&self.when).chain(&self.score).chain(&self.quiet)
    }
}

/// Whether a rule runs, and whom it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// It is checked, and nothing else: none of its features is kept.
    Draft,
    /// It is judged and counted, and alerts nobody.
    Shadow,
    /// It alerts about this many percent of the users, and is in shadow for the others.
    Share(u8),
    /// It alerts.
    Live,
    /// It is not judged, but its features are kept, so that it may go on at once.
    Paused,
}

impl Mode {
    /// Reads a mode as files have it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "draft" => Self::Draft,
            "shadow" => Self::Shadow,
            "live" => Self::Live,
            "paused" => Self::Paused,
            other => {
                let percent = other.strip_suffix('%')?.trim_end().parse().ok()?;
                (1..=99).contains(&percent).then_some(Self::Share(percent))?
            }
        })
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Draft => f.write_str("draft"),
            Self::Shadow => f.write_str("shadow"),
            Self::Share(percent) => write!(f, "{percent} %"),
            Self::Live => f.write_str("live"),
            Self::Paused => f.write_str("paused"),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    lists: BTreeMap<String, Vec<String>>,
    rules: Vec<RawRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    name: String,
    when: String,
    severity: String,
    score: Option<String>,
    quiet: Option<String>,
    reason: String,
    customer: Option<String>,
    source: Option<String>,
    mode: String,
}

/// Reads a file of rules, and checks all of them.
///
/// # Errors
/// Every rule that is wrong, by its first fault; of the YAML, the first fault.
pub fn parse_rules(text: &str) -> Result<Vec<Rule>, Vec<Problem>> {
    if text.len() > MAX_FILE_LEN {
        return Err(vec![
            Problem::new(
                MAX_FILE_LEN..text.len(),
                format!("the file has {} bytes", text.len()),
            )
            .expected(format!("at most {MAX_FILE_LEN}")),
        ]);
    }
    let raw: RawFile = serde_yaml_ng::from_str(text).map_err(|error| vec![yaml(&error, text)])?;
    check_size(&raw, text).map_err(|problem| vec![problem])?;
    let (mut rules, mut problems) = (Vec::new(), Vec::new());
    let mut names = BTreeSet::new();
    let mut from = text.find("rules:").unwrap_or(0);
    for raw_rule in &raw.rules {
        let mut reader = RuleReader {
            text,
            lists: &raw.lists,
            from,
            end: from,
        };
        match reader.read(raw_rule) {
            Ok(rule) if names.insert(rule.name.clone()) => rules.push(rule),
            Ok(rule) => problems.push(
                Problem::new(
                    reader.span("name", &rule.name),
                    format!("there are two rules `{}`", rule.name),
                )
                .expected("a name of its own"),
            ),
            Err(problem) => problems.push(problem),
        }
        from = reader.end;
    }
    if problems.is_empty() {
        Ok(rules)
    } else {
        Err(problems)
    }
}

fn check_size(raw: &RawFile, text: &str) -> Result<(), Problem> {
    let whole = 0..text.len();
    if raw.rules.len() > MAX_RULES {
        return Err(
            Problem::new(whole, format!("the file has {} rules", raw.rules.len()))
                .expected(format!("at most {MAX_RULES}")),
        );
    }
    if raw.lists.len() > MAX_LISTS {
        return Err(
            Problem::new(whole, format!("the file has {} lists", raw.lists.len()))
                .expected(format!("at most {MAX_LISTS}")),
        );
    }
    for name in raw.lists.keys() {
        let span = text.find(name.as_str()).map_or(0..0, |at| at..at + name.len());
        if !is_name(name) {
            return Err(no_name(name, span));
        }
        if crate::catalogue::names().any(|known| known == name) {
            return Err(Problem::new(
                span,
                format!("`{name}` is the name of something else"),
            ));
        }
    }
    Ok(())
}

struct RuleReader<'a> {
    text: &'a str,
    lists: &'a Lists,
    /// Where the rule begins at the earliest.
    from: usize,
    /// The end of what was found of it.
    end: usize,
}

impl RuleReader<'_> {
    fn read(&mut self, raw: &RawRule) -> Result<Rule, Problem> {
        // All are looked for, so that the next rule is looked for after this one.
        let name_span = self.span("name", &raw.name);
        let severity_span = self.span("severity", &raw.severity);
        let mode_span = self.span("mode", &raw.mode);
        let reason_span = self.span("reason", &raw.reason);
        let when = self.located("when", &raw.when);
        let score = raw.score.as_ref().map(|text| self.located("score", text));
        let quiet = raw.quiet.as_ref().map(|text| self.located("quiet", text));
        if !is_name(&raw.name) {
            return Err(no_name(&raw.name, name_span));
        }
        let checker = Checker { lists: self.lists };
        let severity =
            Severity::parse(&raw.severity).ok_or_else(|| no_severity(&raw.severity, severity_span))?;
        let mode = Mode::parse(&raw.mode).ok_or_else(|| no_mode(&raw.mode, mode_span))?;
        if raw.reason.trim().is_empty() || raw.reason.len() > MAX_REASON_LEN {
            return Err(Problem::new(reason_span, "the reason is empty or too long")
                .expected(format!("1 to {MAX_REASON_LEN} bytes")));
        }
        for (key, text) in [("source", &raw.source), ("customer", &raw.customer)] {
            if text.as_ref().is_some_and(|text| text.len() > MAX_REASON_LEN) {
                return Err(Problem::new(name_span, format!("the {key} is too long"))
                    .expected(format!("at most {MAX_REASON_LEN} bytes")));
            }
        }
        let checked = |text: &str, located: &Located, check: &dyn Fn(&Expr) -> Result<Term, Problem>| {
            parse(text)
                .and_then(|expr| check(&expr))
                .map_err(|problem| located.place(problem))
        };
        Ok(Rule {
            when: checked(&raw.when, &when, &|expr| checker.condition(expr))?,
            score: match (&raw.score, &score) {
                (Some(text), Some(at)) => Some(checked(text, at, &|expr| checker.number(expr))?),
                _ => None,
            },
            quiet: match (&raw.quiet, &quiet) {
                (Some(text), Some(at)) => Some(checked(text, at, &|expr| checker.duration(expr))?),
                _ => None,
            },
            name: raw.name.clone(),
            severity,
            reason: raw.reason.trim().to_owned(),
            customer: raw.customer.as_ref().map(|text| text.trim().to_owned()),
            source: raw.source.clone(),
            mode,
        })
    }

    fn located(&mut self, key: &str, value: &str) -> Located {
        let located = locate(self.text, self.from, key, value);
        self.end = self.end.max(located.end());
        located
    }

    fn span(&mut self, key: &str, value: &str) -> Range<usize> {
        self.located(key, value).span(&(0..value.len()))
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME_LEN
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cold]
fn no_name(name: &str, span: Range<usize>) -> Problem {
    let fixed: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .take(MAX_NAME_LEN)
        .collect();
    let problem = Problem::new(span, format!("{name:?} is no name")).expected(format!(
        "a letter, then letters, digits and `_`, at most {MAX_NAME_LEN}, in lower case"
    ));
    if is_name(&fixed) {
        return problem.fix(format!("write `{fixed}`"));
    }
    problem
}

#[cold]
fn no_severity(text: &str, span: Range<usize>) -> Problem {
    let all = Severity::ALL.map(Severity::as_str);
    Problem::new(span, format!("{text:?} is no severity"))
        .expected(all.join(", "))
        .near(&text.to_lowercase(), all)
}

#[cold]
fn no_mode(text: &str, span: Range<usize>) -> Problem {
    Problem::new(span, format!("{text:?} is no mode"))
        .expected("draft, shadow, a share as `10 %` (1 to 99), live or paused")
        .near(&text.to_lowercase(), ["draft", "shadow", "live", "paused"])
}

/// What the reader of YAML says, without its own way to say where.
#[cold]
fn yaml(error: &serde_yaml_ng::Error, text: &str) -> Problem {
    let whole = error.to_string();
    let message = whole.split(" at line ").next().unwrap_or(&whole);
    let start = error.location().map_or(0, |location| location.index());
    let start = start.min(text.len());
    let end = text
        .get(start..)
        .and_then(|rest| rest.find('\n'))
        .map_or(text.len(), |length| start + length);
    let problem = Problem::new(start..end, message);
    let Some((_, after)) = message.split_once("unknown field `") else {
        return problem;
    };
    let unknown = after.split('`').next().unwrap_or("");
    let keys = [
        "name", "when", "severity", "score", "quiet", "reason", "source", "mode", "lists", "rules",
    ];
    match nearest(unknown, keys) {
        Some(near) => problem.fix(format!("did you mean `{near}`?")),
        None => problem,
    }
}
