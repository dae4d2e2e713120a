//! What is wrong with a rule, and how it is shown.

use std::fmt::{self, Display};
use std::ops::Range;

use ariadne::{Config, IndexType, Label, Report, ReportKind, Source};

/// What is wrong with a rule or a file of rules, where, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Bytes of the source that are wrong.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What was expected in its place, where that is known.
    pub expected: Option<String>,
    /// What to write, where there is an answer.
    pub fix: Option<String>,
}

impl Problem {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            expected: None,
            fix: None,
        }
    }

    pub(crate) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// A fix where a name is meant that is close to `name`.
    pub(crate) fn near<'a>(self, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(name, known) {
            Some(near) => self.fix(format!("did you mean `{near}`?")),
            None => self,
        }
    }

    /// Line and column of its beginning, both from 1; the column counts characters.
    #[must_use]
    pub fn position(&self, source: &str) -> (usize, usize) {
        let start = floor_boundary(source, self.span.start);
        let before = &source[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }

    /// In one line: `FILE:LINE:COLUMN: what is wrong; expected …; fix`.
    #[must_use]
    pub fn line(&self, name: &str, source: &str) -> String {
        let (line, column) = self.position(source);
        format!("{name}:{line}:{column}: {self}")
    }

    /// With the source's lines, and marks under what is wrong.
    #[must_use]
    pub fn render(&self, name: &str, source: &str, has_color: bool) -> String {
        let start = floor_boundary(source, self.span.start);
        let end = floor_boundary(source, self.span.end).max(start);
        let config = Config::default()
            .with_color(has_color)
            .with_index_type(IndexType::Byte);
        let label = self
            .expected
            .as_ref()
            .map_or_else(|| "here".to_owned(), |expected| format!("expected {expected}"));
        let mut report = Report::build(ReportKind::Error, (name, start..end))
            .with_config(config)
            .with_message(&self.message)
            .with_label(Label::new((name, start..end)).with_message(label));
        if let Some(fix) = &self.fix {
            report = report.with_help(fix);
        }
        let mut bytes = Vec::new();
        match report.finish().write((name, Source::from(source)), &mut bytes) {
            Ok(()) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(_) => self.line(name, source),
        }
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(expected) = &self.expected {
            write!(f, "; expected {expected}")?;
        }
        if let Some(fix) = &self.fix {
            write!(f, "; {fix}")?;
        }
        Ok(())
    }
}

fn floor_boundary(source: &str, at: usize) -> usize {
    let mut at = at.min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The name that somebody meant who wrote `name`.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| known)
}
