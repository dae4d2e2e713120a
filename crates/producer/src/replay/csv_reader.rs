//! Records of a CSV file (RFC 4180), strict about quotes.
//!
//! The crate `csv` takes text after a closing quote, and the end of the file within one, for part
//! of the field: one stray quote joins thousands of rows into one without a word. Here a record
//! whose quotes do not agree costs its first line, and the rest is read from the line after.

use std::io::{self, BufRead, Read};

/// The longest record, and how far the end of a quote is looked for.
pub(super) const MAX_RECORD_BYTES: usize = 4 << 20;
/// What has been read is taken out of the buffer from this size on.
const COMPACT_BYTES: usize = 1 << 16;

/// How a file's fields are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) delimiter: u8,
    /// Encloses fields that hold delimiters or line ends; none where the file has no such thing.
    pub(super) quote: Option<u8>,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            delimiter: b',',
            quote: Some(b'"'),
        }
    }
}

/// The fields of a record, without their quotes.
#[derive(Debug, Default, Clone)]
pub(super) struct Record {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Record {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, at: usize) -> &[u8] {
        let from = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[from..self.ends[at]]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|at| self.get(at))
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn end_field(&mut self) {
        self.ends.push(self.bytes.len());
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    FieldStart,
    Quoted,
    /// After a quote in a quoted field: its end, or one of two that stand for one.
    Quote,
    /// After the end of a quoted field.
    Closed,
}

/// Whether a record ends with its line, or goes on in the next one.
#[derive(Debug, PartialEq)]
enum Line {
    Done,
    Open,
}

/// Takes a record line by line.
#[derive(Debug)]
struct Parser {
    dialect: Dialect,
    state: State,
    record: Record,
}

impl Parser {
    fn begin(&mut self) {
        self.state = State::FieldStart;
        self.record.clear();
    }

    /// Takes a line with its end.
    ///
    /// # Errors
    /// There is text between a closing quote and the next delimiter.
    fn line(&mut self, line: &[u8]) -> Result<Line, String> {
        let (content, end) = split_end(line);
        let mut rest = content;
        loop {
            rest = match self.state {
                State::FieldStart
                    if self
                        .dialect
                        .quote
                        .is_some_and(|quote| rest.first() == Some(&quote)) =>
                {
                    self.state = State::Quoted;
                    &rest[1..]
                }
                State::FieldStart => {
                    let length = rest.iter().position(|&byte| byte == self.dialect.delimiter);
                    self.record
                        .bytes
                        .extend_from_slice(&rest[..length.unwrap_or(rest.len())]);
                    self.record.end_field();
                    let Some(length) = length else {
                        return Ok(Line::Done);
                    };
                    self.state = State::FieldStart;
                    &rest[length + 1..]
                }
                State::Quoted => {
                    let length = rest.iter().position(|&byte| Some(byte) == self.dialect.quote);
                    self.record
                        .bytes
                        .extend_from_slice(&rest[..length.unwrap_or(rest.len())]);
                    let Some(length) = length else {
                        self.record.bytes.extend_from_slice(end);
                        return Ok(Line::Open);
                    };
                    self.state = State::Quote;
                    &rest[length + 1..]
                }
                State::Quote if rest.first().is_some_and(|&byte| Some(byte) == self.dialect.quote) => {
                    self.record.bytes.push(rest[0]);
                    self.state = State::Quoted;
                    &rest[1..]
                }
                State::Quote | State::Closed => match rest.first() {
                    None => {
                        self.record.end_field();
                        return Ok(Line::Done);
                    }
                    Some(&byte) if byte == self.dialect.delimiter => {
                        self.record.end_field();
                        self.state = State::FieldStart;
                        &rest[1..]
                    }
                    Some(b' ' | b'\t') => {
                        self.state = State::Closed;
                        &rest[1..]
                    }
                    Some(_) => {
                        return Err(format!(
                            "field {} has text after a quote that closes it: is a quote not closed, or not doubled?",
                            self.record.len() + 1
                        ));
                    }
                },
            }
        }
    }
}

/// A line and its end: nothing, LF or CR LF.
fn split_end(line: &[u8]) -> (&[u8], &[u8]) {
    let content = line
        .strip_suffix(b"\n")
        .map_or(line, |rest| rest.strip_suffix(b"\r").unwrap_or(rest));
    line.split_at(content.len())
}

/// What was read.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// A record: [`CsvReader::record`].
    Record,
    /// A line that is no record: [`CsvReader::bad_line`], and why.
    Bad(String),
    /// The end.
    End,
}

/// Reads records.
pub(super) struct CsvReader<R> {
    source: R,
    parser: Parser,
    /// Fields of a record, once they are known.
    fields: Option<usize>,
    /// Lines of the record under way, and those that were read in vain for the end of a quote.
    buffer: Vec<u8>,
    /// Where the next line begins in `buffer`.
    next: usize,
    /// Number of the last line taken, from 1.
    taken: u64,
    /// Whether the last line in `buffer` is the begin of one that is too long.
    is_cut: bool,
    record_line: u64,
    bad: std::ops::Range<usize>,
}

