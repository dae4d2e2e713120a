use super::*;

fn cause(kind: &str, reason: &str) -> Cause {
    Cause {
        kind: kind.to_owned(),
        reason: Some(reason.to_owned()),
        index: None,
        caused_by: None,
    }
}

/// An error's status, name and reason, in the words of a real Elasticsearch (8 or 9).
type Told = (u16, &'static str, &'static str);

const INDEX_STATES: [(Told, IndexFault); 19] = [
    (
        (
            403,
            "cluster_block_exception",
            "index [x] blocked by: [FORBIDDEN/8/index write (api)];",
        ),
        IndexFault::ReadOnly,
    ),
    (
        (
            403,
            "cluster_block_exception",
            "index [x] blocked by: [FORBIDDEN/5/index read-only (api)];",
        ),
        IndexFault::ReadOnly,
    ),
    (
        (
            429,
            "cluster_block_exception",
            "index [x] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has \
             read-only-allow-delete block; for more information, see …];",
        ),
        IndexFault::ReadOnly,
    ),
    (
        (
            403,
            "cluster_block_exception",
            "index [x] blocked by: [FORBIDDEN/4/index closed];",
        ),
        IndexFault::Closed,
    ),
    ((400, "index_closed_exception", "closed"), IndexFault::Closed),
    (
        (
            404,
            "index_not_found_exception",
            "no such index [x] and [action.auto_create_index] is [false]",
        ),
        IndexFault::Missing,
    ),
    (
        (
            404,
            "index_not_found_exception",
            "no such index [x] and [require_alias] request flag is [true] and [x] is not an alias",
        ),
        IndexFault::Missing,
    ),
    (
        (
            400,
            "validation_exception",
            "Validation Failed: 1: this action would add [1] shards, but this cluster currently has [1000]/[1000] \
             maximum normal shards open;",
        ),
        IndexFault::NoRoom,
    ),
    (
        (
            400,
            "illegal_argument_exception",
            "this action would add [2] total shards, but this cluster currently has [999]/[1000] maximum shards open;",
        ),
        IndexFault::NoRoom,
    ),
    (
        (
            503,
            "unavailable_shards_exception",
            "[x][0] primary shard is not active Timeout: [15s]",
        ),
        IndexFault::Unavailable,
    ),
    (
        (
            503,
            "no_shard_available_action_exception",
            "No shard available for [x]",
        ),
        IndexFault::Unavailable,
    ),
    (
        (
            400,
            "illegal_argument_exception",
            "pipeline with id [enrich-geo] does not exist",
        ),
        IndexFault::Pipeline,
    ),
    (
        (
            400,
            "illegal_argument_exception",
            "no write index is defined for alias [x]. The write index may be explicitly disabled using \
             is_write_index=false or the alias points to multiple indices without one being designated as a write \
             index",
        ),
        IndexFault::NoWriteIndex,
    ),
    (
        (
            400,
            "illegal_argument_exception",
            "only write ops with an op_type of create are allowed in data streams",
        ),
        IndexFault::DataStream,
    ),
    (
        (
            400,
            "illegal_argument_exception",
            "cannot create index with name [x], because it matches with template [t] that creates data streams only, \
             use create data stream api instead",
        ),
        IndexFault::DataStream,
    ),
    (
        (
            400,
            "illegal_argument_exception",
            "mapper [a] cannot be changed from type [text] to [keyword]",
        ),
        IndexFault::Mapping,
    ),
    (
        (
            400,
            "illegal_argument_exception",
            "Limit of total fields [1000] has been exceeded",
        ),
        IndexFault::Mapping,
    ),
    (
        (
            400,
            "document_parsing_exception",
            "[1:24] failed to parse: Limit of total fields [5] has been exceeded while adding new fields [1]",
        ),
        IndexFault::Mapping,
    ),
    (
        (
            403,
            "security_exception",
            "action [indices:data/write/bulk] is unauthorized for API key",
        ),
        IndexFault::Forbidden,
    ),
];

