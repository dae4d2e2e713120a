//! One request of Kafka's protocol, to know when a broker serves: Metadata, version 1.
//!
//! The layout is that of `MetadataRequest.json` and `MetadataResponse.json` in Kafka's sources;
//! every broker of Kafka 4 takes this version.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const API_KEY: i16 = 3;
const API_VERSION: i16 = 1;
const CORRELATION_ID: i32 = 1;
const TIMEOUT: Duration = Duration::from_secs(3);
/// More than an answer about three brokers can need.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// The ids of the live brokers, by word of the broker on `port` of 127.0.0.1.
pub(crate) async fn live_brokers(port: u16) -> Result<Vec<i32>, String> {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(&request()).await?;
        let length = usize::try_from(stream.read_i32().await?).unwrap_or(usize::MAX);
        if length > MAX_RESPONSE_BYTES {
            return Err(std::io::Error::other(format!("an answer of {length} bytes")));
        }
        let mut response = vec![0; length];
        stream.read_exact(&mut response).await?;
        Ok(response)
    };
    let response = tokio::time::timeout(TIMEOUT, ask)
        .await
        .map_err(|_| format!("no answer within {} s", TIMEOUT.as_secs()))?
        .map_err(|error| error.to_string())?;
    parse(&response).ok_or_else(|| "the answer is no metadata".to_owned())
}

/// Header (version 1, no client id) and a body that asks for no topic.
fn request() -> Vec<u8> {
    let mut body = Vec::with_capacity(18);
    body.extend(API_KEY.to_be_bytes());
    body.extend(API_VERSION.to_be_bytes());
    body.extend(CORRELATION_ID.to_be_bytes());
    body.extend((-1_i16).to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    let mut frame = vec![0, 0, 0, 14];
    frame.append(&mut body);
    frame
}

fn parse(response: &[u8]) -> Option<Vec<i32>> {
    let mut rest = response;
    if take_i32(&mut rest)? != CORRELATION_ID {
        return None;
    }
    let count = take_i32(&mut rest)?;
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(take_i32(&mut rest)?);
        skip_string(&mut rest)?; // host
        take_i32(&mut rest)?; // port
        skip_string(&mut rest)?; // rack
    }
    ids.sort_unstable();
    Some(ids)
}

fn take_i32(rest: &mut &[u8]) -> Option<i32> {
    let (bytes, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(i32::from_be_bytes(*bytes))
}

/// A string with its length before it; length -1 is null.
fn skip_string(rest: &mut &[u8]) -> Option<()> {
    let (bytes, after) = rest.split_first_chunk::<2>()?;
    let length = usize::try_from(i16::from_be_bytes(*bytes)).unwrap_or(0);
    *rest = after.get(length..)?;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response() -> Vec<u8> {
        let mut bytes = vec![0, 0, 0, 1, 0, 0, 0, 2];
        for id in [3_u8, 1] {
            bytes.extend([0, 0, 0, id, 0, 1, b'h', 0, 0, 0x23, 0x84, 0xff, 0xff]);
        }
        bytes.extend([0, 0, 0, 1, 0, 0, 0, 0]);
        bytes
    }

    #[test]
    fn the_brokers_of_an_answer_are_read() {
        assert_eq!(parse(&response()), Some(vec![1, 3]));
    }

    #[test]
    fn a_cut_answer_is_none() {
        for end in 0..response().len() - 8 {
            assert_eq!(parse(&response()[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn the_length_before_the_request_is_its_length() {
        assert_eq!(request().len(), 4 + 14);
    }
}
