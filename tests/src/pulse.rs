//! Whether the shared brokers, and the machine itself, answered while a test ran.
//!
//! A machine that others share may stand still for minutes. A test that fails then says nothing of
//! the project, as nobody was there to answer it; one that fails beside brokers that answer does.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use anyhow::Result;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

/// Time between two questions.
const BEAT: Duration = Duration::from_secs(1);
/// How long one question may take.
const CALL: Duration = Duration::from_secs(60);
/// Brokers that take longer than this to say which there are stand still, and so does a machine
/// that wakes a thread so much later than asked for. In a quiet run both take milliseconds.
const STILL_BROKERS: Duration = Duration::from_secs(5);
const STILL_MACHINE: Duration = Duration::from_secs(1);
/// Most silences that are kept: the last ones.
const MAX_SILENCES: usize = 1_000;

/// A time for which nobody answered.
#[derive(Debug, Clone, Copy)]
struct Silence {
    end: Instant,
    lasted: Duration,
    whose: Whose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Brokers,
    Machine,
}

impl Whose {
    const fn limit(self) -> Duration {
        match self {
            Self::Brokers => STILL_BROKERS,
            Self::Machine => STILL_MACHINE,
        }
    }
}

#[derive(Debug, Default)]
struct Heard {
    silences: VecDeque<Silence>,
    /// When the question was asked that is not answered yet.
    asked: Option<Instant>,
    longest: Duration,
}

impl Heard {
    fn end(&mut self, whose: Whose, start: Instant, expected: Duration) {
        let lasted = start.elapsed().saturating_sub(expected);
        self.longest = self.longest.max(lasted);
        if lasted < whose.limit() {
            return;
        }
        if self.silences.len() == MAX_SILENCES {
            self.silences.pop_front();
        }
        self.silences.push_back(Silence {
            end: Instant::now(),
            lasted,
            whose,
        });
    }

    fn since(&self, start: Instant, of_machine_alone: bool) -> Option<Duration> {
        let counts = |it: &&Silence| it.end >= start && (it.whose == Whose::Machine || !of_machine_alone);
        let ended = self.silences.iter().filter(counts).map(|it| it.lasted);
        let lasting = self.asked.filter(|_| !of_machine_alone);
        let lasting = lasting.map(|asked| asked.elapsed());
        let lasting = lasting.filter(|lasted| *lasted >= STILL_BROKERS);
        ended.chain(lasting).max()
    }
}

/// A thread that asks the brokers a plain question each second, until this is dropped.
pub struct Pulse {
    heard: Arc<Mutex<Heard>>,
    is_wanted: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pulse {
    /// Starts to ask.
    ///
    /// # Errors
    /// librdkafka makes no client.
    pub fn start(bootstrap_servers: &str) -> Result<Self> {
        let client: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap_servers)
            .set("log_level", "0")
            .create()?;
        let (heard, is_wanted) = (Arc::<Mutex<Heard>>::default(), Arc::new(AtomicBool::new(true)));
        let (hears, wanted) = (Arc::clone(&heard), Arc::clone(&is_wanted));
        let thread = spawn(move || {
            while wanted.load(Ordering::Relaxed) {
                let start = Instant::now();
                lock(&hears).asked = Some(start);
                let _ = client.fetch_metadata(None, CALL);
                let mut heard = lock(&hears);
                heard.asked = None;
                heard.end(Whose::Brokers, start, Duration::ZERO);
                drop(heard);
                let start = Instant::now();
                sleep(BEAT);
                lock(&hears).end(Whose::Machine, start, BEAT);
            }
        });
        Ok(Self {
            heard,
            is_wanted,
            thread: Some(thread),
        })
    }

    /// How long nobody answered at one time since `start`, where that is much too long; with
    /// `of_machine_alone`, for which the machine itself stood still: brokers that a test kills are
    /// silent.
    #[must_use]
    pub fn silence_since(&self, start: Instant, of_machine_alone: bool) -> Option<Duration> {
        lock(&self.heard).since(start, of_machine_alone)
    }

    /// The longest wait for an answer of all.
    #[must_use]
    pub fn longest(&self) -> Duration {
        lock(&self.heard).longest
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.is_wanted.store(false, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ago(seconds: u64) -> Instant {
        Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap()
    }

    #[test]
    fn only_a_long_silence_after_the_start_counts() {
        let mut heard = Heard::default();
        heard.end(Whose::Brokers, ago(4), Duration::ZERO);
        assert_eq!(heard.since(ago(60), false), None, "brokers may take a while");
        heard.end(Whose::Brokers, ago(30), Duration::from_secs(20));
        let silence = heard.since(ago(60), false).unwrap();
        assert!((10..20).contains(&silence.as_secs()), "{silence:?}");
        assert_eq!(heard.since(ago(60), true), None, "it was not the machine's");
        let later = Instant::now() + Duration::from_secs(1);
        assert_eq!(heard.since(later, false), None, "it was before");
        assert_eq!(heard.longest.as_secs(), 10);
        heard.end(Whose::Machine, ago(3), BEAT);
        assert_eq!(heard.since(ago(60), true).unwrap().as_secs(), 2);
    }

    #[test]
    fn a_silence_that_lasts_counts() {
        let heard = Heard {
            asked: Some(ago(9)),
            ..Heard::default()
        };
        assert_eq!(heard.since(Instant::now(), false).unwrap().as_secs(), 9);
        assert_eq!(heard.since(Instant::now(), true), None);
    }
}
