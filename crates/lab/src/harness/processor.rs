//! How busy the machine's processors are: a recovery on a machine without idle time is bounded by
//! it.

/// Processor time of the whole machine since its start, in the kernel's ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy {
    busy: u64,
    all: u64,
}

impl Busy {
    /// The time so far; `None` where the system has no /proc/stat.
    #[must_use]
    pub fn now() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    /// The first line: user, nice, system, idle, iowait, irq, softirq, steal (see proc(5)); guests
    /// are in user.
    fn parse(text: &str) -> Option<Self> {
        let line = text.lines().next()?.strip_prefix("cpu ")?;
        let ticks = line.split_whitespace().take(8).map(str::parse);
        let ticks: Vec<u64> = ticks.collect::<Result<_, _>>().ok()?;
        let all = ticks.iter().sum();
        let idle: u64 = ticks.get(3..5)?.iter().sum();
        Some(Self {
            busy: all - idle,
            all,
        })
    }

    /// The share of all processors' time that was worked from here until `later`, from 0 to 1.
    #[must_use]
    pub fn share_until(self, later: Self) -> Option<f64> {
        let all = later.all.checked_sub(self.all).filter(|all| *all > 0)?;
        Some(later.busy.checked_sub(self.busy)? as f64 / all as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_no_work() {
        let before = Busy::parse("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3").unwrap();
        let after = Busy::parse("cpu  160 0 65 810 65 0 0 0 0 0\n").unwrap();
        assert_eq!(before.share_until(after), Some(0.75));
        assert_eq!(after.share_until(after), None);
        assert_eq!(Busy::parse("intr 1 2"), None);
    }
}
