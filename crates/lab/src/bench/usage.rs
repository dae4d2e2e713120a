//! Processor time and memory of processes, by the system's own books (proc(5)).

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::Serialize;

/// /proc counts in hundredths of a second on every Linux (USER_HZ).
const TICKS_PER_S: f64 = 100.0;
/// Time between two looks; what a process does after the last look before its end is not counted.
const INTERVAL: Duration = Duration::from_millis(50);

/// What a process has used.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Usage {
    /// Processor time of all its threads, user and system, in seconds.
    pub cpu_s: f64,
    /// The most memory it has had at once (resident), in MB of 1,000,000 bytes.
    pub peak_memory_mb: f64,
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} CPU s, {:.0} MB", self.cpu_s, self.peak_memory_mb)
    }
}

impl Usage {
    /// So far; `None` if there is no such process, or no /proc.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        Self::parse(&stat, &status)
    }

    fn parse(stat: &str, status: &str) -> Option<Self> {
        // The name, in parentheses, may hold anything; user and system time are fields 14 and 15.
        let (_, fields) = stat.rsplit_once(") ")?;
        let mut times = fields.split(' ').skip(11).map(str::parse::<f64>);
        let ticks = times.next()?.ok()? + times.next()?.ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: f64 = peak.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(Self {
            cpu_s: ticks / TICKS_PER_S,
            peak_memory_mb: kib * 1_024.0 / 1e6,
        })
    }
}

/// Watches processes until they end, or until it is asked.
pub(super) struct Watch {
    last: Arc<Mutex<BTreeMap<String, Usage>>>,
    before: BTreeMap<String, Usage>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts watching; several processes of one name are added up.
    ///
    /// # Errors
    /// No thread can be made.
    pub(super) fn start(processes: Vec<(String, u32)>) -> Result<Self> {
        let (last, stop) = (Arc::new(Mutex::default()), Arc::new(AtomicBool::new(false)));
        let before = add_up(&processes, &mut BTreeMap::new());
        let (kept, stopped) = (Arc::clone(&last), Arc::clone(&stop));
        let look = move || {
            let mut each = BTreeMap::new();
            loop {
                let is_last = stopped.load(Ordering::Relaxed);
                *kept.lock().unwrap_or_else(PoisonError::into_inner) = add_up(&processes, &mut each);
                if is_last {
                    return;
                }
                std::thread::park_timeout(INTERVAL);
            }
        };
        let thread = std::thread::Builder::new().name("usage".to_owned());
        Ok(Self {
            last,
            before,
            stop,
            thread: Some(
                thread
                    .spawn(look)
                    .context("starting a thread to look at processes")?,
            ),
        })
    }

    /// What was used since the start.
    pub(super) fn stop(mut self) -> BTreeMap<String, Usage> {
        self.end();
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let since = |(name, mut usage): (String, Usage)| {
            usage.cpu_s -= self.before.get(&name).map_or(0.0, |before| before.cpu_s);
            (name, usage)
        };
        last.into_iter().map(since).collect()
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It panics nowhere; if it did, its own message has said so.
            let _ = thread.join();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}

/// The sum for each name. A process that has ended counts as it was at its last look, kept in
/// `each`.
fn add_up(processes: &[(String, u32)], each: &mut BTreeMap<u32, Usage>) -> BTreeMap<String, Usage> {
    let mut sums: BTreeMap<String, Usage> = BTreeMap::new();
    for (name, pid) in processes {
        if let Some(usage) = Usage::of(*pid) {
            each.insert(*pid, usage);
        }
        let usage = each.get(pid).copied().unwrap_or_default();
        let sum = sums.entry(name.clone()).or_default();
        sum.cpu_s += usage.cpu_s;
        sum.peak_memory_mb += usage.peak_memory_mb;
    }
    sums
}

/// Measures work of the calling thread: by its processor time where the system tells it, as others
/// may share the processor, else by the clock. The kernel brings the figure up to date every few
/// milliseconds.
pub(super) fn time<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let (clock, before) = (Instant::now(), thread_cpu());
    let done = work();
    let used = thread_cpu()
        .zip(before)
        .map(|(after, before)| after.saturating_sub(before));
    (done, used.unwrap_or_else(|| clock.elapsed()))
}

fn thread_cpu() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_a_strange_name_is_read() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 100 1000 100";
        let usage = Usage::parse(stat, "Name:\tx\nVmHWM:\t    2000 kB\nVmRSS:\t 1 kB\n").unwrap();
        assert_eq!((usage.cpu_s, usage.peak_memory_mb), (3.0, 2.048));
        assert_eq!(Usage::parse("42", ""), None);
    }

    #[test]
    fn this_process_uses_more_as_it_works() {
        let watch = Watch::start(vec![("test".to_owned(), std::process::id())]).unwrap();
        let (sum, used) = time(|| (0..200_000_000_u64).fold(0_u64, |sum, it| std::hint::black_box(sum ^ it)));
        assert!(used > Duration::from_millis(10), "{sum} in {used:?}");
        let usage = watch.stop()["test"];
        assert!(usage.cpu_s > 0.0 && usage.peak_memory_mb > 1.0, "{usage:?}");
    }
}