#[test]
fn an_index_is_blamed_for_its_state() {
    for ((status, kind, reason), expected) in INDEX_STATES {
        assert_eq!(
            of_item(status, &cause(kind, reason)),
            Fault::Index(expected),
            "{reason}"
        );
    }
}

#[test]
fn the_cluster_is_blamed_for_its_state() {
    for (status, kind, reason, expected) in [
        (
            503,
            "cluster_block_exception",
            "blocked by: [SERVICE_UNAVAILABLE/1/state not recovered / initialized];",
            RetryReason::Blocked,
        ),
        (
            429,
            "es_rejected_execution_exception",
            "rejected execution of primary operation",
            RetryReason::Rejected,
        ),
        (
            429,
            "circuit_breaking_exception",
            "[parent] Data too large, data for […]",
            RetryReason::Rejected,
        ),
        (
            503,
            "process_cluster_event_timeout_exception",
            "failed to process …",
            RetryReason::Server,
        ),
        (500, "null_pointer_exception", "", RetryReason::Server),
        (
            401,
            "security_exception",
            "unable to authenticate",
            RetryReason::Blocked,
        ),
    ] {
        let cause = cause(kind, reason);
        assert_eq!(of_item(status, &cause), Fault::Cluster(expected), "{reason}");
        assert!(
            matches!(of_request(status, Some(&cause)), Fault::Cluster(_)),
            "as a whole: {reason}"
        );
    }
}

#[test]
fn a_document_is_blamed_for_what_is_in_it() {
    for (kind, reason, expected) in [
        (
            "strict_dynamic_mapping_exception",
            "[1:24] mapping set to strict, dynamic introduction of [nope] within [_doc] is not allowed",
            "strict_dynamic_mapping_exception",
        ),
        (
            "document_parsing_exception",
            "[1:14] failed to parse field [windowEnd] of type [date]",
            "document_parsing_exception",
        ),
        (
            "mapper_parsing_exception",
            "failed to parse",
            "mapper_parsing_exception",
        ),
        (
            "illegal_argument_exception",
            "Document contains at least one immense term in field=\"entity\"",
            "illegal_argument_exception",
        ),
        ("some_new_exception", "why", "refused"),
    ] {
        assert_eq!(
            of_item(400, &cause(kind, reason)),
            Fault::Document(expected),
            "{reason}"
        );
    }
    let long_id = cause(
        "action_request_validation_exception",
        "Validation Failed: 1: id [m…] is too long, must be no longer than 512 bytes but was: 600;",
    );
    assert_eq!(
        of_request(400, Some(&long_id)),
        Fault::Document("action_request_validation_exception")
    );
}

#[test]
fn no_index_is_blamed_for_a_whole_request() {
    let no_room = cause(
        "validation_exception",
        "[1000]/[1000] maximum normal shards open;",
    );
    assert_eq!(
        of_request(400, Some(&no_room)),
        Fault::Cluster(RetryReason::Blocked)
    );
    for (status, reason) in [(401, "unable to authenticate"), (403, "unauthorized")] {
        let cause = cause("security_exception", reason);
        assert_eq!(
            of_request(status, Some(&cause)),
            Fault::Cluster(RetryReason::Blocked)
        );
    }
}

#[test]
fn a_proxy_blames_nobody() {
    for (status, expected) in [
        (302, RetryReason::Blocked),
        (400, RetryReason::Blocked),
        (403, RetryReason::Blocked),
        (407, RetryReason::Blocked),
        (408, RetryReason::Timeout),
        (429, RetryReason::Rejected),
        (502, RetryReason::Server),
        (504, RetryReason::Timeout),
    ] {
        assert_eq!(of_request(status, None), Fault::Cluster(expected), "{status}");
    }
}

#[test]
fn labels_are_distinct_and_every_fault_says_what_to_do() {
    let labels: std::collections::BTreeSet<_> = IndexFault::ALL.map(IndexFault::as_str).into();
    assert_eq!(labels.len(), IndexFault::ALL.len());
    assert!(IndexFault::ALL.iter().all(|fault| !fault.remedy().is_empty()));
}
