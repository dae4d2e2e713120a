//! What of a record goes into a copy of bounded size.
//!
//! What the copy says for itself always goes in. Of the rest, the key comes first and has an eighth
//! of the room at most; then the record's own headers, in their order, each that fits into half of
//! what is left; then the value.

use std::borrow::Cow;

use super::names::{header, on_copy};
use super::{OVERHEAD_BYTES, SourceRecord};

/// Bytes of what one of the copy's own headers says at most: an error may quote its input.
const MAX_SAID_BYTES: usize = 4_096;
/// Bytes of the list of headers left out at most.
const MAX_LIST_BYTES: usize = 1_024;
/// What the headers about the cut need at most, with the list's end.
const MARKS_BYTES: usize = 256;

/// A header that is made, or borrowed from the source.
type Made<'a> = (Cow<'a, str>, Option<Cow<'a, [u8]>>);

#[derive(Debug)]
pub(super) struct Fitted<'a> {
    pub(super) key: Option<&'a [u8]>,
    pub(super) payload: Option<&'a [u8]>,
    pub(super) headers: Vec<Made<'a>>,
    pub(super) size_bytes: usize,
    pub(super) is_cut: bool,
}

/// Bytes that a header needs at most: two lengths of up to five bytes, name and value.
pub(super) fn header_bytes(name: &str, value: Option<&[u8]>) -> usize {
    10 + name.len() + value.map_or(0, <[u8]>::len)
}

fn made_bytes((name, value): &Made<'_>) -> usize {
    header_bytes(name, value.as_deref())
}

pub(super) fn fit<'a>(source: &SourceRecord<'a>, said: &[(&str, &[u8])], limit: usize) -> Fitted<'a> {
    let mut headers = ours(source, said, limit);
    let ours_bytes: usize = headers.iter().map(made_bytes).sum();
    let own: Vec<Made<'a>> = source
        .headers
        .iter()
        .map(|(name, value)| (on_copy(name), value.map(Cow::Borrowed)))
        .collect();
    let own_bytes: usize = own.iter().map(made_bytes).sum();
    let len = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    let whole = OVERHEAD_BYTES + ours_bytes + own_bytes + len(source.key) + len(source.payload);
    if whole <= limit {
        headers.extend(own);
        return Fitted {
            key: source.key,
            payload: source.payload,
            headers,
            size_bytes: whole,
            is_cut: false,
        };
    }
    let room = limit.saturating_sub(OVERHEAD_BYTES + ours_bytes + MARKS_BYTES);
    let key = source.key.map(|key| &key[..key.len().min(room / 8)]);
    mark(&mut headers, header::TRUNCATED, len(source.payload).to_string());
    if len(key) < len(source.key) {
        mark(&mut headers, header::TRUNCATED_KEY, len(source.key).to_string());
    }
    let mut room = room - len(key);
    let mut left_out = String::new();
    // A place for the list that is perhaps made.
    let list_room = MAX_LIST_BYTES.min(room / 8);
    room -= list_room;
    for own in own {
        let bytes = made_bytes(&own);
        if bytes <= room / 2 {
            room -= bytes;
            headers.push(own);
        } else {
            name_left_out(&mut left_out, &own.0, list_room);
        }
    }
    if !left_out.is_empty() {
        mark(&mut headers, header::TRUNCATED_HEADERS, left_out);
    }
    let payload = source.payload.map(|payload| &payload[..payload.len().min(room)]);
    let headers_bytes: usize = headers.iter().map(made_bytes).sum();
    Fitted {
        size_bytes: OVERHEAD_BYTES + headers_bytes + len(key) + len(payload),
        key,
        payload,
        headers,
        is_cut: true,
    }
}

fn mark(headers: &mut Vec<Made<'_>>, name: &'static str, value: String) {
    headers.push((Cow::Borrowed(name), Some(Cow::Owned(value.into_bytes()))));
}

/// Adds a name to the list of headers left out, or three dots where it is full.
fn name_left_out(list: &mut String, name: &str, room: usize) {
    const DOTS: &str = ",...";
    if list.ends_with(DOTS) {
        return;
    }
    let comma = if list.is_empty() { "" } else { "," };
    if list.len() + comma.len() + name.len() + DOTS.len() <= room {
        list.push_str(comma);
        list.push_str(name);
    } else {
        list.push_str(DOTS);
    }
}

/// What the copy says, and where the record came from.
fn ours<'a>(source: &SourceRecord<'_>, said: &[(&str, &[u8])], limit: usize) -> Vec<Made<'a>> {
    let most = MAX_SAID_BYTES.min(limit / 4);
    let mut headers: Vec<Made<'a>> = said
        .iter()
        .map(|&(name, value)| {
            let value = shortened(value, most).to_vec();
            (Cow::Owned(name.to_owned()), Some(Cow::Owned(value)))
        })
        .collect();
    mark(&mut headers, header::SOURCE_TOPIC, source.topic.to_owned());
    mark(
        &mut headers,
        header::SOURCE_PARTITION,
        source.partition.to_string(),
    );
    mark(&mut headers, header::SOURCE_OFFSET, source.offset.to_string());
    if let Some(time_ms) = source.timestamp_ms {
        mark(&mut headers, header::SOURCE_TIMESTAMP_MS, time_ms.to_string());
    }
    headers
}

