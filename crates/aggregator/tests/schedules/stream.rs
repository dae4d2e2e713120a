//! A stream of transactions: some late, some sent twice, some elsewhere than their user's, some far
//! ahead or too early, some that nobody can decode.

use millrace_codec::{framing, transaction};
use millrace_domain::{
    Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType,
};
use millrace_kafka::partition_for;
use millrace_kafka::simulation::{LoggedRecord, Random};

pub(crate) const SOURCES: i32 = 3;
pub(crate) const TRANSACTION_ID: u32 = 1;
/// A day's beginning, so that windows of every size begin there.
pub(crate) const BEGIN_MS: i64 = 1_760_054_400_000;
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
    pub(crate) sent: Vec<Sent>,
}

impl Stream {
    pub(crate) fn new(random: &mut Random) -> Self {
        let users = (0..SOURCES).map(users_of).collect();
        let mut writer = Writer {
            random,
            users,
            sent: Vec::new(),
        };
        let logs = (0..SOURCES as usize)
            .map(|partition| writer.log(partition))
            .collect();
        Self {
            logs,
            sent: writer.sent,
        }
    }

    pub(crate) fn logs(&self) -> &[Vec<LoggedRecord>] {
        &self.logs
    }
}

/// Three users whose records lie in this partition.
fn users_of(partition: i32) -> Vec<String> {
    let names = (0..).map(|number| format!("u-{number}"));
    let here = names.filter(|name| partition_for(name.as_bytes(), SOURCES) == partition);
    here.take(3).collect()
}

struct Writer<'r> {
    random: &'r mut Random,
    users: Vec<Vec<String>>,
    sent: Vec<Sent>,
}

impl Writer<'_> {
    fn log(&mut self, partition: usize) -> Vec<LoggedRecord> {
        let mut log: Vec<LoggedRecord> = Vec::new();
        let mut now_ms = BEGIN_MS;
        for _ in 0..RECORDS {
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
                    ..self.new_record((partition + 1) % self.users.len(), time_ms, now_ms)
                },
                (5, _) => LoggedRecord {
                    is_append_time: false,
                    ..self.new_record(partition, time_ms, now_ms)
                },
                _ => self.new_record(partition, time_ms, now_ms),
            };
            log.push(record);
        }
        for last_ms in LAST_MS {
            let last = self.new_record(partition, last_ms, last_ms);
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

    fn new_record(&mut self, users: usize, time_ms: i64, now_ms: i64) -> LoggedRecord {
        let user = self.users[users][self.random.below(3)].clone();
        let amount = Amount::from_units(1 + self.random.below(1_000_000) as i64).unwrap();
        let record = Transaction {
            transaction_id: TransactionId::from_bytes((self.sent.len() as u128).to_be_bytes()),
            user_id: ShortId::new(&user, "userId").unwrap(),
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
        logged(&user, value, now_ms)
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
