use serde_json::json;

use super::*;

fn one(status: u16, kind: &str, reason: &str) -> ItemOutcome {
    let body = json!({"items": [{"index": {"status": status, "error": {"type": kind, "reason": reason}}}]})
        .to_string();
    match classify(
        Answer {
            status: 200,
            body: body.as_bytes(),
        },
        1,
    ) {
        RequestOutcome::Items(mut items) => items.remove(0),
        other => panic!("{other:?}"),
    }
}

fn retried(outcome: &ItemOutcome) -> Option<RetryReason> {
    match outcome {
        ItemOutcome::Retry { reason, .. } => Some(*reason),
        _ => None,
    }
}

fn blocked(outcome: &ItemOutcome) -> Option<IndexFault> {
    match outcome {
        ItemOutcome::Blocked { fault, .. } => Some(*fault),
        _ => None,
    }
}

fn whole(status: u16, body: &str) -> RequestOutcome {
    classify(
        Answer {
            status,
            body: body.as_bytes(),
        },
        2,
    )
}

fn whole_retried(status: u16, body: &str) -> Option<RetryReason> {
    match whole(status, body) {
        RequestOutcome::Retry { reason, .. } => Some(reason),
        _ => None,
    }
}

#[test]
fn every_status_of_an_item_has_its_outcome() {
    for status in 100..=999 {
        let outcome = one(status, "some_exception", "why");
        match status {
            200..=299 => assert_eq!(outcome, ItemOutcome::Indexed, "{status}"),
            409 => assert_eq!(outcome, ItemOutcome::Unchanged { index: None }),
            408 => assert_eq!(retried(&outcome), Some(RetryReason::Timeout)),
            429 => assert_eq!(retried(&outcome), Some(RetryReason::Rejected)),
            401 => assert_eq!(retried(&outcome), Some(RetryReason::Blocked)),
            403 => assert_eq!(blocked(&outcome), Some(IndexFault::Forbidden)),
            404 => assert_eq!(blocked(&outcome), Some(IndexFault::Missing)),
            400..=499 => assert!(
                matches!(&outcome, ItemOutcome::Refused(refused) if refused.code == "refused"),
                "{status} {outcome:?}"
            ),
            _ => assert_eq!(retried(&outcome), Some(RetryReason::Server), "{status}"),
        }
    }
}

#[test]
fn every_status_of_a_request_has_its_outcome() {
    let body = r#"{"error":{"type":"some_exception","reason":"why"}}"#;
    for status in (100..200).chain(300..=999) {
        let reason = whole_retried(status, body);
        match status {
            400 => assert!(matches!(whole(status, body), RequestOutcome::Split(_))),
            413 => assert!(matches!(whole(status, body), RequestOutcome::TooLarge(_))),
            408 | 504 => assert_eq!(reason, Some(RetryReason::Timeout)),
            429 => assert_eq!(reason, Some(RetryReason::Rejected)),
            500.. => assert_eq!(reason, Some(RetryReason::Server), "{status}"),
            _ => assert_eq!(reason, Some(RetryReason::Blocked), "{status}"),
        }
    }
}

#[test]
fn the_documents_own_faults_are_refused_with_the_servers_words() {
    let reason = "[1:24] mapping set to strict, dynamic introduction of [nope] within [_doc] is not allowed";
    assert_eq!(
        one(400, "strict_dynamic_mapping_exception", reason),
        ItemOutcome::Refused(RefusedItem {
            code: "strict_dynamic_mapping_exception",
            message: format!("status 400: strict_dynamic_mapping_exception: {reason}"),
        })
    );
}

#[test]
fn causes_are_part_of_the_message() {
    let body = r#"{"items":[{"index":{"status":400,"error":{"type":"document_parsing_exception","reason":"failed to parse field [windowEnd]","caused_by":{"type":"x","reason":"out of range"}}}}]}"#;
    let outcome = classify(
        Answer {
            status: 200,
            body: body.as_bytes(),
        },
        1,
    );
    let expected = "status 400: document_parsing_exception: failed to parse field [windowEnd]: out of range";
    let RequestOutcome::Items(items) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(
        matches!(&items[0], ItemOutcome::Refused(refused) if refused.message == expected),
        "{items:?}"
    );
}

#[test]
fn outcomes_come_in_the_order_of_the_documents() {
    let body = r#"{"errors":true,"took":3,"items":[{"index":{"status":201}},{"index":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"r","index":"v2"}}}]}"#;
    assert_eq!(
        whole(200, body),
        RequestOutcome::Items(vec![
            ItemOutcome::Indexed,
            ItemOutcome::Unchanged {
                index: Some("v2".to_owned())
            }
        ])
    );
}

#[test]
fn an_answer_that_is_none_is_asked_for_again() {
    for body in [
        "",
        "<html>",
        "{}",
        r#"{"items":[]}"#,
        r#"{"items":[{"index":{"status":201}}]}"#,
    ] {
        assert_eq!(whole_retried(200, body), Some(RetryReason::Response), "{body}");
    }
    let empty = classify(
        Answer {
            status: 200,
            body: br#"{"items":[{}]}"#,
        },
        1,
    );
    let RequestOutcome::Items(items) = empty else {
        panic!("{empty:?}")
    };
    assert_eq!(retried(&items[0]), Some(RetryReason::Response));
}

#[test]
fn a_proxy_that_refuses_everything_spoils_no_document() {
    for body in [
        "The plain HTTP request was sent to HTTPS port",
        r#"{"error":"no handler found for uri [/_bulk]"}"#,
    ] {
        assert_eq!(whole_retried(400, body), Some(RetryReason::Blocked), "{body}");
    }
}

#[test]
fn few_errors_are_known_to_be_of_a_document() {
    let is_known = |code, message: &str| {
        let message = message.to_owned();
        RefusedItem { code, message }.is_of_a_document()
    };
    for (code, message) in [
        ("too_large", "413"),
        ("strict_dynamic_mapping_exception", "x is not allowed"),
        (
            "illegal_argument_exception",
            "Document contains at least one immense term in field",
        ),
        ("action_request_validation_exception", "1: id is too long"),
    ] {
        assert!(is_known(code, message), "{code}");
    }
    for (code, message) in [
        ("refused", "status 400: some_new_exception: immense term"),
        ("illegal_argument_exception", "unknown setting"),
        ("action_request_validation_exception", "1: type is missing"),
    ] {
        assert!(!is_known(code, message), "{code}");
    }
}
