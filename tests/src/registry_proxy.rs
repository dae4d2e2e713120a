//! A proxy before the registry, as a gateway with rights of its own is: it answers 403 for some
//! schema ids, and passes everything else on.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use reqwest::{Client, Method};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A running proxy. It ends with the runtime.
#[derive(Debug, Clone)]
pub struct RegistryProxy {
    /// Where it listens.
    pub url: String,
    refused: Arc<Mutex<BTreeSet<u32>>>,
}

impl RegistryProxy {
    /// One before `registry_url` that refuses nothing yet.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(registry_url: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let proxy = Self {
            url: format!("http://{}", listener.local_addr()?),
            refused: Arc::default(),
        };
        let (registry, refused, client) = (registry_url.to_owned(), proxy.refused.clone(), Client::new());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (client, registry, refused) = (client.clone(), registry.clone(), refused.clone());
                // A connection that breaks is its client's to mend.
                tokio::spawn(async move { serve(stream, &client, &registry, &refused).await });
            }
        });
        Ok(proxy)
    }

    /// Refuses a schema id from now on.
    pub fn refuse(&self, schema_id: u32) {
        lock(&self.refused).insert(schema_id);
    }

    /// Passes it on again.
    pub fn allow(&self, schema_id: u32) {
        lock(&self.refused).remove(&schema_id);
    }
}

fn lock(refused: &Mutex<BTreeSet<u32>>) -> std::sync::MutexGuard<'_, BTreeSet<u32>> {
    refused.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether what is asked for is one of these schemas.
fn is_of(path: &str, refused: &Mutex<BTreeSet<u32>>) -> bool {
    let id = path.strip_prefix("/schemas/ids/");
    let id = id.and_then(|rest| rest.split(['/', '?']).next());
    id.and_then(|id| id.parse().ok())
        .is_some_and(|id: u32| lock(refused).contains(&id))
}

/// Answers one request and closes.
async fn serve(
    stream: TcpStream,
    client: &Client,
    registry: &str,
    refused: &Mutex<BTreeSet<u32>>,
) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let mut parts = line.split_whitespace();
    let method: Method = parts.next().context("no method")?.parse()?;
    let path = parts.next().context("no path")?.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let (status, text) = if is_of(&path, refused) {
        (403, r#"{"error_code": 40301, "message": "denied"}"#.to_owned())
    } else {
        let request = client
            .request(method, format!("{registry}{path}"))
            .header("Content-Type", "application/vnd.schemaregistry.v1+json")
            .body(body);
        let answer = request.send().await?;
        (answer.status().as_u16(), answer.text().await?)
    };
    let head = format!(
        "HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        text.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(text.as_bytes()).await?;
    Ok(stream.shutdown().await?)
}
