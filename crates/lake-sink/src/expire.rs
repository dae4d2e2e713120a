//! Days that are no longer wanted.

use std::fs::{self, File};

use anyhow::bail;

use crate::name::Day;
use crate::store::{Lake, Store as _};
use crate::table::Table;

/// Deletes a table's days before `first`: each at once in a folder, file by file in an object
/// store. Gives them.
///
/// # Errors
/// The store does not do it; a compaction is under way.
pub async fn expire(lake: &Lake, table: &'static Table, first: Day) -> anyhow::Result<Vec<Day>> {
    let mut days = Vec::new();
    match lake {
        Lake::Folder(folder) => {
            fs::create_dir_all(folder.aside())?;
            let alone = File::create(folder.aside().join("compaction"))?;
            if alone.try_lock().is_err() {
                bail!("another compaction or expiry is under way");
            }
            days.extend(folder.days(table.name)?.into_iter().filter(|day| *day < first));
            let lock = folder.lock()?;
            lock.lock()?;
            for day in &days {
                folder.discard(&folder.table(table.name).join(day.folder()))?;
            }
        }
        Lake::Objects(objects) => {
            for file in lake.files(table.name).await? {
                if file.day < first {
                    objects.delete(&file).await?;
                    days.push(file.day);
                }
            }
            days.dedup();
        }
    }
    Ok(days)
}
