//! The lake as a folder: a file is written aside, and renamed to its place.
//!
//! Each claim has a folder of its own, in which its files are written. Who claims a partition takes
//! the folders of all claims before away first, so that no rename out of them can succeed any more,
//! and looks for files then: it sees every file that will ever come of them.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::Context as _;
use bytes::Bytes;
use uuid::Uuid;

use super::{Claim, Published, Store};
use crate::name::{Day, FileName};

/// What is not in its place yet, or no longer.
const ASIDE: &str = "_aside";

/// A lake in a folder.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// The lake in this folder.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Where the files of a claim are written.
    #[must_use]
    pub fn desk(&self, claim: &Claim) -> PathBuf {
        self.aside().join(claim.shelf()).join(claim.id.to_string())
    }

    /// Where what is not in its place is.
    #[must_use]
    pub fn aside(&self) -> PathBuf {
        self.root.join(ASIDE)
    }

    /// The path of a file.
    #[must_use]
    pub fn path(&self, file: &FileName) -> PathBuf {
        self.root.join(file.path())
    }

    /// The folder of a table.
    #[must_use]
    pub fn table(&self, table: &str) -> PathBuf {
        self.root.join(table)
    }

    /// The lock of the files' places: shared by whoever adds a file to a day, and for whoever takes
    /// a whole day's place alone.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn lock(&self) -> io::Result<File> {
        fs::create_dir_all(self.aside())?;
        let path = self.aside().join("lock");
        File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
    }

    /// Takes a folder away with all in it. Whoever has opened it before may still be adding to it;
    /// when this returns nobody can, nor rename a file out of it.
    ///
    /// # Errors
    /// It is there and cannot be taken.
    pub fn discard(&self, folder: &Path) -> io::Result<()> {
        let gone = self.aside().join(format!("gone-{}", Uuid::new_v4()));
        match fs::rename(folder, &gone) {
            Ok(()) => remove(&gone),
            Err(error) => is_gone(Err(error)),
        }
    }

    fn claim_at_once(&self, table: &'static str, partition: i32) -> io::Result<Claim> {
        let claim = Claim::new(table, partition);
        let desk = self.desk(&claim);
        fs::create_dir_all(&desk)?;
        let shelf = self.aside().join(claim.shelf());
        for other in fs::read_dir(&shelf)? {
            let other = other?.path();
            if other != desk {
                self.discard(&other)?;
            }
        }
        // What a process that died was taking away.
        for entry in fs::read_dir(self.aside())? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("gone-") {
                remove(&entry.path())?;
            }
        }
        Ok(claim)
    }

    fn publish_at_once(&self, claim: &Claim, file: &FileName, bytes: &[u8]) -> io::Result<Published> {
        let (written, place) = (self.desk(claim).join(file.name()), self.path(file));
        let day = self.table(file.table).join(file.day.folder());
        let mut output = match File::create(&written) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Published::Fenced),
            opened => opened?,
        };
        output.write_all(bytes)?;
        output.sync_all()?;
        let lock = self.lock()?;
        lock.lock_shared()?;
        fs::create_dir_all(&day)?;
        match fs::rename(&written, &place) {
            Err(error) if error.kind() == ErrorKind::NotFound && !written.exists() => {
                return Ok(Published::Fenced);
            }
            renamed => renamed?,
        }
        // The name too outlives a loss of power before its offsets are committed.
        File::open(&day)?.sync_all()?;
        File::open(self.table(file.table))?.sync_all()?;
        Ok(Published::There)
    }

    /// The days of a table, in their order.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn days(&self, table: &str) -> io::Result<Vec<Day>> {
        let entries = match fs::read_dir(self.table(table)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut days = Vec::new();
        for entry in entries {
            days.extend(Day::of_folder(&entry?.file_name().to_string_lossy()));
        }
        days.sort_unstable();
        Ok(days)
    }

    /// The files of a day, in the order of their names.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn files_of(&self, table: &'static str, day: Day) -> io::Result<Vec<FileName>> {
        let folder = day.folder();
        let entries = match fs::read_dir(self.table(table).join(&folder)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = format!("{folder}/{}", entry?.file_name().to_string_lossy());
            files.extend(FileName::of_path(table, &path));
        }
        files.sort_unstable();
        Ok(files)
    }
}

