//! Recorded files as a source of records.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::bail;
use millrace_domain::texts::InFlight;
use millrace_domain::{InvalidValue, Transaction};
use millrace_kafka::clock::now_ms;
use millrace_publisher::{Next, Record, Source};

use super::feed::{Feed, Read};
use super::inputs::Inputs;
use super::kept::Kept;
use super::mapping::Mapping;
use super::order::Order;
use super::pace::{Pace, ShiftTo, Speed};
use super::recent::RecentIds;
use super::reject::Rejects;
use super::rows::FileFormat;
use crate::encode::Encoder;
use crate::ledger::Facts;
use crate::source::fill;
use crate::stream::{Item, Kind};

/// What to replay, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayOptions {
    /// The files, one after another; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// The mapping from columns to the contract's fields.
    pub mapping: PathBuf,
    /// The files' format; by each one's extension if not given.
    pub file_format: Option<FileFormat>,
    /// How fast.
    pub speed: Speed,
    /// Where the first event time is moved.
    pub shift_to: Option<ShiftTo>,
    /// Whether rows are sorted by time first.
    pub sort: bool,
    /// Whether rows are sent although they would be late.
    pub force: bool,
    /// Where bad rows are written; `<file>.rejects.ndjson` in the working directory if not given.
    pub rejects: Option<PathBuf>,
    /// Most rows to send.
    pub count: Option<u64>,
}

/// What became of the rows so far.
#[derive(Debug, Default)]
pub struct ReplayCounts {
    /// Rows read.
    pub read: AtomicU64,
    /// Rows that are no transaction.
    pub rejected: AtomicU64,
    /// Rows sent that go to the late topic, as far as this replay can know.
    pub late: AtomicU64,
}

/// The source.
pub struct Replay {
    feed: Feed,
    pace: Pace,
    encoder: Encoder,
    rejects: Rejects,
    recent: RecentIds,
    order: Order,
    counts: Arc<ReplayCounts>,
    remaining: Option<u64>,
    /// Whether nobody has looked at the rows' order before, and it matters.
    is_unseen: bool,
    /// A row that is not due yet.
    pending: Option<Kept>,
}

fn load(mapping: &Path) -> anyhow::Result<Arc<Mapping>> {
    // The constants of a mapping are tried out as it is loaded.
    let _round = InFlight::begin();
    Ok(Arc::new(Mapping::load(mapping)?))
}

/// Looks whether files can be read by a mapping, for who starts more than a replay with them.
///
/// # Errors
/// As of [`Replay::open`], but for the rows, at which nobody looks yet.
pub fn check(mapping: &Path, files: &[PathBuf], format: Option<FileFormat>) -> anyhow::Result<()> {
    Inputs::open(files, format, load(mapping)?).map(drop)
}

impl Replay {
    /// Opens everything that a replay needs, sorts the rows if asked to, and looks at the order of
    /// all of them, where they can be read twice. `stop` says whether to give up meanwhile.
    ///
    /// # Errors
    /// A file that cannot be read or written, a mapping that is wrong or names columns that the
    /// file does not have, options that contradict each other, or rows that would be late.
    pub fn open(
        options: &ReplayOptions,
        encoder: Encoder,
        counts: Arc<ReplayCounts>,
        order: Order,
        stop: &dyn Fn() -> bool,
    ) -> anyhow::Result<Self> {
        let runs_ahead = match options.speed {
            Speed::Max => true,
            Speed::Factor(factor) => factor > 1.0,
        };
        if options.shift_to == Some(ShiftTo::Now) && runs_ahead {
            bail!(
                "--shift-to now with a --speed above 1 would give later rows event times in the future, which consumers \
                 refuse: give --speed 1, or a --shift-to far enough in the past"
            );
        }
        let mapping = load(&options.mapping)?;
        let first = options.files.first().map_or(Path::new(""), PathBuf::as_path);
        let open = || Inputs::open(&options.files, options.file_format, Arc::clone(&mapping));
        let mut rejects = Rejects::create(options.rejects.as_deref(), first)?;
        let mut feed = Feed::Files(open()?);
        if options.sort {
            feed = feed.sorted(&mut rejects, &counts, stop)?;
        }
        let pace = Pace::new(options.speed, options.shift_to);
        let is_seen = if options.force {
            false
        } else if let Feed::Sorted(sorted) = &mut feed {
            let rows = || Ok(sorted.next()?.map_or(Read::End, Read::Transaction));
            look_ahead(rows, pace.clone(), options.count, &order, stop)?;
            sorted.restart()?;
            true
        } else if options
            .files
            .iter()
            .all(|file| !super::input::is_standard_input(file))
        {
            let mut again = Feed::Files(open()?);
            look_ahead(|| again.peek(), pace.clone(), options.count, &order, stop)?;
            true
        } else {
            false
        };
        Ok(Self {
            feed,
            rejects,
            pace,
            encoder,
            recent: RecentIds::default(),
            order,
            counts,
            remaining: options.count,
            is_unseen: !is_seen && !options.force,
            pending: None,
        })
    }

