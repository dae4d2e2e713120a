//! What is checked before anything starts: ports, memory, disk.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use nix::sys::statvfs::statvfs;
use sysinfo::System;

use crate::error::{StackError, UsedPort};
use crate::node::Node;
use crate::options::{Heaps, StackOptions};
use crate::owner::listening_process;

/// Kafka and Elasticsearch refuse to write on a full disk; a short run needs a few hundred MiB.
const MIN_DISK_MIB: u64 = 1024;
/// What a JVM of the stack takes beside its heap: code, classes, threads, buffers.
const JVM_OVERHEAD_MIB: u64 = 90;

/// Checks all three.
pub(crate) fn check(options: &StackOptions) -> Result<(), StackError> {
    check_ports(options)?;
    check_memory(&options.heaps)?;
    check_disk(&options.state_dir)
}

/// Every port with what it is for.
fn wanted_ports(options: &StackOptions) -> Vec<(u16, String)> {
    let ports = &options.ports;
    let mut wanted: Vec<(u16, String)> = Vec::new();
    wanted.extend(
        ports
            .brokers
            .iter()
            .zip(Node::brokers())
            .map(|(port, node)| (*port, node.name())),
    );
    wanted.extend(
        ports
            .controllers
            .iter()
            .zip(Node::controllers())
            .map(|(port, node)| (*port, node.name())),
    );
    if options.secure.is_some() {
        let secure = ports.secure_brokers.iter().zip(Node::brokers());
        wanted.extend(secure.map(|(port, node)| (*port, format!("{node}'s TLS"))));
    }
    wanted.push((ports.registry, Node::Registry.name()));
    wanted.push((
        ports.registry_management,
        format!("{}'s health checks", Node::Registry),
    ));
    wanted.push((ports.elasticsearch, Node::Elasticsearch.name()));
    wanted.push((
        ports.elasticsearch_transport,
        format!("{}'s own protocol", Node::Elasticsearch),
    ));
    if options.prometheus.is_some() {
        wanted.push((ports.prometheus, Node::Prometheus.name()));
    }
    wanted
}

fn check_ports(options: &StackOptions) -> Result<(), StackError> {
    let used: Vec<UsedPort> = wanted_ports(options)
        .into_iter()
        .filter(|(port, _)| is_in_use(*port))
        .map(|(port, wanted_by)| UsedPort {
            port,
            wanted_by,
            held_by: listening_process(port),
        })
        .collect();
    if used.is_empty() {
        Ok(())
    } else {
        Err(StackError::PortsInUse { used })
    }
}

/// Whether something listens on `port` of 127.0.0.1. A connection in TIME_WAIT does not count.
#[must_use]
pub(crate) fn is_in_use(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
}

fn needed_mib(heaps: &Heaps) -> u64 {
    let kafka = 3 * (u64::from(heaps.controller_mib) + u64::from(heaps.broker_mib));
    kafka + u64::from(heaps.registry_mib) + u64::from(heaps.elasticsearch_mib) + 8 * JVM_OVERHEAD_MIB
}

fn check_memory(heaps: &Heaps) -> Result<(), StackError> {
    let needed_mib = needed_mib(heaps);
    match available_mib() {
        Some(available_mib) if available_mib < needed_mib => Err(StackError::TooLittleMemory {
            needed_mib,
            available_mib,
        }),
        // Where the system does not tell, the start itself will.
        _ => Ok(()),
    }
}

/// Memory that can be had beside a stack of these heaps; `None` where the system does not tell.
#[must_use]
pub fn memory_beside_mib(heaps: &Heaps) -> Option<u64> {
    Some(available_mib()?.saturating_sub(needed_mib(heaps)))
}

/// Memory that can be had without swapping; in a container with a limit, up to that.
fn available_mib() -> Option<u64> {
    let mut system = System::new().ok()?;
    system.refresh_memory();
    let limit = system
        .cgroup_limits()
        .map_or(u64::MAX, |limits| limits.free_memory);
    Some(system.available_memory().min(limit) / (1 << 20)).filter(|available| *available > 0)
}

fn check_disk(state_dir: &Path) -> Result<(), StackError> {
    let disk =
        statvfs(state_dir).map_err(|error| StackError::io("look at the disk of", state_dir)(error.into()))?;
    // The types of these numbers differ between platforms; all are unsigned.
    #[allow(clippy::unnecessary_cast, clippy::cast_lossless)]
    let available_mib =
        (disk.blocks_available() as u64).saturating_mul(disk.fragment_size() as u64) / (1 << 20);
    if available_mib < MIN_DISK_MIB {
        let path = state_dir.to_owned();
        return Err(StackError::TooLittleDisk {
            path,
            needed_mib: MIN_DISK_MIB,
            available_mib,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Ports;

    #[test]
    fn a_port_in_use_is_told_with_what_it_is_for() {
        let dir = tempfile::tempdir().unwrap();
        let mut options = StackOptions::new(dir.path());
        options.ports = Ports::free().unwrap();
        check_ports(&options).unwrap();
        let _held = TcpListener::bind((Ipv4Addr::LOCALHOST, options.ports.registry)).unwrap();
        let Err(StackError::PortsInUse { used }) = check_ports(&options) else {
            panic!("the port is in use")
        };
        assert_eq!(used.len(), 1);
        assert_eq!(
            (used[0].port, used[0].wanted_by.as_str()),
            (options.ports.registry, "schema-registry")
        );
    }

    #[test]
    fn too_much_heap_for_the_machine_is_refused() {
        let heaps = Heaps {
            broker_mib: u32::MAX,
            ..Heaps::default()
        };
        let error = check_memory(&heaps).unwrap_err();
        assert!(matches!(error, StackError::TooLittleMemory { .. }), "{error}");
    }
}
