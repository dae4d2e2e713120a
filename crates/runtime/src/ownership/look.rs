//! Which partitions have an owner, by the words of a group's coordinator.

use std::collections::BTreeSet;

use millrace_kafka::is_static_member;
use rdkafka::groups::GroupInfo;

/// A group that deals partitions out by the classic protocol.
const PROTOCOL_TYPE: &str = "consumer";
/// All members have their assignment, and no rebalance is under way.
const STABLE: &str = "Stable";

/// What a coordinator says of a group between two rebalances.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// Partitions that are in no member's assignment.
    pub(super) unowned: BTreeSet<i32>,
    /// The least of the members' ids: all who look agree on it.
    pub(super) first_member: String,
}

impl Look {
    /// `None` where nothing can be said: a rebalance is under way, there is no member, or an
    /// assignment is not understood.
    pub(super) fn of(group: &GroupInfo, topic: &str, partitions: usize) -> Option<Self> {
        if group.state() != STABLE || group.protocol_type() != PROTOCOL_TYPE {
            return None;
        }
        let members = group.members().iter();
        Self::of_members(
            members.map(|member| (member.id(), member.assignment().unwrap_or_default())),
            topic,
            partitions,
        )
    }

    fn of_members<'a>(
        members: impl Iterator<Item = (&'a str, &'a [u8])>,
        topic: &str,
        partitions: usize,
    ) -> Option<Self> {
        let mut unowned: BTreeSet<i32> = (0..i32::try_from(partitions).ok()?).collect();
        let mut first_member: Option<&str> = None;
        for (id, assignment) in members {
            for partition in assigned(assignment, topic)? {
                unowned.remove(&partition);
            }
            first_member = Some(first_member.map_or(id, |first| first.min(id)));
        }
        Some(Self {
            unowned,
            first_member: first_member?.to_owned(),
        })
    }

    /// Whether the first member is the static member `instance`.
    pub(super) fn is_first(&self, instance: &str) -> bool {
        is_static_member(&self.first_member, instance)
    }
}

/// The partitions of `topic` in a `ConsumerProtocolAssignment` (the Kafka repository's schema of
/// that name): a version, then topics with their partitions, then data of the assignor's;
/// big-endian, counts of 4 bytes, lengths of 2. `None` if it is none.
fn assigned(mut bytes: &[u8], topic: &str) -> Option<Vec<i32>> {
    let _version = i16::from_be_bytes(take(&mut bytes)?);
    let mut partitions = Vec::new();
    for _ in 0..count(&mut bytes)? {
        let name_len = usize::try_from(i16::from_be_bytes(take(&mut bytes)?)).ok()?;
        let (name, rest) = bytes.split_at_checked(name_len)?;
        bytes = rest;
        for _ in 0..count(&mut bytes)? {
            let partition = i32::from_be_bytes(take(&mut bytes)?);
            if name == topic.as_bytes() {
                partitions.push(partition);
            }
        }
    }
    Some(partitions)
}

fn count(bytes: &mut &[u8]) -> Option<usize> {
    usize::try_from(i32::from_be_bytes(take(bytes)?)).ok()
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "2f1b9f54-6a3a-4c2e-9d3c-1f2e3d4c5b6a";

    fn assignment(topics: &[(&str, &[i32])]) -> Vec<u8> {
        let mut bytes = vec![0, 1];
        bytes.extend(i32::try_from(topics.len()).unwrap().to_be_bytes());
        for (topic, partitions) in topics {
            bytes.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
            bytes.extend(topic.as_bytes());
            bytes.extend(i32::try_from(partitions.len()).unwrap().to_be_bytes());
            bytes.extend(partitions.iter().flat_map(|partition| partition.to_be_bytes()));
        }
        bytes.extend((-1_i32).to_be_bytes());
        bytes
    }

    fn look(members: &[(&str, Vec<u8>)]) -> Option<Look> {
        let members = members.iter().map(|(id, bytes)| (*id, bytes.as_slice()));
        Look::of_members(members, "transactions", 4)
    }

    #[test]
    fn finds_what_is_in_no_assignment() {
        let b = assignment(&[("other", &[3]), ("transactions", &[0])]);
        let a = assignment(&[("transactions", &[2])]);
        let found = look(&[("b", b), ("a", a)]).unwrap();
        assert_eq!(found.unowned, [1, 3].into());
        assert_eq!(found.first_member, "a");
    }

    #[test]
    fn says_nothing_of_what_it_does_not_understand() {
        let whole = assignment(&[("transactions", &[0, 1, 2, 3])]);
        assert!(look(&[("a", whole.clone())]).unwrap().unowned.is_empty());
        // What the assignor adds at the end is not looked at.
        for length in 0..whole.len() - 4 {
            assert_eq!(look(&[("a", whole[..length].to_vec())]), None, "{length} bytes");
        }
        assert_eq!(look(&[]), None);
    }

    #[test]
    fn a_member_is_known_by_its_instance() {
        let first = |id: String| {
            let owner = assignment(&[]);
            look(&[(&id, owner)]).unwrap()
        };
        assert!(first(format!("node-1-0-{UUID}")).is_first("node-1-0"));
        for other in ["node-1", "node", "node-1-0-2", "", UUID] {
            assert!(!first(format!("node-1-0-{UUID}")).is_first(other), "{other}");
        }
    }
}
