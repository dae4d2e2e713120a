//! The schema registry client (the Confluent API, as Confluent's, Apicurio's and Karapace's
//! registries serve it).

use std::time::Duration;

use millrace_http::chain;
use reqwest::{Client, Method};
use serde::Deserialize;
use serde_json::json;

use crate::failure::{Failure, by_status};
use crate::{RegisteredVersion, RegistryConfig, RegistryError};

/// How often a call is tried, and the pause before the second attempt, which doubles each time.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// What the registry says of a schema that is not registered.
#[derive(Deserialize)]
struct Check {
    is_compatible: bool,
    #[serde(default)]
    messages: Vec<String>,
}

/// An async client. A clone shares its connections.
#[derive(Debug, Clone)]
pub struct Registry {
    config: RegistryConfig,
    client: Client,
}

impl Registry {
    /// Makes a client; nothing is connected yet.
    ///
    /// # Errors
    /// The TLS set-up of the HTTP client fails.
    pub fn new(mut config: RegistryConfig) -> Result<Self, RegistryError> {
        config.url.truncate(config.url.trim_end_matches('/').len());
        let timeout = Duration::from_millis(config.timeout_ms);
        let refused = |cause: String| RegistryError::Configuration {
            url: config.url.clone(),
            cause,
        };
        let client = millrace_http::client(timeout, &config.tls).map_err(|error| refused(chain(&error)))?;
        Ok(Self { config, client })
    }

    /// The base address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.config.url
    }

    /// Registers an Avro schema and gives its id. The same schema again gives the same id.
    ///
    /// # Errors
    /// Incompatible with what the subject has, or any other failure.
    pub async fn register(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        #[derive(Deserialize)]
        struct Registered {
            id: u32,
        }
        let action = format!("register {subject}");
        let path = format!("subjects/{}/versions", escaped(subject));
        let body = avro(schema);
        let result = self
            .call::<Registered>(&action, Method::POST, &path, Some(&body))
            .await;
        match result {
            Ok(registered) => Ok(registered.id),
            Err(RegistryError::Refused {
                status: 409, message, ..
            }) => Err(RegistryError::Incompatible {
                subject: subject.to_owned(),
                message: self.incompatibilities(subject, schema).await.unwrap_or(message),
            }),
            Err(error) => Err(error),
        }
    }

    /// Gets the newest version of a subject; `None` if there is none.
    ///
    /// # Errors
    /// The registry is away, or refuses.
    pub async fn latest(&self, subject: &str) -> Result<Option<RegisteredVersion>, RegistryError> {
        let path = format!("subjects/{}/versions/latest", escaped(subject));
        self.call(
            &format!("get the newest schema of {subject}"),
            Method::GET,
            &path,
            None,
        )
        .await
        .map_or_else(none_if_not_found, |version| Ok(Some(version)))
    }

    /// Lists the subjects.
    ///
    /// # Errors
    /// The registry is away, or refuses.
    pub async fn subjects(&self) -> Result<Vec<String>, RegistryError> {
        self.call("list its subjects", Method::GET, "subjects", None)
            .await
    }

    /// The id that this schema has in a subject; `None` where the subject does not have it, or is
    /// not there.
    ///
    /// # Errors
    /// The registry is away, or refuses.
    pub async fn id_of(&self, subject: &str, schema: &str) -> Result<Option<u32>, RegistryError> {
        #[derive(Deserialize)]
        struct Version {
            id: u32,
        }
        let action = format!("look for a schema in {subject}");
        let path = format!("subjects/{}", escaped(subject));
        self.call(&action, Method::POST, &path, Some(&avro(schema)))
            .await
            .map_or_else(none_if_not_found, |found: Version| Ok(Some(found.id)))
    }

    /// Why the registry would refuse to register this schema in a subject that is there, at the
    /// level that it has now; `None` where it would not. It is asked, and nothing is registered.
    ///
    /// # Errors
    /// The registry is away, or refuses to say.
    pub async fn incompatibility(
        &self,
        subject: &str,
        schema: &str,
    ) -> Result<Option<String>, RegistryError> {
        let check = self.check(subject, schema).await?;
        Ok((!check.is_compatible).then(|| match check.messages.is_empty() {
            true => "it gives no reason".to_owned(),
            false => check.messages.join("; "),
        }))
    }

    /// What the registry's compatibility check says, where it says anything: it names the field,
    /// which the refusal of a registration need not do.
    async fn incompatibilities(&self, subject: &str, schema: &str) -> Option<String> {
        let check = self.check(subject, schema).await.ok()?;
        (!check.messages.is_empty()).then(|| check.messages.join("; "))
    }

    async fn check(&self, subject: &str, schema: &str) -> Result<Check, RegistryError> {
        let path = format!(
            "compatibility/subjects/{}/versions/latest?verbose=true",
            escaped(subject)
        );
        self.call("check compatibility", Method::POST, &path, Some(&avro(schema)))
            .await
    }

    pub(crate) async fn call<T: serde::de::DeserializeOwned>(
        &self,
        action: &str,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<T, RegistryError> {
        self.retried(action, || async {
            let mut request = self
                .client
                .request(method.clone(), format!("{}/{path}", self.config.url));
            if let Some(username) = &self.config.username {
                request = request.basic_auth(username, self.config.password.as_ref());
            }
            if let Some(body) = body {
                request = request.json(body);
            }
            let response = request.send().await.map_err(|error| Failure::no_answer(&error))?;
            let status = response.status();
            let text = response
                .text()
                .await
                .map_err(|error| Failure::no_answer(&error))?;
            if status.is_success() {
                return serde_json::from_str(&text).map_err(|error| Failure::Status {
                    status: 0,
                    message: format!("an answer that is not the API's: {error}"),
                });
            }
            let message = serde_json::from_str::<Refusal>(&text).map_or(text, |error| error.message);
            Err(by_status(status.as_u16(), message))
        })
        .await
    }

    async fn retried<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        action: &str,
        attempt: impl Fn() -> F,
    ) -> Result<T, RegistryError> {
        let mut pause = FIRST_PAUSE;
        let mut attempts = 1;
        loop {
            match attempt().await {
                Ok(value) => return Ok(value),
                Err(Failure::Status { status, message }) => {
                    return Err(RegistryError::Refused {
                        action: action.to_owned(),
                        status,
                        message,
                    });
                }
                Err(Failure::Retry { status, cause }) if attempts == ATTEMPTS => {
                    return Err(RegistryError::Unavailable {
                        url: self.config.url.clone(),
                        action: action.to_owned(),
                        attempts,
                        status,
                        cause,
                    });
                }
                Err(Failure::Retry { cause, .. }) => {
                    tracing::warn!(action, attempts, cause, "the schema registry will be asked again");
                }
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            attempts += 1;
        }
    }
}

/// What the registry answers where it does not do what it is asked.
#[derive(Deserialize)]
struct Refusal {
    message: String,
}

/// An Avro schema as it is sent.
fn avro(schema: &str) -> serde_json::Value {
    json!({ "schema": schema, "schemaType": "AVRO" })
}

pub(crate) fn none_if_not_found<T>(error: RegistryError) -> Result<Option<T>, RegistryError> {
    match error {
        RegistryError::Refused { status: 404, .. } => Ok(None),
        error => Err(error),
    }
}

/// A subject as one segment of a path.
pub(crate) fn escaped(subject: &str) -> String {
    subject
        .replace('%', "%25")
        .replace('/', "%2F")
        .replace('?', "%3F")
        .replace('#', "%23")
}
