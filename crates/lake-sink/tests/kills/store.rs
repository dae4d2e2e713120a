//! A lake's folder whose process dies, or stands still, at a step that was chosen before.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use millrace_lake_sink::name::FileName;
use millrace_lake_sink::store::folder::Folder;
use millrace_lake_sink::store::{Claim, Published, Store};
use tokio::sync::watch;

/// Where in publishing a file the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Before anything of it is written.
    Before,
    /// With half of it written aside.
    Half,
    /// With all of it written aside.
    Aside,
    /// With the file in its place, and nobody told.
    After,
    /// Not at all: it stands still before, and goes on once it is woken.
    Still,
}

/// What is to happen to a process, and what has.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    /// Files that are published before, and then where it ends.
    pub(crate) plan: Option<(usize, End)>,
    /// Whether it has come to that.
    pub(crate) is_met: bool,
    /// Whether it stands still, and can be woken.
    pub(crate) is_still: bool,
    /// Files that were refused, as another process had claimed the partition.
    pub(crate) fenced: usize,
}

pub(crate) struct Mortal {
    pub(crate) folder: Folder,
    pub(crate) fate: Arc<Mutex<Fate>>,
    pub(crate) woken: watch::Receiver<bool>,
}

impl Mortal {
    /// Where the process ends in publishing this file.
    fn end(&self) -> Option<End> {
        let mut fate = self.fate.lock().unwrap();
        let (left, end) = fate.plan?;
        if left > 0 {
            fate.plan = Some((left - 1, end));
            return None;
        }
        fate.plan = None;
        Some(end)
    }

    fn stand_still(&self) {
        let mut fate = self.fate.lock().unwrap();
        (fate.is_met, fate.is_still) = (true, true);
    }

    /// The process is at its end: nothing of it goes on.
    async fn die(&self) -> Infallible {
        self.fate.lock().unwrap().is_met = true;
        std::future::pending().await
    }
}

impl Store for Mortal {
    async fn claim(&self, table: &'static str, partition: i32) -> anyhow::Result<Claim> {
        self.folder.claim(table, partition).await
    }

    async fn files(&self, table: &'static str) -> anyhow::Result<Vec<FileName>> {
        self.folder.files(table).await
    }

    async fn publish(&self, claim: &Claim, file: &FileName, bytes: Bytes) -> anyhow::Result<Published> {
        let aside = |bytes: &[u8]| std::fs::write(self.folder.desk(claim).join(file.name()), bytes);
        match self.end() {
            Some(End::Before) => match self.die().await {},
            Some(End::Half) => {
                aside(&bytes[..bytes.len() / 2])?;
                match self.die().await {}
            }
            Some(End::Aside) => {
                aside(&bytes)?;
                match self.die().await {}
            }
            Some(End::After) => {
                self.folder.publish(claim, file, bytes).await?;
                match self.die().await {}
            }
            Some(End::Still) => {
                self.stand_still();
                let mut woken = self.woken.clone();
                // An error is a test that is over.
                let _ = woken.wait_for(|is| *is).await;
            }
            None => {}
        }
        let published = self.folder.publish(claim, file, bytes).await?;
        self.fate.lock().unwrap().fenced += usize::from(published == Published::Fenced);
        Ok(published)
    }

    async fn written_ms(&self, file: &FileName) -> anyhow::Result<Option<i64>> {
        self.folder.written_ms(file).await
    }

    async fn read(&self, file: &FileName) -> anyhow::Result<Bytes> {
        self.folder.read(file).await
    }
}
