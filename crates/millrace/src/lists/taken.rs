//! Whether the detector goes by a change, as its control topic says.

use std::time::{Duration, Instant};

use millrace_domain::{ListKey, ListPurpose};
use millrace_fraud::{Kind, ListSettings};
use millrace_settings::Settings;
use serde::Deserialize;

use super::change::Change;
use crate::rules::policies;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(300);

/// What of a policy is looked at.
#[derive(Deserialize)]
struct OfPolicy {
    #[serde(default)]
    lists: ListSettings,
}

/// Until when an entry holds by a policy; `None` where there is none.
fn until(lists: &ListSettings, key: &ListKey) -> Option<Option<i64>> {
    match key.purpose {
        ListPurpose::List => {
            let of_kind = lists.lists.get(&key.name)?.get(&Kind(key.kind))?;
            of_kind.get(&key.entity).copied()
        }
        ListPurpose::Snooze => {
            let users = lists.snoozes.get(&key.name)?;
            users.get(&key.entity).map(|until_ms| Some(*until_ms))
        }
    }
}

fn has_taken(policy: Option<&String>, change: &Change) -> bool {
    let Some(Ok(policy)) = policy.map(|text| serde_json::from_str::<OfPolicy>(text)) else {
        return false;
    };
    let mut put = change.put.iter();
    put.all(|entry| until(&policy.lists, &entry.key) == Some(entry.until_ms))
        && change
            .removed
            .iter()
            .all(|key| until(&policy.lists, key).is_none())
}

/// Waits until every partition goes by a change; whether all do within the limit.
///
/// # Errors
/// Kafka does not answer, or `init` has not run.
pub(super) async fn wait(settings: &Settings, change: &Change, limit: Duration) -> anyhow::Result<bool> {
    let deadline = Instant::now() + limit;
    loop {
        let asked = settings.clone();
        let policies = tokio::task::spawn_blocking(move || policies(&asked)).await??;
        if policies.iter().all(|policy| has_taken(policy.as_ref(), change)) {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_domain::ListEntry;
    use millrace_fraud::Listings;

    #[test]
    fn a_change_is_taken_once_a_policy_says_the_same_of_each_entry() {
        let entry = |key: &str, until_ms| ListEntry {
            key: ListKey::parse(key).unwrap(),
            until_ms,
            author: String::new(),
            reason: "r".to_owned(),
            time_ms: 0,
        };
        let mut listings = Listings::default();
        let policy = |listings: &Listings| {
            format!(
                "{{\"lists\":{}}}",
                serde_json::to_string(&listings.settings()).unwrap()
            )
        };
        let change = Change {
            put: vec![
                entry("list/deny/user/u-1", None),
                entry("snooze/velocity/user/u-1", Some(5)),
            ],
            removed: vec![ListKey::parse("list/deny/user/u-2").unwrap()],
        };
        assert!(!has_taken(None, &change) && !has_taken(Some(&"{}".to_owned()), &change));
        change
            .put
            .iter()
            .for_each(|entry| listings.put(entry.clone()).unwrap());
        assert!(has_taken(Some(&policy(&listings)), &change));
        listings.put(entry("list/deny/user/u-2", None)).unwrap();
        assert!(!has_taken(Some(&policy(&listings)), &change));
        listings.remove(&change.removed[0]);
        listings.put(entry("snooze/velocity/user/u-1", Some(6))).unwrap();
        assert!(!has_taken(Some(&policy(&listings)), &change));
    }
}
