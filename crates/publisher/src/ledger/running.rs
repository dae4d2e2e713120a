//! Whether a run still goes on: it holds a lock on a file beside its ledger, which its end gives
//! up, whatever ended it.
//!
//! A process number would tell neither across containers nor after a restart of the machine.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use tracing::warn;

/// The lock of this run; dropped, it is given up.
#[derive(Debug)]
pub(super) struct RunLock {
    path: PathBuf,
    /// Held open for its lock; `None` where the file system has no locks.
    held: Option<File>,
}

fn beside(ledger: &Path) -> PathBuf {
    ledger.with_extension("lock")
}

impl RunLock {
    /// Takes the lock of a run. A file system without locks costs a warning: `millrace verify` then
    /// takes the run for one that was killed until it has ended.
    pub(super) fn take(ledger: &Path) -> std::io::Result<Self> {
        let path = beside(ledger);
        let file = File::create(&path)?;
        let held = match file.try_lock() {
            Ok(()) => Some(file),
            Err(error) => {
                warn!(path = %path.display(), %error, "the ledger cannot be locked");
                None
            }
        };
        Ok(Self { path, held })
    }

    /// The run has ended well: nothing is left of the lock.
    pub(super) fn release(&mut self) {
        self.held = None;
        if let Err(error) = fs::remove_file(&self.path) {
            warn!(path = %self.path.display(), %error, "the ledger's lock could not be removed");
        }
    }
}

/// Whether the process that writes this ledger is there. One without a lock has ended, or is of a
/// release that had none.
#[must_use]
pub fn is_running(ledger: &Path) -> bool {
    let Ok(file) = File::open(beside(ledger)) else {
        return false;
    };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_says_whether_its_run_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("run.json");
        assert!(!is_running(&ledger), "no lock");
        let mut lock = RunLock::take(&ledger).unwrap();
        assert!(
            is_running(&ledger) && is_running(&ledger),
            "asking changes nothing"
        );
        lock.release();
        assert!(!is_running(&ledger) && !beside(&ledger).exists());
        let killed = RunLock::take(&ledger).unwrap();
        drop(killed);
        assert!(
            !is_running(&ledger) && beside(&ledger).exists(),
            "as a kill leaves it"
        );
    }
}