    /// Rejects the last transaction of the feed, for its time.
    fn reject(&mut self, recorded: &Transaction, error: &InvalidValue) -> anyhow::Result<Next<Facts>> {
        self.feed
            .reject(recorded, &error.to_string(), &mut self.rejects, &self.counts)?;
        Ok(Next::Wait(Duration::ZERO))
    }

    /// The transaction as it is sent: after the shift, and with a time that consumers take.
    fn at_its_time(&mut self, recorded: Transaction) -> Result<Transaction, InvalidValue> {
        let shifted = shifted(recorded, &mut self.pace)?;
        self.order.bounds().check(&shifted, Some(now_ms()))?;
        Ok(shifted)
    }
}

/// Whether a row is too early as it is recorded, where it is not moved. Such a row must set no
/// pace: those after it would wait for decades.
fn check_recorded(recorded: &Transaction, pace: &Pace, order: &Order) -> Result<(), InvalidValue> {
    match pace.moves() {
        true => Ok(()),
        false => recorded.check_not_before(order.bounds().earliest_ms),
    }
}

fn shifted(recorded: Transaction, pace: &mut Pace) -> Result<Transaction, InvalidValue> {
    let transaction_time_ms = Transaction::check_time(pace.shifted(recorded.transaction_time_ms))?;
    Ok(Transaction {
        transaction_time_ms,
        ..recorded
    })
}

/// Looks at the order of rows that are going to be sent.
///
/// # Errors
/// Some of them would be late. What cannot be read is left to the replay itself, which says where.
fn look_ahead(
    mut next: impl FnMut() -> anyhow::Result<Read>,
    mut pace: Pace,
    count: Option<u64>,
    order: &Order,
    stop: &dyn Fn() -> bool,
) -> anyhow::Result<()> {
    let (mut order, now) = (order.clone(), now_ms());
    while count.is_none_or(|count| order.found().rows < count) {
        let _round = InFlight::begin();
        if order.found().rows.is_multiple_of(1_000) && stop() {
            bail!("stopped while the order of the rows was looked at: nothing was sent");
        }
        let recorded = match next() {
            Ok(Read::Transaction(transaction)) => transaction,
            Ok(Read::Bad(_)) => continue,
            Ok(Read::End) | Err(_) => break,
        };
        if check_recorded(&recorded, &pace, &order).is_err() {
            continue;
        }
        let sent_at = now.saturating_add(pace.due_ms(recorded.transaction_time_ms));
        let Ok(shifted) = shifted(recorded, &mut pace) else {
            continue;
        };
        // One that is too far ahead, or too early, is rejected when its turn comes.
        if order.bounds().check(&shifted, Some(sent_at)).is_ok() {
            order.look(&shifted);
        }
    }
    match order.objection() {
        Some(objection) => bail!("nothing was sent: {objection}"),
        None => Ok(()),
    }
}

impl Source for Replay {
    type Entry = Facts;
    type Round = InFlight;

    fn round(&mut self) -> InFlight {
        InFlight::begin()
    }

    fn next(&mut self, record: &mut Record) -> anyhow::Result<Next<Facts>> {
        if self.remaining == Some(0) {
            return Ok(Next::End);
        }
        let recorded = match self.pending.take() {
            Some(kept) => kept.into_inner(),
            None => match self.feed.next(&mut self.rejects, &self.counts)? {
                Read::Transaction(transaction) => transaction,
                Read::Bad(_) => return Ok(Next::Wait(Duration::ZERO)),
                Read::End => return Ok(Next::End),
            },
        };
        if let Err(error) = check_recorded(&recorded, &self.pace, &self.order) {
            return self.reject(&recorded, &error);
        }
        if let Some(wait) = self.pace.wait(recorded.transaction_time_ms) {
            self.pending = Some(Kept::new(recorded));
            return Ok(Next::Wait(wait));
        }
        let transaction = match self.at_its_time(recorded) {
            Ok(transaction) => transaction,
            Err(error) => return self.reject(&recorded, &error),
        };
        self.order.look(&transaction);
        let found = self.order.found();
        if self.is_unseen
            && found.rows == found.late_by_stream
            && let Some(objection) = self.order.objection()
        {
            bail!("nothing was sent: {objection}");
        }
        self.is_unseen = false;
        self.counts.late.store(found.late(), Ordering::Relaxed);
        if let Some(remaining) = &mut self.remaining {
            *remaining -= 1;
        }
        let kind = if self.recent.insert(transaction.transaction_id) {
            Kind::First
        } else {
            Kind::Duplicate
        };
        let item = Item { transaction, kind };
        Ok(Next::Record(fill(record, &item, &self.encoder)))
    }
}
