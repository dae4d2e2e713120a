//! The lake in an object store: a file is one multipart upload, there once that is completed.
//!
//! A claim is an object that names its owner. It is looked at before an upload is completed: the
//! store has nothing by which both would be one step, so that a process which stands still between
//! them for longer than its group waits for it, and goes on then, can publish once under a claim
//! that has ended (docs/design/lake.md).

use std::fmt;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt as _, PutPayload};

use super::{Claim, Published, Store};
use crate::name::FileName;

/// Bytes of a part; stores take none below 5 MiB but the last.
const PART_BYTES: usize = 8 << 20;

/// A lake in an object store.
#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects").field("prefix", &self.prefix).finish()
    }
}

impl Objects {
    /// The lake below `prefix`.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, prefix: Path) -> Self {
        Self { store, prefix }
    }

    fn at(&self, path: &str) -> Path {
        self.prefix.parts().chain(Path::from(path).parts()).collect()
    }

    fn path_of(&self, claim: &Claim) -> Path {
        self.at(&format!("_claims/{}", claim.shelf()))
    }

    async fn is_current(&self, claim: &Claim) -> object_store::Result<bool> {
        let found = self.store.get(&self.path_of(claim)).await?.bytes().await?;
        Ok(found == claim.id.to_string().as_bytes())
    }

    async fn send(
        &self,
        claim: &Claim,
        upload: &mut dyn MultipartUpload,
        bytes: &Bytes,
    ) -> object_store::Result<Published> {
        for start in (0..bytes.len()).step_by(PART_BYTES) {
            let end = bytes.len().min(start + PART_BYTES);
            upload.put_part(bytes.slice(start..end).into()).await?;
        }
        if !self.is_current(claim).await? {
            return Ok(Published::Fenced);
        }
        upload.complete().await?;
        Ok(Published::There)
    }

    /// Deletes a file.
    ///
    /// # Errors
    /// The store does not do it.
    pub async fn delete(&self, file: &FileName) -> anyhow::Result<()> {
        match self.store.delete(&self.at(&file.path())).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            done => Ok(done?),
        }
    }
}

impl Store for Objects {
    async fn claim(&self, table: &'static str, partition: i32) -> anyhow::Result<Claim> {
        let claim = Claim::new(table, partition);
        let payload = PutPayload::from(claim.id.to_string());
        let path = self.path_of(&claim);
        let put = self.store.put(&path, payload).await;
        put.with_context(|| format!("claiming {table} {partition} by {path}"))?;
        Ok(claim)
    }

    async fn files(&self, table: &'static str) -> anyhow::Result<Vec<FileName>> {
        let folder = self.at(table);
        let listed: Vec<_> = self.store.list(Some(&folder)).try_collect().await?;
        let of = |path: &Path| FileName::of_path(table, path.as_ref());
        let mut files: Vec<_> = listed.iter().filter_map(|found| of(&found.location)).collect();
        files.sort_unstable();
        Ok(files)
    }

    async fn publish(&self, claim: &Claim, file: &FileName, bytes: Bytes) -> anyhow::Result<Published> {
        let path = self.at(&file.path());
        let mut upload = self.store.put_multipart(&path).await?;
        let sent = self.send(claim, upload.as_mut(), &bytes).await;
        if !matches!(sent, Ok(Published::There)) {
            // What is left of it costs room alone.
            if let Err(error) = upload.abort().await {
                tracing::debug!(%error, %path, "an upload could not be aborted");
            }
        }
        sent.with_context(|| format!("writing {path}"))
    }

    async fn written_ms(&self, file: &FileName) -> anyhow::Result<Option<i64>> {
        let path = self.at(&file.path());
        match self.store.head(&path).await {
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            found => {
                let found = found.with_context(|| format!("looking at {path}"))?;
                Ok(Some(found.last_modified.timestamp_millis()))
            }
        }
    }

    async fn read(&self, file: &FileName) -> anyhow::Result<Bytes> {
        let path = self.at(&file.path());
        let got = async { self.store.get(&path).await?.bytes().await };
        got.await.with_context(|| format!("reading {path}"))
    }
}
