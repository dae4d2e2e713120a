//! The name of a process among all that run the same jobs.

use std::fs::{File, TryLockError};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant as Clock};

use anyhow::bail;
use millrace_settings::Kafka;

/// How long a name that is taken is waited for: a process that was killed has it for a moment after
/// its successor has been started.
const PATIENCE: Duration = Duration::from_secs(3);
const RETRY: Duration = Duration::from_millis(50);
/// How often a file may be gone by the time it is locked.
const MAX_DELETED: u32 = 1_000;

/// A process's name, which no other of its service has on this machine as long as this value lives.
///
/// Two processes of one name would take transactional ids and group memberships from each other
/// without end. On one machine a locked file in the folder for temporary files tells them apart,
/// which is deleted at the end; on several, whoever is fenced waits until the other has gone
/// (`millrace_kafka::wait_while_taken`).
#[derive(Debug)]
pub struct Instance {
    name: String,
    key: &'static str,
    /// Held, not read. `None` where the machine has no such locks.
    _lock: Option<Lock>,
}

impl Instance {
    /// Takes the name that is `configured` under `key`, or else one made of the host's name and
    /// `port`, which is the port that the service has really bound. It stays the same over restarts
    /// where either does.
    ///
    /// # Errors
    /// Another process of `service` on this machine has the name, for the same cluster and prefix.
    pub fn claim(
        kafka: &Kafka,
        service: &'static str,
        key: &'static str,
        configured: Option<&str>,
        port: u16,
    ) -> anyhow::Result<Self> {
        let name = configured.map_or_else(|| default_name(&host_name(), port), str::to_owned);
        let file = lock_file(&std::env::temp_dir(), kafka, service, &name);
        let lock = match Lock::take(&file, PATIENCE) {
            Ok(lock) => Some(lock),
            Err(TryLockError::WouldBlock) => bail!(
                "another {service} on this machine runs with the instance name {name:?}, which is {key}, or else host \
                 name and port of the metrics. Each needs a name of its own: set {key}, or leave it out"
            ),
            Err(TryLockError::Error(error)) => {
                tracing::warn!(%error, file = %file.display(), "the instance name cannot be locked on this machine");
                None
            }
        };
        tracing::info!(instance = name, "the process's name among those of its service");
        Ok(Self {
            name,
            key,
            _lock: lock,
        })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key that sets it.
    #[must_use]
    pub fn key(&self) -> &'static str {
        self.key
    }
}

/// Kafka takes letters, digits, points, dashes and underscores in the name of a group's member.
fn default_name(host: &str, port: u16) -> String {
    let is_taken = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let host: String = host
        .chars()
        .map(|letter| if is_taken(letter) { letter } else { '-' })
        .take(200)
        .collect();
    format!("{host}-{port}")
}

fn host_name() -> String {
    let of_system = || std::fs::read_to_string("/etc/hostname").ok();
    let name = std::env::var("HOSTNAME").ok().or_else(of_system);
    name.map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

/// A file for the name: two clusters, prefixes or services may have the same one.
fn lock_file(folder: &Path, kafka: &Kafka, service: &str, name: &str) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    (&kafka.bootstrap_servers, &kafka.topic_prefix, service, name).hash(&mut hasher);
    folder.join(format!("millrace-{service}-{:016x}.lock", hasher.finish()))
}

/// A locked file. The system unlocks it when the process ends, in whatever way; who ends in good
/// order deletes it first.
#[derive(Debug)]
struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Locks a file, which is made if it is missing.
    fn take(path: &Path, patience: Duration) -> Result<Self, TryLockError> {
        let deadline = Clock::now() + patience;
        let mut deleted = 0;
        loop {
            let file = open(path).map_err(TryLockError::Error)?;
            match Self::of(file, path) {
                Ok(Some(lock)) => return Ok(lock),
                Ok(None) if deleted < MAX_DELETED => deleted += 1,
                Ok(None) => {
                    let reason = "the file that was locked is never the one at its path";
                    return Err(TryLockError::Error(io::Error::other(reason)));
                }
                Err(TryLockError::WouldBlock) if Clock::now() < deadline => std::thread::sleep(RETRY),
                Err(error) => return Err(error),
            }
        }
    }

    /// Locks an opened file; `None` where whoever had it has deleted it since it was opened: the
    /// next one makes another.
    fn of(file: File, path: &Path) -> Result<Option<Self>, TryLockError> {
        file.try_lock()?;
        let path = path.to_owned();
        Ok(is_at(&file, &path).then(|| Self { file, path }))
    }
}

