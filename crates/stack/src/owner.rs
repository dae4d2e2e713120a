//! Which process listens on a port, for an error that names it.

use std::fs;
use std::process::Command;

/// The process that listens on `port`, as `java (process 12)`, where the system tells.
#[must_use]
pub fn listening_process(port: u16) -> Option<String> {
    if cfg!(target_os = "linux") {
        by_proc(port)
    } else {
        by_lsof(port)
    }
}

fn by_proc(port: u16) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .find_map(|table| inode_of_listener(&fs::read_to_string(table).ok()?, port))?;
    let socket = format!("socket:[{inode}]");
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let name = process.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // Another user's process cannot be looked into: it is passed over.
        let descriptors = fs::read_dir(process.path().join("fd"))
            .into_iter()
            .flatten()
            .flatten();
        for descriptor in descriptors {
            if fs::read_link(descriptor.path()).is_ok_and(|link| link.to_str() == Some(&socket)) {
                let command = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                return Some(format!("{} (process {pid})", command.trim()));
            }
        }
    }
    None
}

/// The inode of the socket that listens on `port` (state 0A), from a table as in `/proc/net/tcp`.
fn inode_of_listener(table: &str, port: u16) -> Option<String> {
    let suffix = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let listens = fields.get(1)?.ends_with(&suffix) && *fields.get(3)? == "0A";
        listens.then(|| fields.get(9).map(ToString::to_string))?
    })
}

fn by_lsof(port: u16) -> Option<String> {
    let output = Command::new("lsof")
        .args(["-nP", "-sTCP:LISTEN", "-Fpc", &format!("-iTCP:{port}")])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let field = |prefix: char| text.lines().find_map(|line| line.strip_prefix(prefix));
    Some(format!("{} (process {})", field('c')?, field('p')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listener_is_found_among_connections() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2382 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 111 1 0 20 4 30 10 -1
   1: 0100007F:2382 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 0 100 0 0 10 0
";
        assert_eq!(inode_of_listener(table, 0x2382).as_deref(), Some("222"));
        assert_eq!(inode_of_listener(table, 0x9C40), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let owner = listening_process(listener.local_addr().unwrap().port()).unwrap();
        assert!(
            owner.ends_with(&format!("(process {})", std::process::id())),
            "{owner}"
        );
    }
}
