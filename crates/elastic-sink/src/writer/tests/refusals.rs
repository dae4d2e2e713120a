//! Documents that are refused, and whose fault it is.

use super::*;

fn unknown() -> Value {
    refused(400, "some_new_exception", "why")
}

fn bad() -> Value {
    refused(400, "document_parsing_exception", "failed to parse field [x]")
}

/// S02: an error that nobody has thought of does not empty a topic into its dead letters, nor does
/// it by a few at each start: nothing is believed before the index has taken a document.
#[tokio::test]
async fn an_unknown_error_is_believed_of_no_index_that_has_taken_none() {
    let two = documents(2);
    for _ in 0..30 {
        // Each is a process of its own.
        let server = server(vec![answer(&[unknown(), unknown()])]).await;
        let written = server.writer.write(two.iter()).await;
        assert_eq!(
            (&*written.blocked, faults(&written)),
            (&[0, 1][..], vec![IndexFault::AllRefused])
        );
        assert!(written.refused.is_empty(), "{written:?}");
    }
    let server = server(vec![
        answer(&[unknown(), unknown()]),
        answer(&[taken(), unknown()]),
        answer(&[unknown(), unknown()]),
        answer(&[unknown(), unknown()]),
    ])
    .await;
    let held = server.writer.write(two.iter()).await;
    assert_eq!((held.refused.len(), held.blocked.len()), (0, 2));
    let proven = server.writer.write(two.iter()).await;
    assert_eq!(
        codes(&proven),
        [(1, "refused")],
        "the other was taken: it is its own fault"
    );
    let few = server.writer.write(two.iter()).await;
    assert_eq!(codes(&few), [(0, "refused"), (1, "refused")]);
    let many = server.writer.write(two.iter()).await;
    assert_eq!(
        (&*many.blocked, faults(&many)),
        (&[0, 1][..], vec![IndexFault::AllRefused])
    );
}

/// An error that is a document's is believed at once, and so many times in a row.
#[tokio::test]
async fn an_index_that_refuses_everything_is_blocked() {
    let server = server(vec![answer(&[bad(), bad()]), answer(&[bad(), bad()])]).await;
    let two = documents(2);
    let first = server.writer.write(two.iter()).await;
    let code = "document_parsing_exception";
    assert_eq!(codes(&first), [(0, code), (1, code)]);
    let second = server.writer.write(two.iter()).await;
    assert_eq!(
        (&*second.blocked, faults(&second)),
        (&[0, 1][..], vec![IndexFault::AllRefused])
    );
}

#[tokio::test]
async fn a_request_that_is_refused_as_a_whole_for_any_document_empties_nothing() {
    let no = || {
        (
            400,
            r#"{"error":{"type":"some_new_exception","reason":"why"},"status":400}"#.to_owned(),
        )
    };
    let server = server(vec![no(); 20]).await;
    let written = server.writer.write(documents(50).iter()).await;
    assert_eq!((written.refused.len(), written.blocked.len()), (0, 50));
    assert_eq!(faults(&written), [IndexFault::AllRefused]);
}
