//! Look-ups at a service's start, against a registry that comes late, knows nothing, or refuses.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use millrace_registry::Registry;
use millrace_service::registry::{config, schema_id};
use millrace_settings::SchemaRegistry;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const SCHEMA: &str = r#"{"type":"record","name":"R","fields":[]}"#;
/// What a registry says of a subject that it does not have.
const NO_SUBJECT: Answer = (404, r#"{"error_code":40401,"message":"Subject not found."}"#);
const NEWEST: Answer = (
    200,
    r#"{"subject":"t-value","version":1,"id":3,"schema":"{\"type\":\"record\",\"name\":\"R\",\"fields\":[]}"}"#,
);
const REGISTERED: Answer = (200, r#"{"id":7}"#);
const OUTAGE: Answer = (503, r#"{"error_code":50003,"message":"no leader"}"#);

type Answer = (u16, &'static str);

/// A registry that gives these answers, one after the other, and the last one for ever.
struct Scripted {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    async fn start(answers: &[Answer]) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, mut answers) = (Arc::clone(&asked), VecDeque::from(answers.to_vec()));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = match answers.len() {
                    0 | 1 => answers.front().copied(),
                    _ => answers.pop_front(),
                };
                // A connection that breaks is seen by its client.
                let _ = serve(stream, answer.unwrap_or(OUTAGE), &seen).await;
            }
        });
        Ok(Self { url, asked })
    }

    fn client(&self) -> Result<Registry> {
        let settings = SchemaRegistry {
            url: self.url.clone(),
            ..SchemaRegistry::default()
        };
        Ok(Registry::new(config(&settings))?)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Notes one request's first line, answers it, and closes.
async fn serve(stream: TcpStream, (status, body): Answer, seen: &Mutex<Vec<String>>) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
    stream.read_line(&mut first).await?;
    while stream.read_line(&mut line).await? > 0 && !line.trim().is_empty() {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
        line.clear();
    }
    stream.read_exact(&mut vec![0; length]).await?;
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(first);
    let head = format!(
        "HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    Ok(stream.shutdown().await?)
}

#[tokio::test]
async fn our_schema_has_the_id_that_the_registry_gives_it() -> Result<()> {
    let registry = Scripted::start(&[NEWEST, REGISTERED]).await?;
    assert_eq!(schema_id(&registry.client()?, "t", SCHEMA).await?, 7);
    let asked = registry.asked();
    assert!(
        asked[0].starts_with("GET /subjects/t-value/versions/latest"),
        "{asked:?}"
    );
    assert!(
        asked[1].starts_with("POST /subjects/t-value/versions"),
        "{asked:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_registry_that_is_away_is_waited_for() -> Result<()> {
    // The client itself asks five times: this outage is longer. Back, it has not read its store
    // yet.
    let mut answers = vec![OUTAGE; 6];
    answers.extend([NO_SUBJECT, NEWEST, REGISTERED]);
    let registry = Scripted::start(&answers).await?;
    assert_eq!(schema_id(&registry.client()?, "t", SCHEMA).await?, 7);
    assert_eq!(
        registry.asked().len(),
        answers.len(),
        "each answer was waited for once"
    );
    Ok(())
}

#[tokio::test]
async fn a_registry_that_was_there_and_has_no_subject_has_not_been_prepared() -> Result<()> {
    let registry = Scripted::start(&[NO_SUBJECT]).await?;
    let error = schema_id(&registry.client()?, "t", SCHEMA).await.unwrap_err();
    let text = format!("{error:#}");
    for part in ["t-value", &registry.url, "millrace init"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(registry.asked().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_refusal_ends_the_start_at_once() -> Result<()> {
    let denied = (403, r#"{"error_code":40301,"message":"denied"}"#);
    let registry = Scripted::start(&[denied]).await?;
    let error = schema_id(&registry.client()?, "t", SCHEMA).await.unwrap_err();
    assert!(format!("{error:#}").contains("denied"), "{error:#}");
    assert_eq!(registry.asked().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_schema_that_does_not_fit_is_told_with_what_does_not() -> Result<()> {
    let conflict = (409, r#"{"error_code":409,"message":"incompatible"}"#);
    let check = (
        200,
        r#"{"is_compatible":false,"messages":["field amount is missing"]}"#,
    );
    let registry = Scripted::start(&[NEWEST, conflict, check]).await?;
    let error = schema_id(&registry.client()?, "t", SCHEMA).await.unwrap_err();
    let text = format!("{error:#}");
    assert!(
        text.contains("t-value") && text.contains("field amount is missing"),
        "{text}"
    );
    Ok(())
}
