//! Who may send, and how much.
//!
//! Keys are random and long, so that one SHA-256 of a key is as good as many: nobody guesses 32
//! random bytes from a hash. A slow hash as argon2, which passwords need, would cost each request
//! tens of milliseconds of a processor.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use axum::http::{HeaderMap, StatusCode, header};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota};
use millrace_settings::{Gateway, KeyHash};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::problem::Problem;

/// How requests without a key are called in metrics.
const ANONYMOUS: &str = "anonymous";

/// Who sends a request.
#[derive(Debug)]
pub(crate) struct Client {
    /// The key's name.
    pub(crate) name: String,
    limiter: Option<DefaultDirectRateLimiter>,
}

impl Client {
    /// A limit lets a whole request through at once, and a second's worth.
    fn new(name: &str, limit_per_s: u32, max_items: usize) -> Self {
        let limiter = NonZeroU32::new(limit_per_s).map(|limit| {
            let whole = u32::try_from(max_items).unwrap_or(u32::MAX);
            let burst = NonZeroU32::new(whole).map_or(limit, |whole| whole.max(limit));
            DefaultDirectRateLimiter::direct(Quota::per_second(limit).allow_burst(burst))
        });
        Self {
            name: name.to_owned(),
            limiter,
        }
    }

    /// Takes so many items of the client's limit.
    ///
    /// # Errors
    /// 429, with the time after which there is room for them.
    pub(crate) fn take(&self, items: usize) -> Result<(), Problem> {
        let count = u32::try_from(items).ok().and_then(NonZeroU32::new);
        let (Some(limiter), Some(count)) = (&self.limiter, count) else {
            return Ok(());
        };
        let wait = match limiter.check_n(count) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(not_until)) => not_until.wait_time_from(DefaultClock::default().now()),
            // A request has no more than the burst.
            Err(_) => Duration::from_secs(1),
        };
        let problem = Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limit",
            format!("{} has sent as many items as its limit allows", self.name),
        );
        Err(problem.retry_after(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)))
    }
}

/// The keys of the settings.
#[derive(Debug)]
pub(crate) struct Access {
    keys: Vec<(KeyHash, Arc<Client>)>,
    anonymous: Option<Arc<Client>>,
}

impl Access {
    /// Those of the settings, which have been checked. Without any, nobody needs one.
    ///
    /// # Errors
    /// A hash or a limit is none.
    pub(crate) fn new(settings: &Gateway) -> anyhow::Result<Self> {
        let client = |name: Option<&str>| -> anyhow::Result<Arc<Client>> {
            let limit = settings.rate_limit_of(name).map_err(|given| {
                anyhow!("gateway.rate_limits_per_s has {given:?}: must be a whole number")
            })?;
            let name = name.unwrap_or(ANONYMOUS);
            Ok(Arc::new(Client::new(name, limit, settings.max_items)))
        };
        let keys = settings
            .api_keys
            .iter()
            .map(|(name, hash)| Ok((hash.parse()?, client(Some(name))?)));
        let keys = keys.collect::<anyhow::Result<Vec<_>>>()?;
        let anonymous = match keys.is_empty() {
            true => Some(client(None)?),
            false => None,
        };
        Ok(Self { keys, anonymous })
    }

    /// Whether requests need a key.
    pub(crate) fn is_required(&self) -> bool {
        self.anonymous.is_none()
    }

    /// Who sends a request with these headers.
    ///
    /// # Errors
    /// 401: a key is needed, and is not there, or not known.
    pub(crate) fn client(&self, headers: &HeaderMap) -> Result<&Arc<Client>, Problem> {
        if let Some(anonymous) = &self.anonymous {
            return Ok(anonymous);
        }
        let refuse = |code, detail: &str| Problem::new(StatusCode::UNAUTHORIZED, code, detail);
        let Some(given) = headers.get(header::AUTHORIZATION) else {
            let detail = "a key is needed, as the header Authorization: Bearer KEY";
            return Err(refuse("no_key", detail));
        };
        let bearer = given.as_bytes().split_at_checked(7);
        let Some((_, key)) = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer ")) else {
            let detail = "the header Authorization must be Bearer KEY";
            return Err(refuse("no_bearer", detail));
        };
        let hash: [u8; 32] = Sha256::digest(key.trim_ascii()).into();
        // All are looked at, each in constant time: how long it takes says nothing of any.
        let mut found = None;
        for (known, client) in &self.keys {
            if bool::from(known.0[..].ct_eq(&hash[..])) {
                found = Some(client);
            }
        }
        found.ok_or_else(|| refuse("unknown_key", "the key is not one that gateway.api_keys has"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(keys: &[(&str, &str)]) -> Gateway {
        let hash = |key: &str| {
            let digest = Sha256::digest(key);
            let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("sha256:{digits}")
        };
        let keys = keys.iter().map(|(name, key)| ((*name).to_owned(), hash(key)));
        Gateway {
            api_keys: keys.collect(),
            max_items: 10,
            ..Gateway::default()
        }
    }

    fn headers(authorization: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
        headers
    }

    #[test]
    fn a_key_is_known_by_its_hash_alone() {
        let access = Access::new(&settings(&[("a", "first"), ("b", "second")])).unwrap();
        assert!(access.is_required());
        for (given, expected) in [
            ("Bearer first", Ok("a")),
            ("bearer  second ", Ok("b")),
            ("Bearer third", Err("unknown_key")),
            ("Bearer ", Err("unknown_key")),
            ("Basic first", Err("no_bearer")),
            ("Bearer", Err("no_bearer")),
        ] {
            let found = access.client(&headers(given));
            let found = found
                .map(|client| client.name.as_str())
                .map_err(|problem| problem.code);
            assert_eq!(
                found.as_ref().map_err(String::as_str),
                expected.as_ref().map_err(|it| *it),
                "{given}"
            );
        }
        let problem = access.client(&HeaderMap::new()).unwrap_err();
        assert_eq!((problem.status, &*problem.code), (401, "no_key"));
        let open = Access::new(&settings(&[])).unwrap();
        assert!(!open.is_required());
        assert_eq!(open.client(&HeaderMap::new()).unwrap().name, ANONYMOUS);
    }

    #[test]
    fn each_key_has_its_own_limit_of_items() {
        let mut settings = settings(&[("a", "first"), ("b", "second")]);
        settings.rate_limit_per_s = 1;
        settings.rate_limits_per_s.insert("b".to_owned(), "0".to_owned());
        let access = Access::new(&settings).unwrap();
        let client = |key: &str| access.client(&headers(&format!("Bearer {key}"))).unwrap();
        // A whole request goes through, whatever the limit.
        assert_eq!(client("first").take(10), Ok(()));
        let problem = client("first").take(3).unwrap_err();
        assert_eq!((problem.status, &*problem.code), (429, "rate_limit"));
        assert!((2..=3).contains(&problem.retry_after_s.unwrap()), "{problem:?}");
        for _ in 0..100 {
            assert_eq!(client("second").take(10), Ok(()));
        }
    }
}
