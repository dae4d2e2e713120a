//! The name of a process among all that run the same jobs.

/// The machine's or container's name and the port of the process's metrics: two services of one kind on one machine
/// differ in their port, and a restart keeps both.
#[must_use]
pub fn name(metrics_port: u16) -> String {
    format!("{}-{metrics_port}", host_name())
}

fn host_name() -> String {
    let of_system = || std::fs::read_to_string("/etc/hostname").ok();
    let name = std::env::var("HOSTNAME").ok().or_else(of_system);
    name.map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}
