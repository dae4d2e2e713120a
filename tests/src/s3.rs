//! A real S3 server for one test: Versity's S3 gateway over a folder, where it is installed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use millrace_stack::Ports;

use crate::wait_until;

/// How to get the server; what runs the tests in CI does so.
pub const INSTALL: &str = "go install github.com/versity/versitygw/cmd/versitygw@v1.8.0";
const BINARY: &str = "versitygw";
const BUCKET: &str = "snapshots";
const KEY: &str = "millrace-test";
/// How long it may take to start on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// A running server; dropped, it is killed.
pub struct S3Server {
    child: Child,
    port: u16,
    root: PathBuf,
}

/// The server's binary: on the PATH, or where Go installs.
#[must_use]
pub fn binary() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let go = std::env::var_os("GOPATH").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join("go"));
    let of_go = go.or(home).map(|go| go.join("bin"));
    std::env::split_paths(&path)
        .chain(of_go)
        .map(|folder| folder.join(BINARY))
        .find(|file| file.is_file())
}

impl S3Server {
    /// Starts the server with one bucket, in `folder`.
    ///
    /// # Errors
    /// It is not installed, or does not answer in time.
    pub async fn start(folder: &Path) -> Result<Self> {
        let binary = binary().with_context(|| format!("{BINARY} is not installed: `{INSTALL}`"))?;
        let (root, metadata) = (folder.join("objects"), folder.join("metadata"));
        std::fs::create_dir_all(root.join(BUCKET))?;
        std::fs::create_dir_all(&metadata)?;
        let log = folder.join("s3.log");
        let output = std::fs::File::create(&log)?;
        // Below those that the system gives outgoing connections meanwhile.
        let port = *Ports::take(1)?.first().context("a port")?;
        let child = Command::new(binary)
            .args([
                "--quiet",
                "--port",
                &format!("127.0.0.1:{port}"),
                "--access",
                KEY,
                "--secret",
                KEY,
            ])
            .arg("posix")
            // Extended attributes are not for every file system.
            .arg("--sidecar")
            .args([&metadata, &root])
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("starting the S3 server")?;
        let server = Self { child, port, root };
        let client = reqwest::Client::new();
        wait_until("an answer of the S3 server", LIMIT, || async {
            let answer = client.get(server.endpoint()).send().await;
            Ok(answer.is_ok().then_some(()))
        })
        .await
        .with_context(|| std::fs::read_to_string(&log).unwrap_or_default())?;
        Ok(server)
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The URL of the bucket.
    #[must_use]
    pub fn url(&self) -> PathBuf {
        PathBuf::from(format!("s3://{BUCKET}/state"))
    }

    /// The options that a store of it needs.
    #[must_use]
    pub fn options(&self) -> BTreeMap<String, String> {
        let options = [
            ("aws_endpoint", self.endpoint()),
            ("aws_allow_http", "true".to_owned()),
            ("aws_region", "us-east-1".to_owned()),
            ("aws_access_key_id", KEY.to_owned()),
            ("aws_secret_access_key", KEY.to_owned()),
        ];
        options.map(|(key, value)| (key.to_owned(), value)).into()
    }

    /// Number of objects below `prefix` in the bucket.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn objects(&self, prefix: &str) -> Result<usize> {
        count_files(&self.root.join(BUCKET).join("state").join(prefix))
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn count_files(folder: &Path) -> Result<usize> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(0);
    };
    entries
        .map(|entry| {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                count_files(&entry.path())
            } else {
                Ok(1)
            }
        })
        .sum()
}
