//! A machine of the engine's own tests.

use millrace_engine::RestoreError;
use millrace_engine::keyed::ordered::{Machine, Stored};
use millrace_engine::snapshot::{StateReader, StateWriter};
use serde::{Deserialize, Serialize};

use crate::views::{Page, View};

/// Numbers the views of a page, and says when nobody has viewed it for long.
#[derive(Debug, Clone)]
pub(crate) struct Numbered;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Visitor(i64);

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Known {
    count: u64,
    last_ms: i64,
    is_quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Patience {
    pub(crate) quiet_ms: i64,
    pub(crate) forget_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Note {
    View { visitor: i64, number: u64 },
    Quiet,
    Forgotten,
}

impl Stored for Visitor {
    const LEAST_LEN: usize = 8;
    const EMPTY: Self = Self(0);

    fn write(&self, writer: &mut StateWriter<'_>) {
        writer.i64(self.0);
    }

    fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        reader.i64().map(Self)
    }
}

impl Stored for Known {
    const LEAST_LEN: usize = 17;
    const EMPTY: Self = Self {
        count: 0,
        last_ms: 0,
        is_quiet: false,
    };

    fn write(&self, writer: &mut StateWriter<'_>) {
        writer.u64(self.count);
        writer.i64(self.last_ms);
        writer.bool(self.is_quiet);
    }

    fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        Ok(Self {
            count: reader.u64()?,
            last_ms: reader.i64()?,
            is_quiet: reader.bool("quiet")?,
        })
    }
}

impl Machine for Numbered {
    const NAME: &'static str = "numbered";
    type Event = View;
    type Key = Page;
    type Input = Visitor;
    type State = Known;
    type Settings = Patience;
    type Output = Note;

    fn key(&self, view: &View) -> Page {
        Page::of(view.page.as_str())
    }

    fn input(&self, view: &View) -> Visitor {
        Visitor(view.visitor)
    }

    fn step(&self, _: &Patience, known: &mut Known, at_ms: i64, visitor: &Visitor, said: &mut Vec<Note>) {
        known.count += 1;
        known.last_ms = at_ms;
        known.is_quiet = false;
        said.push(Note::View {
            visitor: visitor.0,
            number: known.count,
        });
    }

    fn wakes_at_ms(&self, patience: &Patience, known: &Known) -> Option<i64> {
        let after_ms = match known.is_quiet {
            true => patience.forget_ms,
            false => patience.quiet_ms,
        };
        (known.count > 0).then_some(known.last_ms + after_ms)
    }

    fn wake(&self, _: &Patience, known: &mut Known, _: i64, said: &mut Vec<Note>) -> bool {
        said.push(if known.is_quiet {
            Note::Forgotten
        } else {
            Note::Quiet
        });
        !std::mem::replace(&mut known.is_quiet, true)
    }

    fn settles_after_ms(&self, patience: &Patience) -> i64 {
        patience.quiet_ms
    }
}