impl Drop for Lock {
    /// While it is locked, nobody else has the name, so nobody else's file is deleted.
    fn drop(&mut self) {
        if is_at(&self.file, &self.path)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::debug!(%error, file = %self.path.display(), "the lock's file stays");
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let opened = File::options().create(true).append(true).open(path);
    // One that another user has made can be locked all the same.
    opened.or_else(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => File::open(path),
        _ => Err(error),
    })
}

/// Whether the path still leads to this file.
fn is_at(file: &File, path: &Path) -> bool {
    let there = std::fs::metadata(path);
    let (Ok(own), Ok(there)) = (file.metadata(), there) else {
        return false;
    };
    (own.dev(), own.ino()) == (there.dev(), there.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kafka(prefix: &str) -> Kafka {
        Kafka {
            topic_prefix: prefix.to_owned(),
            ..Kafka::default()
        }
    }

    #[test]
    fn the_bound_port_tells_two_processes_of_a_machine_apart() {
        assert_eq!(default_name("host-1.example", 9102), "host-1.example-9102");
        assert_ne!(default_name("host", 40_001), default_name("host", 40_002));
        assert_eq!(
            default_name("héllo world", 1),
            "h-llo-world-1",
            "what Kafka refuses in a member's name"
        );
    }

    #[test]
    fn a_name_is_one_process_of_a_service_and_free_again_after_it() {
        let prefix = format!("instance-test-{}-", std::process::id());
        let claim = |service| {
            let key = "aggregator.worker.instance";
            Instance::claim(&kafka(&prefix), service, key, Some("one"), 9102)
        };
        let first = claim("aggregator").unwrap();
        assert_eq!((first.name(), first.key()), ("one", "aggregator.worker.instance"));
        let _other_service = claim("detector").unwrap();
        let refused = claim("aggregator").unwrap_err().to_string();
        for part in ["\"one\"", "aggregator.worker.instance", "on this machine"] {
            assert!(refused.contains(part), "{refused}");
        }
        drop(first);
        claim("aggregator").unwrap();
    }

    #[test]
    fn clusters_and_prefixes_have_names_of_their_own() {
        let folder = Path::new("/tmp");
        let of = |kafka: &Kafka| lock_file(folder, kafka, "detector", "a");
        let other_cluster = Kafka {
            bootstrap_servers: "elsewhere:9092".to_owned(),
            ..kafka("")
        };
        assert_ne!(of(&kafka("")), of(&kafka("b-")));
        assert_ne!(of(&kafka("")), of(&other_cluster));
        assert_eq!(of(&kafka("b-")), of(&kafka("b-")));
    }

    #[test]
    fn a_killed_predecessor_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("name.lock");
        // What a kill leaves behind.
        let held = open(&path).unwrap();
        held.lock().unwrap();
        assert!(matches!(
            Lock::take(&path, Duration::ZERO),
            Err(TryLockError::WouldBlock)
        ));
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || Lock::take(&path, Duration::from_secs(60)).map(drop).is_ok()
        });
        drop(held);
        assert!(waiting.join().unwrap());
    }

    #[test]
    fn a_name_that_is_given_up_leaves_no_file_and_takes_none_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("name.lock");
        drop(Lock::take(&path, Duration::ZERO).unwrap());
        assert!(!path.exists());
        let first = Lock::take(&path, Duration::ZERO).unwrap();
        // As somebody does who cleans the folder up.
        std::fs::remove_file(&path).unwrap();
        let second = Lock::take(&path, Duration::ZERO).unwrap();
        drop(first);
        assert!(path.exists(), "it is the second one's");
        drop(second);
        assert!(!path.exists());
    }

    /// One that opened the file just before it was deleted would hold a lock that nobody sees.
    #[test]
    fn a_file_that_was_deleted_since_it_was_opened_is_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("name.lock");
        let first = Lock::take(&path, Duration::ZERO).unwrap();
        let opened = open(&path).unwrap();
        let too_late = open(&path).unwrap();
        drop(first);
        assert!(Lock::of(opened, &path).unwrap().is_none(), "there is none");
        let second = Lock::take(&path, Duration::ZERO).unwrap();
        assert!(Lock::of(too_late, &path).unwrap().is_none(), "there is another");
        assert!(path.exists());
        drop(second);
    }
}
