//! The process's own metrics, by the names that every Prometheus client gives them.
//!
//! prometheus has them as a feature, which counts processor time in whole seconds, and brings a
//! reader of all of `/proc` that takes as long to build as all of TLS.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeVal;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, IntGauge};

use crate::metrics::{MetricError, refused};

/// What is read anew each time the metrics are. What the system does not tell is left out.
struct Process {
    cpu_seconds: Counter,
    resident_bytes: IntGauge,
    virtual_bytes: IntGauge,
    threads: IntGauge,
    open_fds: IntGauge,
    max_fds: IntGauge,
    start_seconds: IntGauge,
}

/// Registers them. Call it at the start of the process, which it takes for the time of its start.
pub(crate) fn register() -> Result<(), MetricError> {
    let name = "process_*";
    let process = Process::new().map_err(refused(name))?;
    prometheus::register(Box::new(process)).map_err(refused(name))
}

impl Process {
    fn new() -> prometheus::Result<Self> {
        let process = Self {
            cpu_seconds: Counter::new(
                "process_cpu_seconds_total",
                "Total user and system CPU time spent in seconds.",
            )?,
            resident_bytes: IntGauge::new("process_resident_memory_bytes", "Resident memory size in bytes.")?,
            virtual_bytes: IntGauge::new("process_virtual_memory_bytes", "Virtual memory size in bytes.")?,
            threads: IntGauge::new("process_threads", "Number of OS threads in the process.")?,
            open_fds: IntGauge::new("process_open_fds", "Number of open file descriptors.")?,
            max_fds: IntGauge::new("process_max_fds", "Maximum number of open file descriptors.")?,
            start_seconds: IntGauge::new(
                "process_start_time_seconds",
                "Start time of the process since unix epoch in seconds.",
            )?,
        };
        let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        process
            .start_seconds
            .set(i64::try_from(start.as_secs()).unwrap_or_default());
        Ok(process)
    }

    fn gauges(&self) -> [&IntGauge; 6] {
        [
            &self.resident_bytes,
            &self.virtual_bytes,
            &self.threads,
            &self.open_fds,
            &self.max_fds,
            &self.start_seconds,
        ]
    }

    /// The values of the gauges, in their order.
    fn read(&self) -> [Option<i64>; 6] {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kibibytes = |field| Some(of_status(&status, field)? * 1_024);
        let open = fs::read_dir("/proc/self/fd").ok().map(Iterator::count);
        let max = getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft);
        [
            kibibytes("VmRSS:"),
            kibibytes("VmSize:"),
            of_status(&status, "Threads:"),
            open.and_then(|count| i64::try_from(count).ok()),
            max.and_then(|count| i64::try_from(count).ok()),
            Some(self.start_seconds.get()),
        ]
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        let gauges = self.gauges().into_iter().flat_map(Collector::desc);
        self.cpu_seconds.desc().into_iter().chain(gauges).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = Vec::new();
        if let Some(total) = cpu_seconds() {
            // Another thread may have counted a later time meanwhile.
            self.cpu_seconds.inc_by((total - self.cpu_seconds.get()).max(0.0));
            families.extend(self.cpu_seconds.collect());
        }
        for (gauge, value) in self.gauges().into_iter().zip(self.read()) {
            if let Some(value) = value {
                gauge.set(value);
                families.extend(gauge.collect());
            }
        }
        families
    }
}

/// Processor time of all threads so far.
fn cpu_seconds() -> Option<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Some(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// The number of a field of `/proc/self/status`, as in `VmRSS:     5044 kB`.
fn of_status(status: &str, field: &str) -> Option<i64> {
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    value.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_status_are_found_by_their_whole_names() {
        let status =
            "Name:\tmillrace\nVmRSSx:\t1 kB\nVmSize:\t  11264 kB\nVmRSS:\t    5044 kB\nThreads:\t9\n";
        assert_eq!(of_status(status, "VmRSS:"), Some(5_044));
        assert_eq!(of_status(status, "VmSize:"), Some(11_264));
        assert_eq!(of_status(status, "Threads:"), Some(9));
        assert_eq!(of_status(status, "VmSwap:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn processor_time_grows_by_fractions_and_nothing_is_left_out() {
        let process = Process::new().unwrap();
        let families = process.collect();
        assert_eq!(families.len(), process.desc().len());
        let before = process.cpu_seconds.get();
        let mut after = before;
        while after <= before {
            process.collect();
            after = process.cpu_seconds.get();
        }
        assert!(after - before < 1.0, "{before} {after}");
        assert!(process.resident_bytes.get() > 1_000_000);
        assert!(process.virtual_bytes.get() >= process.resident_bytes.get());
        assert!(process.threads.get() >= 1 && process.open_fds.get() >= 1);
        assert!(process.max_fds.get() >= process.open_fds.get());
    }
}
