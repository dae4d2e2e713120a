//! A value in the words of Compose's `.env` format.

use std::borrow::Cow;

/// `value` so that Compose reads back the same: as it is where nothing in it means anything, else
/// in single quotes, in which nothing does, else in double quotes, with what means something
/// escaped.
pub(super) fn quoted(value: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:,@%+=*".contains(c);
    if value.chars().all(plain) {
        return Cow::Borrowed(value);
    }
    if !value.contains(['\'', '\\', '\n', '\r']) {
        return Cow::Owned(format!("'{value}'"));
    }
    let mut text = String::with_capacity(value.len() + 8);
    text.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' | '$' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            c => text.push(c),
        }
    }
    text.push('"');
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn values_are_quoted_only_where_they_must_be() {
        for (value, expected) in [
            ("", ""),
            ("info,millrace_kafka=debug", "info,millrace_kafka=debug"),
            ("two words", "'two words'"),
            ("a#b", "'a#b'"),
            ("$HOME \"x\"", "'$HOME \"x\"'"),
            ("it's $5", "\"it's \\$5\""),
            ("back\\slash", "\"back\\\\slash\""),
            ("two\nlines", "\"two\\nlines\""),
        ] {
            assert_eq!(quoted(value), expected);
        }
    }
}
