//! A proxy before the registry, as a gateway with rights of its own is: it answers 403 for one schema id, and passes
//! everything else on.

use anyhow::{Context, Result};
use reqwest::{Client, Method};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A proxy before `registry_url` that refuses `schema_id`; gives its address. It ends with the runtime.
///
/// # Errors
/// No port is free.
pub async fn refusing(registry_url: &str, schema_id: u32) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let (registry, refused) = (registry_url.to_owned(), format!("/schemas/ids/{schema_id}"));
    let client = Client::new();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (client, registry, refused) = (client.clone(), registry.clone(), refused.clone());
            // A connection that breaks is its client's to mend.
            tokio::spawn(async move { serve(stream, &client, &registry, &refused).await });
        }
    });
    Ok(address)
}

/// Answers one request and closes.
async fn serve(stream: TcpStream, client: &Client, registry: &str, refused: &str) -> Result<()> {
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
    let (status, text) = if path.starts_with(refused) {
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
