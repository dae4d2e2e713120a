//! Which controller is the active one, by the word of the controllers' own files: no client
//! protocol tells it.

use std::fs;

use serde::Deserialize;

use crate::node::{KAFKA_NODES, Node};
use crate::options::StackOptions;
use crate::server_files::kafka_data;

/// Where a controller keeps what it knows of the election, below its data folder.
pub const STATE_FILE: &str = "__cluster_metadata-0/quorum-state";

/// What a controller has written down of the last election it took part in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuorumState {
    /// The node id of the leader; -1 while there is none.
    pub leader_id: i32,
    /// Rises with each election.
    pub leader_epoch: i32,
}

/// The node id of the newest leader that these files (the text of each controller's [`STATE_FILE`])
/// name.
#[must_use]
pub fn leader(files: &[String]) -> Option<i32> {
    let states = files.iter().filter_map(|text| serde_json::from_str(text).ok());
    let known = states.filter(|state: &QuorumState| state.leader_id >= 0);
    known
        .max_by_key(|state| state.leader_epoch)
        .map(|state| state.leader_id)
}

/// The active controller of a local stack, if one is known.
pub(crate) fn active_controller(options: &StackOptions, first_id: u16) -> Option<Node> {
    let read = |node| fs::read_to_string(kafka_data(options, node).join(STATE_FILE)).ok();
    let files: Vec<String> = Node::controllers().filter_map(read).collect();
    let number = leader(&files)? - i32::from(first_id);
    let number = u8::try_from(number).ok()?;
    (1..=KAFKA_NODES)
        .contains(&number)
        .then_some(Node::Controller(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(leader: i32, epoch: i32) -> String {
        format!(r#"{{"leaderId":{leader},"leaderEpoch":{epoch},"votedId":-1,"data_version":1}}"#)
    }

    #[test]
    fn the_newest_election_counts() {
        assert_eq!(leader(&[file(101, 3), file(103, 7), file(101, 5)]), Some(103));
        assert_eq!(
            leader(&[file(101, 3), file(-1, 7)]),
            Some(101),
            "none is elected yet"
        );
        assert_eq!(leader(&[file(-1, 1), "torn".to_owned()]), None);
    }
}
