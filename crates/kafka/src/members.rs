//! Who has a static member's name in a group.

use std::time::{Duration, Instant};

use millrace_settings::Kafka;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::groups::GroupInfo;

use crate::ClientError;
use crate::client::{LogBridge, reader_config};

/// How long the cluster may take to answer.
const CALL: Duration = Duration::from_secs(5);
/// Characters of a UUID, which the coordinator appends to the instance id of a static member.
const UUID_LEN: usize = 36;
/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(2);
/// So many looks in a row that find nobody: a member that joins again is in no list for a moment.
const LOOKS: u32 = 3;
/// How long the stop flag may go unseen.
const NAP: Duration = Duration::from_millis(100);

/// Blocks until no member of `group` has one of the static `members`' names, or until `is_stopped`.
///
/// For a process that was fenced by another of its name: as long as that one is there, a restart
/// would take the name back, and so the two would change places without end.
///
/// # Errors
/// The configuration is impossible.
pub fn wait_while_taken(
    kafka: &Kafka,
    group: &str,
    members: &[String],
    is_stopped: impl Fn() -> bool,
) -> Result<(), ClientError> {
    let consumer: BaseConsumer<LogBridge> = reader_config(kafka, group)?
        .create_with_context(LogBridge)
        .map_err(|reason| ClientError::Create {
            client: "reader",
            reason,
        })?;
    let (mut free, mut next) = (0, Instant::now());
    while free < LOOKS && !is_stopped() {
        if Instant::now() < next {
            std::thread::sleep(NAP);
            continue;
        }
        next = Instant::now() + INTERVAL;
        match consumer.fetch_group_list(Some(group), CALL) {
            Ok(list) => {
                let found = list.groups().iter().find(|found| found.name() == group);
                free = match found.is_some_and(|found| has_one_of(found, members)) {
                    true => 0,
                    false => free + 1,
                };
            }
            Err(error) => tracing::debug!(%error, group, "the group's members are not known"),
        }
    }
    Ok(())
}

/// Whether the member `id` is the static member `instance`: its id is its name, a dash, and a UUID.
#[must_use]
pub fn is_static_member(id: &str, instance: &str) -> bool {
    let rest = id.strip_prefix(instance);
    rest.and_then(|rest| rest.strip_prefix('-'))
        .is_some_and(|uuid| uuid.len() == UUID_LEN)
}

fn has_one_of(group: &GroupInfo, members: &[String]) -> bool {
    let mut ids = group.members().iter().map(rdkafka::groups::GroupMemberInfo::id);
    ids.any(|id| members.iter().any(|member| is_static_member(id, member)))
}
