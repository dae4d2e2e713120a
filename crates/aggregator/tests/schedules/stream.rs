//! A stream of transactions: some late, some sent twice, some elsewhere than their user's, some far
//! ahead or too early, some that nobody can decode.

use millrace_contract::framing;
use millrace_domain::codec::transaction;
use millrace_domain::{
    Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType,
};
use millrace_kafka::partition_for;
use millrace_runtime::simulation::{LoggedRecord, Random};

/// Partitions, in the end.
const SOURCES: usize = 3;
pub(crate) const TRANSACTION_ID: u32 = 1;
/// A day's beginning, so that windows of every size begin there.
pub(crate) const BEGIN_MS: i64 = 1_760_054_400_000;
/// Users whose records lie in a partition: some of them before and after one is added.
const USERS: usize = 4;
/// Records of a partition, before the last two, which close every window.
const RECORDS: usize = 50;
/// The last two: far behind each other, and behind all others.
pub(crate) const LAST_MS: [i64; 2] = [BEGIN_MS + 100_000, BEGIN_MS + 200_000];

/// A transaction of the stream.
pub(crate) struct Sent {
    pub(crate) amount: Amount,
    /// Its values in their order: the same but for the location, so that each is known again.
    pub(crate) copies: Vec<Vec<u8>>,
    /// Whether every window that it may be in closes before the stream ends.
    pub(crate) is_closed: bool,
}

pub(crate) struct Stream {
    logs: Vec<Vec<LoggedRecord>>,
    /// Partitions that there are from the start.
    sources: usize,
    pub(crate) sent: Vec<Sent>,
}

impl Stream {
    pub(crate) fn new(random: &mut Random) -> Self {
        // One of them is added later, or is not.
        let sources = SOURCES - usize::from(random.one_in(2));
        let users_of = |partitions| (0..partitions).map(move |number| users_of(number, partitions));
        let mut writer = Writer {
            random,
            before: users_of(sources).collect(),
            after: users_of(SOURCES).collect(),
            are_all: false,
            sent: Vec::new(),
        };
        let logs = (0..SOURCES).map(|partition| writer.log(partition)).collect();
        Self {
            logs,
            sources,
            sent: writer.sent,
        }
    }

    /// How many partitions there are from the start.
    pub(crate) fn sources(&self) -> usize {
        self.sources
    }

    /// The partitions that there are from the start, and those that are added.
    pub(crate) fn logs(&self) -> (Vec<Vec<LoggedRecord>>, Vec<Vec<LoggedRecord>>) {
        let (now, later) = self.logs.split_at(self.sources);
        (now.to_vec(), later.to_vec())
    }
}

/// Users whose records lie in this one of so many partitions.
fn users_of(partition: usize, partitions: usize) -> Vec<String> {
    let names = (0..).map(|number| format!("u-{number}"));
    let here = names.filter(|name| partition_for(name.as_bytes(), partitions as i32) == partition as i32);
    here.take(USERS).collect()
}

struct Writer<'r> {
    random: &'r mut Random,
    /// By partition, while there are only those of the start.
    before: Vec<Vec<String>>,
    /// By partition, once there are all.
    after: Vec<Vec<String>>,
    /// Whether there are.
    are_all: bool,
    sent: Vec<Sent>,
}