impl<R: BufRead> CsvReader<R> {
    pub(super) fn new(source: R, dialect: Dialect) -> Self {
        Self {
            source,
            parser: Parser {
                dialect,
                state: State::FieldStart,
                record: Record::default(),
            },
            fields: None,
            buffer: Vec::new(),
            next: 0,
            taken: 0,
            is_cut: false,
            record_line: 0,
            bad: 0..0,
        }
    }

    /// Says how many fields a record has: one of several lines that has another number is bad by
    /// its first line.
    pub(super) fn expect(&mut self, fields: usize) {
        self.fields = Some(fields);
    }

    pub(super) fn record(&self) -> &Record {
        &self.parser.record
    }

    /// The line that the last record begins at, from 1.
    pub(super) fn line(&self) -> u64 {
        self.record_line
    }

    /// The last bad line, without its end.
    pub(super) fn bad_line(&self) -> &[u8] {
        split_end(&self.buffer[self.bad.clone()]).0
    }

    /// Reads the next record; empty lines are passed over.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn read(&mut self) -> io::Result<Outcome> {
        self.compact();
        loop {
            let first = self.next;
            let Some(line) = self.take_line()? else {
                return Ok(Outcome::End);
            };
            self.record_line = self.taken;
            if self.is_cut_at(&line) {
                let reason = format!("the line is longer than {MAX_RECORD_BYTES} bytes");
                return Ok(self.refuse(&(first..line.end), reason));
            }
            if !split_end(&self.buffer[line.clone()]).0.is_empty() {
                return self.read_record(&line);
            }
        }
    }

    /// Reads the rest of a record whose first line is `first`.
    fn read_record(&mut self, first: &std::ops::Range<usize>) -> io::Result<Outcome> {
        self.parser.begin();
        let mut line = first.clone();
        loop {
            match self.parser.line(&self.buffer[line.clone()]) {
                Err(reason) => return Ok(self.refuse(first, reason)),
                Ok(Line::Done) => break,
                Ok(Line::Open) => {}
            }
            let field = self.parser.record.len() + 1;
            let unclosed =
                |until: &str| format!("the quote that field {field} begins with is not closed {until}");
            match self.take_line()? {
                None => return Ok(self.refuse(first, unclosed("up to the file's end"))),
                Some(next) if next.end - first.start > MAX_RECORD_BYTES => {
                    let until = format!("within {MAX_RECORD_BYTES} bytes");
                    return Ok(self.refuse(first, unclosed(&until)));
                }
                Some(next) => line = next,
            }
        }
        let (found, lines) = (self.parser.record.len(), self.taken - self.record_line + 1);
        match self.fields {
            Some(wanted) if lines > 1 && found != wanted => {
                let reason = format!(
                    "a quote joins this line with the {} after it to a row of {found} fields where the header has \
                     {wanted}: is it not closed?",
                    lines - 1
                );
                Ok(self.refuse(first, reason))
            }
            _ => Ok(Outcome::Record),
        }
    }

    /// Gives up a record: its first line is bad, and reading goes on with the next.
    fn refuse(&mut self, first: &std::ops::Range<usize>, reason: String) -> Outcome {
        self.bad = first.clone();
        self.next = first.end;
        self.taken = self.record_line;
        Outcome::Bad(reason)
    }

    /// Where the next line is in the buffer, with its end; `None` at the end of the file.
    fn take_line(&mut self) -> io::Result<Option<std::ops::Range<usize>>> {
        let start = self.next;
        if start == self.buffer.len() {
            if std::mem::take(&mut self.is_cut) {
                self.source.skip_until(b'\n')?;
            }
            let mut limited = (&mut self.source).take(MAX_RECORD_BYTES as u64 + 1);
            if limited.read_until(b'\n', &mut self.buffer)? == 0 {
                return Ok(None);
            }
            let read = &self.buffer[start..];
            self.is_cut = read.len() > MAX_RECORD_BYTES && read.last() != Some(&b'\n');
        }
        let length = self.buffer[start..].iter().position(|&byte| byte == b'\n');
        self.next = length.map_or(self.buffer.len(), |length| start + length + 1);
        self.taken += 1;
        Ok(Some(start..self.next))
    }

    fn is_cut_at(&self, line: &std::ops::Range<usize>) -> bool {
        self.is_cut && line.end == self.buffer.len()
    }

    fn compact(&mut self) {
        if self.next == self.buffer.len() {
            self.buffer.clear();
            self.next = 0;
        } else if self.next > COMPACT_BYTES.max(self.buffer.len() / 2) {
            self.buffer.drain(..self.next);
            self.next = 0;
        }
    }
}