/// The first `most` bytes, or some fewer where these would end within a character.
fn shortened(text: &[u8], most: usize) -> &[u8] {
    if text.len() <= most {
        return text;
    }
    let is_boundary = |at: &usize| text[*at] & 0b1100_0000 != 0b1000_0000;
    let end = (0..=most).rev().take(4).find(is_boundary).unwrap_or(most);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RecordHeader;

    fn source<'a>(
        key: Option<&'a [u8]>,
        payload: Option<&'a [u8]>,
        headers: &'a [RecordHeader<'a>],
    ) -> SourceRecord<'a> {
        SourceRecord {
            topic: "in",
            partition: 3,
            offset: 17,
            timestamp_ms: Some(1_760_011_200_000),
            key,
            payload,
            headers,
        }
    }

    fn text(fitted: &Fitted<'_>, name: &str) -> Option<String> {
        let found = fitted.headers.iter().find(|(found, _)| found == name)?;
        Some(String::from_utf8_lossy(found.1.as_deref().unwrap_or_default()).into_owned())
    }

    const SAID: [(&str, &[u8]); 1] = [(header::ERROR, b"bad")];

    #[test]
    fn what_fits_is_whole_to_the_byte() {
        let headers: [RecordHeader<'_>; 3] = [
            ("tenant".into(), Some(b"acme")),
            ("error".into(), Some(b"theirs")),
            ("none".into(), None),
        ];
        let payload = vec![7; 5_000];
        let source = source(Some(b"u-1"), Some(&payload), &headers);
        let whole = fit(&source, &SAID, usize::MAX);
        assert!(!whole.is_cut);
        assert_eq!((whole.key, whole.payload), (source.key, source.payload));
        assert_eq!(text(&whole, "error").unwrap(), "bad");
        assert_eq!(text(&whole, "original.error").unwrap(), "theirs");
        assert_eq!(text(&whole, "source.timestamp_ms").unwrap(), "1760011200000");
        assert_eq!(whole.headers.last().unwrap(), &("none".into(), None));
        assert!(!fit(&source, &SAID, whole.size_bytes).is_cut);
        let cut = fit(&source, &SAID, whole.size_bytes - 1);
        assert!(cut.is_cut && cut.size_bytes < whole.size_bytes);
        assert_eq!(text(&cut, "truncated").unwrap(), "5000");
        assert_eq!(text(&cut, "tenant").unwrap(), "acme");
        assert_eq!(text(&cut, "truncated.headers"), None);
        assert!(payload.starts_with(cut.payload.unwrap()));
    }

    /// Whatever a record is made of, its copy keeps to the limit and says what is missing.
    #[test]
    fn every_copy_keeps_to_its_limit() {
        let bytes = vec![b'x'; 3_000_000];
        let lens = [0, 1, 100, 10_000, 1_000_000, 3_000_000];
        for limit in [2_048, 4_096, 65_536, 1_000_000, 1_048_588] {
            for key in lens {
                for value in lens {
                    for (own, count) in [(10, 3), (2_000, 400), (900_000, 2), (0, 5_000)] {
                        let own: Vec<RecordHeader<'_>> = (0..count)
                            .map(|at| (format!("h{at}").into(), Some(&bytes[..own])))
                            .collect();
                        let source = source(Some(&bytes[..key]), Some(&bytes[..value]), &own);
                        let fitted = fit(&source, &[(header::ERROR, &bytes[..50_000])], limit);
                        let what = format!("limit {limit}, key {key}, value {value}, {count} headers");
                        assert!(fitted.size_bytes <= limit, "{what}: {}", fitted.size_bytes);
                        let kept = fitted.headers.iter().filter(|(name, _)| name.starts_with('h'));
                        let lost = kept.count() < count;
                        assert_eq!(text(&fitted, "truncated.headers").is_some(), lost, "{what}");
                        let cut_key = fitted.key.unwrap().len() < key;
                        assert_eq!(text(&fitted, "truncated.key").is_some(), cut_key, "{what}");
                        let cut_value = fitted.payload.unwrap().len() < value;
                        assert_eq!(fitted.is_cut, text(&fitted, "truncated").is_some());
                        assert!(fitted.is_cut || !(lost || cut_key || cut_value), "{what}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_tombstone_stays_one_and_a_text_is_cut_between_characters() {
        let headers: [RecordHeader<'_>; 1] = [("big".into(), Some(&[0; 9_000]))];
        let cut = fit(&source(None, None, &headers), &SAID, 4_096);
        assert_eq!((cut.key, cut.payload), (None, None));
        assert_eq!(text(&cut, "truncated").unwrap(), "0");
        assert_eq!(text(&cut, "truncated.headers").unwrap(), "big");
        let said = "é".repeat(5_000);
        let whole = fit(&source(None, None, &[]), &[("error", said.as_bytes())], 9_001);
        let kept = whole.headers[0].1.as_deref().unwrap();
        assert!(
            std::str::from_utf8(kept).is_ok() && kept.len() == 2_250,
            "{}",
            kept.len()
        );
    }
}