impl Writer<'_> {
    fn log(&mut self, partition: usize) -> Vec<LoggedRecord> {
        let mut log: Vec<LoggedRecord> = Vec::new();
        let is_added = partition >= self.before.len();
        let mut now_ms = BEGIN_MS
            + if is_added {
                self.random.below(300) as i64
            } else {
                0
            };
        for number in 0..RECORDS {
            self.are_all = is_added || number >= RECORDS / 2;
            now_ms += self.random.below(12) as i64;
            let back_ms = if self.random.one_in(9) { 150 } else { 25 };
            let time_ms = now_ms - self.random.below(back_ms) as i64;
            let earlier = log.len().checked_sub(1 + self.random.below(10));
            let record = match (self.random.below(20), earlier) {
                (0, _) => logged("u-0", b"\x00\x00".to_vec(), now_ms),
                (1 | 2, Some(earlier)) => self.again(&log[earlier], now_ms),
                (3, _) => {
                    let ahead_ms = self.random.pick(&[30, 100]);
                    self.new_record(partition, now_ms + ahead_ms, now_ms)
                }
                (4, _) => LoggedRecord {
                    key: None,
                    ..self.new_record(partition + 1, time_ms, now_ms)
                },
                (5, _) => LoggedRecord {
                    is_append_time: false,
                    ..self.new_record(partition, time_ms, now_ms)
                },
                _ => self.new_record(partition, time_ms, now_ms),
            };
            log.push(record);
        }
        // Of one whose records have been there all the time: nobody takes these for misplaced.
        let before = self.before.get(partition).unwrap_or(&self.after[partition]);
        let is_steady = |user: &&String| self.after[partition].contains(user);
        let user = before.iter().find(is_steady).unwrap().clone();
        for last_ms in LAST_MS {
            let last = self.record_of(&user, last_ms, last_ms);
            log.push(last);
        }
        log
    }

    fn again(&mut self, earlier: &LoggedRecord, now_ms: i64) -> LoggedRecord {
        let (_, body) = framing::split(earlier.payload.as_deref().unwrap()).unwrap_or_default();
        let Ok(mut transaction) = transaction::decode(body) else {
            return earlier.clone();
        };
        let number = u128::from_be_bytes(*transaction.transaction_id.as_bytes()) as usize;
        let copies = &mut self.sent[number].copies;
        transaction.location = location(copies.len());
        copies.push(value_of(&transaction));
        LoggedRecord {
            payload: copies.last().cloned(),
            timestamp_ms: now_ms,
            ..earlier.clone()
        }
    }

    /// Of a user whose records lie in a partition; in the first one, if it is too far.
    fn new_record(&mut self, partition: usize, time_ms: i64, now_ms: i64) -> LoggedRecord {
        let users = if self.are_all { &self.after } else { &self.before };
        let user = users[partition % users.len()][self.random.below(USERS)].clone();
        self.record_of(&user, time_ms, now_ms)
    }

    fn record_of(&mut self, user: &str, time_ms: i64, now_ms: i64) -> LoggedRecord {
        let amount = Amount::from_units(1 + self.random.below(1_000_000) as i64).unwrap();
        let record = Transaction {
            transaction_id: TransactionId::from_bytes((self.sent.len() as u128).to_be_bytes()),
            user_id: ShortId::new(user, "userId").unwrap(),
            amount,
            transaction_time_ms: time_ms,
            merchant_id: ShortId::new(&format!("m-{}", self.random.below(4)), "merchantId").unwrap(),
            transaction_type: self.random.pick(&TransactionType::ALL),
            location: location(0),
            payment_method: PaymentMethod::CreditCard,
            is_international: false,
            currency: Currency::parse(self.random.pick(&[b"EUR", b"USD"])).unwrap(),
        };
        let value = value_of(&record);
        self.sent.push(Sent {
            amount,
            copies: vec![value.clone()],
            is_closed: time_ms < LAST_MS[1],
        });
        logged(user, value, now_ms)
    }
}

fn location(copy: usize) -> ShortId {
    ShortId::new(&format!("place {copy}"), "location").unwrap()
}

fn value_of(record: &Transaction) -> Vec<u8> {
    let mut value = Vec::new();
    transaction::encode_framed(TRANSACTION_ID, record, &mut value);
    value
}

fn logged(key: &str, value: Vec<u8>, now_ms: i64) -> LoggedRecord {
    LoggedRecord {
        key: Some(key.as_bytes().to_vec()),
        payload: Some(value),
        timestamp_ms: now_ms,
        is_append_time: true,
    }
}
