//! When the results of a window come out.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// When the results of a window come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Emit {
    /// Once, as it closes.
    #[default]
    OnClose,
    /// Early ones too, each time the watermark passes a multiple of an interval.
    Every {
        /// The interval of event time, in whole seconds.
        seconds: u32,
    },
}

impl Emit {
    /// The interval of early results in milliseconds; `None` without them.
    #[must_use]
    pub fn every_ms(self) -> Option<i64> {
        match self {
            Self::OnClose => None,
            Self::Every { seconds } => Some(i64::from(seconds) * 1_000),
        }
    }
}

impl fmt::Display for Emit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnClose => f.write_str("on_close"),
            Self::Every { seconds } => write!(f, "every {seconds} s"),
        }
    }
}

impl From<Emit> for String {
    fn from(emit: Emit) -> Self {
        emit.to_string()
    }
}

impl FromStr for Emit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "on_close" {
            return Ok(Self::OnClose);
        }
        let interval = text.trim().strip_prefix("every ");
        let seconds = interval.and_then(|interval| interval.trim().strip_suffix('s'));
        let seconds = seconds.and_then(|seconds| seconds.trim_end().parse().ok());
        seconds.map(|seconds| Self::Every { seconds }).ok_or_else(|| {
            format!(
                "is {text:?}: must be on_close, or every and a whole number of seconds, as \"every 10 s\""
            )
        })
    }
}

impl TryFrom<String> for Emit {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for emit in [Emit::OnClose, Emit::Every { seconds: 10 }] {
            assert_eq!(emit.to_string().parse(), Ok(emit));
        }
        for text in ["every 10s", "every 10 s", " every  10 s "] {
            assert_eq!(text.parse(), Ok(Emit::Every { seconds: 10 }), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "every",
            "every 10",
            "every 1.5 s",
            "every -1 s",
            "every 500 ms",
            "10 s",
            "ON_CLOSE",
        ] {
            let error = text.parse::<Emit>().unwrap_err();
            assert!(
                error.contains(&format!("{text:?}")) && error.contains("every 10 s"),
                "{error}"
            );
        }
    }
}
