//! Many small files of a day into few, beside a running sink.
//!
//! A day's folder is replaced by another in one step, so that whoever lists it finds all files from
//! before or all from after (docs/design/lake.md).

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context as _, bail};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use uuid::Uuid;

use crate::name::{Day, FileName};
use crate::read::merge;
use crate::store::folder::Folder;
use crate::table::Table;

/// How folders begin that become a day's, or were one's.
const MADE: &str = "compacted-";

/// What was done to a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// The table.
    pub table: &'static str,
    /// The day.
    pub day: Day,
    /// Files that became others.
    pub before: usize,
    /// What they became.
    pub after: usize,
}

/// Puts the files of every day of a table together into files of up to about `max_bytes`.
/// `committed` gives the offset of a partition below which everything is in files: what is above is
/// left as it is. Two calls at a time are refused.
///
/// # Errors
/// The folder cannot be read or written; another compaction is under way.
pub fn compact(
    folder: &Folder,
    table: &'static Table,
    max_bytes: u64,
    committed: impl Fn(i32) -> Option<i64>,
) -> anyhow::Result<Vec<Compacted>> {
    fs::create_dir_all(folder.aside())?;
    let alone = File::create(folder.aside().join("compaction"))?;
    if alone.try_lock().is_err() {
        bail!("another compaction or expiry is under way");
    }
    // What one that was killed has left.
    for entry in fs::read_dir(folder.aside())? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(MADE) {
            folder.discard(&entry.path())?;
        }
    }
    let mut done = Vec::new();
    for day in folder.days(table.name)? {
        let files = folder.files_of(table.name, day)?;
        let mut sized = Vec::new();
        for file in files
            .iter()
            .filter(|file| committed(file.partition) > Some(file.last))
        {
            sized.push((*file, fs::metadata(folder.path(file))?.len()));
        }
        let runs = runs(&sized, max_bytes);
        if runs.is_empty() {
            continue;
        }
        replace(folder, table, day, &files, &runs)
            .with_context(|| format!("compacting {} of {day}", table.name))?;
        done.push(Compacted {
            table: table.name,
            day,
            before: runs.iter().map(Vec::len).sum(),
            after: runs.len(),
        });
    }
    Ok(done)
}

/// Files that become one: neighbours of a partition, as many as `max_bytes` allows, two at least.
/// Files are in the order of partitions and offsets.
fn runs(files: &[(FileName, u64)], max_bytes: u64) -> Vec<Vec<FileName>> {
    let mut runs: Vec<Vec<FileName>> = Vec::new();
    let mut bytes = 0;
    for &(file, size) in files {
        let follows = |run: &Vec<FileName>| {
            run.last()
                .is_some_and(|last| last.partition == file.partition && last.last < file.first)
        };
        match runs
            .last_mut()
            .filter(|run| follows(run) && bytes + size <= max_bytes)
        {
            Some(run) => {
                run.push(file);
                bytes += size;
            }
            None => {
                runs.push(vec![file]);
                bytes = size;
            }
        }
    }
    runs.retain(|run| run.len() > 1);
    runs
}

/// Makes a day's folder anew beside the old one: the merged files, and links to all others. Then
/// they change places.
fn replace(
    folder: &Folder,
    table: &'static Table,
    day: Day,
    files: &[FileName],
    runs: &[Vec<FileName>],
) -> anyhow::Result<()> {
    let made = folder.aside().join(format!("{MADE}{}", Uuid::new_v4()));
    fs::create_dir_all(&made)?;
    let merged = |file: &FileName| runs.iter().any(|run| run.contains(file));
    for run in runs {
        let mut inputs = Vec::new();
        for file in run {
            inputs.push(fs::read(folder.path(file))?.into());
        }
        let (Some(first), Some(last)) = (run.first(), run.last()) else {
            continue;
        };
        let output = FileName {
            last: last.last,
            ..*first
        };
        let path = made.join(output.name());
        fs::write(&path, merge(table, &inputs)?)?;
        File::open(&path)?.sync_all()?;
    }
    let link = |file: &FileName| fs::hard_link(folder.path(file), made.join(file.name()));
    for file in files.iter().filter(|file| !merged(file)) {
        link(file)?;
    }
    // Nobody adds a file to a day now.
    let lock = folder.lock()?;
    lock.lock()?;
    for file in folder.files_of(table.name, day)? {
        if !files.contains(&file) {
            link(&file)?;
        }
    }
    File::open(&made)?.sync_all()?;
    let place = folder.table(table.name).join(day.folder());
    exchange(&made, &place)?;
    File::open(folder.table(table.name))?.sync_all()?;
    drop(lock);
    folder.discard(&made)?;
    Ok(())
}

/// Two folders change places, in one step.
fn exchange(one: &Path, other: &Path) -> anyhow::Result<()> {
    renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE).context(
        "exchanging two folders in one step: the file system must be one that can, as ext4, XFS, Btrfs and tmpfs",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(partition: i32, first: i64, last: i64) -> FileName {
        FileName {
            table: "transactions",
            day: "2026-01-31".parse().unwrap(),
            partition,
            first,
            last,
        }
    }

    #[test]
    fn neighbours_of_a_partition_become_one_up_to_a_size() {
        let files = [
            (file(0, 0, 9), 10),
            (file(0, 10, 19), 10),
            (file(0, 30, 39), 10),
            (file(0, 40, 49), 25),
            (file(1, 50, 59), 5),
            (file(2, 60, 69), 5),
            (file(2, 70, 79), 5),
        ];
        let found = runs(&files, 30);
        assert_eq!(
            found,
            [
                vec![file(0, 0, 9), file(0, 10, 19), file(0, 30, 39)],
                vec![file(2, 60, 69), file(2, 70, 79)],
            ]
        );
    }
}
