//! A record's headers on their way.

use millrace_kafka::RecordHeader;

/// Bytes of names and values that are kept: with them a record is still within what its topic
/// takes, as the value has a few hundred bytes.
const MAX_BYTES: usize = 1_000_000;
/// Bytes of the names that are told where the headers are not kept.
const MAX_NAMES: usize = 10_000;

/// Of headers that are too large to be kept: their names, with commas between.
pub(crate) fn names_of_large(own: &[RecordHeader<'_>]) -> Option<Vec<u8>> {
    let size = |(name, value): &RecordHeader<'_>| name.len() + value.map_or(0, <[u8]>::len);
    if own.iter().map(size).sum::<usize>() <= MAX_BYTES {
        return None;
    }
    let mut names = Vec::new();
    for (name, _) in own {
        if names.len() + name.len() >= MAX_NAMES {
            break;
        }
        if !names.is_empty() {
            names.push(b',');
        }
        names.extend_from_slice(name.as_bytes());
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    #[test]
    fn headers_are_kept_unless_they_are_too_large() {
        let large = vec![0; MAX_BYTES];
        let own = [
            (Cow::Borrowed("trace"), Some(&b"1"[..])),
            (Cow::Borrowed("none"), None),
        ];
        assert_eq!(names_of_large(&own), None);
        assert_eq!(names_of_large(&[]), None);
        let own = [own[0].clone(), (Cow::Borrowed("blob"), Some(&large[..]))];
        assert_eq!(names_of_large(&own), Some(b"trace,blob".to_vec()));
    }
}
