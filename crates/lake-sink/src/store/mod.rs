//! Where the files are: a folder, or an object store.
//!
//! What both must keep to is in docs/design/lake.md: a file is there whole or not at all, and
//! whoever claims a partition sees every file that is ever published under a claim before.

pub mod folder;
pub mod objects;

use std::path::PathBuf;

use bytes::Bytes;
use millrace_settings::LakeSink;
use uuid::Uuid;

use self::folder::Folder;
use self::objects::Objects;
use crate::name::FileName;

/// The right to publish files of a table's partition; the next claim of it ends this one.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The table.
    pub table: &'static str,
    /// The partition.
    pub partition: i32,
    /// Tells it from all others.
    pub id: Uuid,
}

impl Claim {
    fn new(table: &'static str, partition: i32) -> Self {
        Self {
            table,
            partition,
            id: Uuid::new_v4(),
        }
    }

    /// What the claims of this partition have in common.
    fn shelf(&self) -> String {
        format!("{}-{:04}", self.table, self.partition)
    }
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// It is there, for good.
    There,
    /// It is not, and never will be: another claim has followed.
    Fenced,
}

/// Where the files are.
pub trait Store: Send + Sync + 'static {
    /// Ends every claim of a partition and makes a new one.
    ///
    /// # Errors
    /// The store does not do it, for now or ever.
    fn claim(
        &self,
        table: &'static str,
        partition: i32,
    ) -> impl Future<Output = anyhow::Result<Claim>> + Send;

    /// The files of a table, in the order of their names.
    ///
    /// # Errors
    /// As of [`Store::claim`].
    fn files(&self, table: &'static str) -> impl Future<Output = anyhow::Result<Vec<FileName>>> + Send;

    /// Puts a file there, at once and whole.
    ///
    /// # Errors
    /// As of [`Store::claim`]; whether it is there is not known then.
    fn publish(
        &self,
        claim: &Claim,
        file: &FileName,
        bytes: Bytes,
    ) -> impl Future<Output = anyhow::Result<Published>> + Send;

    /// When a file was written, in milliseconds since 1970, by the store's clock; `None` where it
    /// is not there.
    ///
    /// # Errors
    /// The store does not answer.
    fn written_ms(&self, file: &FileName) -> impl Future<Output = anyhow::Result<Option<i64>>> + Send;

    /// The bytes of a file.
    ///
    /// # Errors
    /// It is not there, or the store does not answer.
    fn read(&self, file: &FileName) -> impl Future<Output = anyhow::Result<Bytes>> + Send;
}

/// The store of the settings.
#[derive(Debug, Clone)]
pub enum Lake {
    /// A folder of this machine.
    Folder(Folder),
    /// An object store.
    Objects(Objects),
}

impl Lake {
    /// Opens it; a folder is made if it is missing.
    ///
    /// # Errors
    /// What is wrong with the settings, in words.
    pub fn open(settings: &LakeSink) -> anyhow::Result<Self> {
        let url = settings.url.to_string_lossy();
        let (store, prefix) = millrace_runtime::object_url::open(&settings.url, &settings.store_options)
            .map_err(|error| anyhow::anyhow!("lake_sink.url {url:?}: {error}"))?;
        Ok(if url.contains("://") {
            Self::Objects(Objects::new(store, prefix))
        } else {
            Self::Folder(Folder::new(PathBuf::from(&settings.url)))
        })
    }
}

impl Store for Lake {
    async fn claim(&self, table: &'static str, partition: i32) -> anyhow::Result<Claim> {
        match self {
            Self::Folder(folder) => folder.claim(table, partition).await,
            Self::Objects(objects) => objects.claim(table, partition).await,
        }
    }

    async fn files(&self, table: &'static str) -> anyhow::Result<Vec<FileName>> {
        match self {
            Self::Folder(folder) => folder.files(table).await,
            Self::Objects(objects) => objects.files(table).await,
        }
    }

    async fn publish(&self, claim: &Claim, file: &FileName, bytes: Bytes) -> anyhow::Result<Published> {
        match self {
            Self::Folder(folder) => folder.publish(claim, file, bytes).await,
            Self::Objects(objects) => objects.publish(claim, file, bytes).await,
        }
    }

    async fn written_ms(&self, file: &FileName) -> anyhow::Result<Option<i64>> {
        match self {
            Self::Folder(folder) => folder.written_ms(file).await,
            Self::Objects(objects) => objects.written_ms(file).await,
        }
    }

    async fn read(&self, file: &FileName) -> anyhow::Result<Bytes> {
        match self {
            Self::Folder(folder) => folder.read(file).await,
            Self::Objects(objects) => objects.read(file).await,
        }
    }
}