/// Removes a folder, however often a file comes between.
fn remove(folder: &Path) -> io::Result<()> {
    loop {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
            removed => return is_gone(removed),
        }
    }
}

/// That something is not there any more is as well.
fn is_gone(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

impl Store for Folder {
    async fn claim(&self, table: &'static str, partition: i32) -> anyhow::Result<Claim> {
        self.claim_at_once(table, partition)
            .with_context(|| format!("claiming {table} {partition} in {}", self.root.display()))
    }

    async fn files(&self, table: &'static str) -> anyhow::Result<Vec<FileName>> {
        // A day is in its place at any moment, the old or the new one, but not over several.
        let lock = self.lock()?;
        lock.lock_shared()?;
        let mut files = Vec::new();
        for day in self.days(table)? {
            files.extend(self.files_of(table, day)?);
        }
        Ok(files)
    }

    async fn publish(&self, claim: &Claim, file: &FileName, bytes: Bytes) -> anyhow::Result<Published> {
        self.publish_at_once(claim, file, &bytes)
            .with_context(|| format!("writing {}", self.path(file).display()))
    }

    async fn written_ms(&self, file: &FileName) -> anyhow::Result<Option<i64>> {
        let path = self.path(file);
        let written = match fs::metadata(&path).and_then(|found| found.modified()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            written => written.with_context(|| format!("looking at {}", path.display()))?,
        };
        let since = written.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(i64::try_from(since.as_millis()).ok())
    }

    async fn read(&self, file: &FileName) -> anyhow::Result<Bytes> {
        let path = self.path(file);
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(first: i64, last: i64) -> FileName {
        FileName {
            table: "transactions",
            day: "2026-01-31".parse().unwrap(),
            partition: 0,
            first,
            last,
        }
    }

    #[tokio::test]
    async fn a_later_claim_ends_the_earlier_one() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().to_owned());
        let early = folder.claim("transactions", 0).await.unwrap();
        let other = folder.claim("transactions", 1).await.unwrap();
        let put = async |claim: &Claim, first, last| {
            let bytes = Bytes::from_static(b"rows");
            folder.publish(claim, &file(first, last), bytes).await.unwrap()
        };
        assert_eq!(put(&early, 0, 9).await, Published::There);
        let late = folder.claim("transactions", 0).await.unwrap();
        assert_eq!(put(&early, 10, 19).await, Published::Fenced);
        assert_eq!(put(&late, 10, 14).await, Published::There);
        assert_eq!(
            put(&other, 20, 24).await,
            Published::There,
            "of another partition"
        );
        let files = folder.files("transactions").await.unwrap();
        assert_eq!(files, [file(0, 9), file(10, 14), file(20, 24)]);
        assert_eq!(folder.read(&files[0]).await.unwrap(), "rows");
        let now_ms = millrace_kafka::clock::now_ms();
        let written_ms = folder.written_ms(&files[0]).await.unwrap().unwrap();
        assert!((now_ms - 60_000..=now_ms + 1_000).contains(&written_ms));
        assert_eq!(folder.written_ms(&file(0, 8)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_was_written_and_not_renamed_when_the_claim_ended_never_is() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().to_owned());
        let early = folder.claim("transactions", 0).await.unwrap();
        let written = folder.desk(&early).join(file(0, 9).name());
        fs::write(&written, "rows").unwrap();
        folder.claim("transactions", 0).await.unwrap();
        assert!(!written.exists());
        assert_eq!(folder.files("transactions").await.unwrap(), []);
        let aside = fs::read_dir(folder.aside()).unwrap();
        let names = aside.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let left: Vec<_> = names.filter(|name| name.starts_with("gone-")).collect();
        assert_eq!(left, [""; 0], "what was taken away is deleted");
    }
}
