//! A body as items.

use std::fmt;

use axum::http::StatusCode;
use millrace_contract::json::without_mark;
use serde::Deserializer;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::body::Form;
use crate::problem::Problem;

/// The items of a body, as their bytes: at least one, and at most `most`. An item need not be
/// JSON where each has its line, and need not be an object in an array.
///
/// # Errors
/// No item, too many (413), or text that is no JSON at all (400).
pub(crate) fn split(body: &[u8], form: Form, most: usize) -> Result<Vec<&[u8]>, Problem> {
    let body = without_mark(body);
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let first = body.iter().find(|byte| !is_blank(byte));
    let items = match (form, first) {
        (_, None) => Vec::new(),
        (Form::Json, Some(b'[')) => array(body, most)?,
        (Form::Json, Some(_)) => vec![body],
        (Form::Lines, Some(_)) => {
            let lines = body.split(|byte| *byte == b'\n');
            let full = lines.filter(|line| !line.iter().all(is_blank));
            full.take(most + 1).collect()
        }
    };
    match items.len() {
        0 => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "no_items",
            "the body has no item: send a JSON object, an array of them, or one a line",
        )),
        count if count > most => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_many_items",
            format!("the body has more than {most} items: send fewer a request"),
        )),
        _ => Ok(items),
    }
}

/// The elements of an array, and one more than `most` where there are more.
fn array(body: &[u8], most: usize) -> Result<Vec<&[u8]>, Problem> {
    let no_json = |error: &dyn fmt::Display| {
        let detail = format!("the body is no JSON array: {error}");
        Problem::new(StatusCode::BAD_REQUEST, "bad_json", detail)
    };
    // Checked once, and not again for each element.
    let text = std::str::from_utf8(body).map_err(|error| no_json(&error))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let mut items = Vec::new();
    let elements = Elements {
        items: &mut items,
        most,
    };
    let read = reader.deserialize_seq(elements).and_then(|()| reader.end());
    match read {
        // Reading ended at the limit, in the middle.
        _ if items.len() > most => Ok(items),
        Ok(()) => Ok(items),
        Err(error) => Err(no_json(&error)),
    }
}

struct Elements<'a, 'de> {
    items: &'a mut Vec<&'de [u8]>,
    most: usize,
}

impl<'de> Visitor<'de> for Elements<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(element) = seq.next_element::<&'de RawValue>()? {
            self.items.push(element.get().as_bytes());
            if self.items.len() > self.most {
                return Err(A::Error::custom("there are too many"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(body: &str, form: Form, most: usize) -> Result<Vec<String>, (u16, String)> {
        let items = split(body.as_bytes(), form, most).map_err(|problem| (problem.status, problem.code))?;
        let text = |item: &[u8]| String::from_utf8(item.to_vec()).unwrap();
        Ok(items.into_iter().map(text).collect())
    }

    #[test]
    fn an_object_an_array_and_lines_are_the_same_items() {
        let expected = vec!["{\"a\":1}".to_owned(), "{\"a\":\"]\\n\"}".to_owned()];
        assert_eq!(
            texts(" [ {\"a\":1} ,\n{\"a\":\"]\\n\"}]\n", Form::Json, 9),
            Ok(expected.clone())
        );
        assert_eq!(
            texts("\u{feff}{\"a\":1}\n\n{\"a\":\"]\\n\"}\n", Form::Lines, 9),
            Ok(expected.clone())
        );
        assert_eq!(texts("{\"a\":1}", Form::Json, 9), Ok(expected[..1].to_vec()));
        // What is no object is its own item's fault.
        assert_eq!(
            texts("[1, null, {}]", Form::Json, 9).unwrap(),
            ["1", "null", "{}"]
        );
        assert_eq!(texts("{\n{}\r\n", Form::Lines, 9).unwrap(), ["{", "{}\r"]);
    }

    #[test]
    fn their_number_is_bounded() {
        for (body, form) in [("[1,2,3]", Form::Json), ("1\n2\n3", Form::Lines)] {
            assert_eq!(texts(body, form, 3).unwrap().len(), 3);
            assert_eq!(texts(body, form, 2), Err((413, "too_many_items".to_owned())));
        }
        // A request that is too large is not read to its end.
        assert_eq!(
            texts("[1,2,3, what", Form::Json, 2),
            Err((413, "too_many_items".to_owned()))
        );
    }

    #[test]
    fn a_body_without_items_or_json_is_refused_whole() {
        for (body, form) in [("", Form::Json), ("[]", Form::Json), (" \n\n", Form::Lines)] {
            assert_eq!(
                texts(body, form, 2),
                Err((400, "no_items".to_owned())),
                "{body:?}"
            );
        }
        for body in ["[", "[1,]", "[1] 2", "[1 2]", "[\"\u{1}\"]"] {
            assert_eq!(
                texts(body, Form::Json, 9),
                Err((400, "bad_json".to_owned())),
                "{body:?}"
            );
        }
        let problem = split(b"[\"\xff\"]", Form::Json, 9).unwrap_err();
        assert_eq!(problem.code, "bad_json");
        // Depth takes no stack.
        let deep = format!("[{}{}]", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(texts(&deep, Form::Json, 9).unwrap().len(), 1);
    }
}
