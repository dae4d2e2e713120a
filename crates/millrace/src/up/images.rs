//! Which services can be started: those whose image, and the images of all they depend on, can be
//! had.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use tokio::process::Command;

use super::compose::{Service, output};

const INSPECT_TIMEOUT: Duration = Duration::from_secs(30);
/// A large image on a slow line takes minutes; a registry that is not reached tells within seconds.
const PULL_TIMEOUT: Duration = Duration::from_secs(900);

/// Why an image cannot be had, by image; those that can are not in it.
pub(super) type Missing = BTreeMap<String, String>;

/// Whether the engine has `image`.
pub(super) async fn is_here(image: &str) -> bool {
    let mut command = Command::new("docker");
    command.args(["image", "inspect", "--format", "{{.Id}}", image]);
    output(command, INSPECT_TIMEOUT).await.is_ok()
}

/// Pulls those of `images` that the engine does not have, at once. `on_pull` is told of each.
pub(super) async fn pull_missing(images: &BTreeSet<String>, on_pull: impl Fn(&str)) -> Missing {
    let on_pull = &on_pull;
    let pulls = join_all(images.iter().map(async |image| {
        if is_here(image).await {
            return None;
        }
        on_pull(image);
        let mut command = Command::new("docker");
        command.args(["pull", "--quiet", image]);
        let error = output(command, PULL_TIMEOUT).await.err()?;
        let error = error.to_string();
        let last = error.lines().last().unwrap_or_default();
        let reason = last
            .rsplit_once("Error response from daemon: ")
            .map_or(last, |(_, reason)| reason);
        Some((image.clone(), reason.to_owned()))
    }));
    pulls.await.into_iter().flatten().collect()
}

/// The default services that can be started, and why each other one cannot.
pub(super) fn choose(
    services: &BTreeMap<String, Service>,
    missing: &Missing,
) -> (Vec<String>, BTreeMap<String, String>) {
    let mut left_out: BTreeMap<String, String> = BTreeMap::new();
    for (name, service) in services.iter().filter(|(_, service)| service.is_default()) {
        let image = service.image.as_deref().unwrap_or_default();
        if let Some(reason) = missing.get(image) {
            left_out.insert(
                name.clone(),
                format!("its image {image} cannot be had ({reason})"),
            );
        }
    }
    // What depends on a service that is left out is left out too, through any number of steps.
    loop {
        let further: Vec<(String, String)> = services
            .iter()
            .filter(|(name, service)| service.is_default() && !left_out.contains_key(*name))
            .filter_map(|(name, service)| {
                let needed = service
                    .depends_on()
                    .find(|needed| left_out.contains_key(*needed))?;
                Some((name.clone(), format!("it needs {needed}")))
            })
            .collect();
        if further.is_empty() {
            break;
        }
        left_out.extend(further);
    }
    let chosen = services
        .iter()
        .filter(|(name, service)| service.is_default() && !left_out.contains_key(*name))
        .map(|(name, _)| name.clone())
        .collect();
    (chosen, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services() -> BTreeMap<String, Service> {
        serde_json::from_str(
            r#"{
                "broker-1": {"image": "kafka:1"},
                "kibana": {"image": "kibana:1", "depends_on": {"broker-1": {}}},
                "init-kibana": {"image": "own:1", "build": {"context": "."}, "depends_on": {"kibana": {}}},
                "after": {"image": "own:1", "depends_on": {"init-kibana": {}}},
                "kafka-ui": {"image": "ui:1", "profiles": ["ui"]}
            }"#,
        )
        .unwrap()
    }

    #[test]
    fn what_needs_a_missing_image_is_left_out_with_its_reason() {
        let missing = Missing::from([("kibana:1".to_owned(), "no such host".to_owned())]);
        let (chosen, left_out) = choose(&services(), &missing);
        assert_eq!(chosen, ["broker-1"]);
        assert_eq!(
            left_out["kibana"],
            "its image kibana:1 cannot be had (no such host)"
        );
        assert_eq!(left_out["init-kibana"], "it needs kibana");
        assert_eq!(left_out["after"], "it needs init-kibana");
        assert_eq!(
            left_out.len(),
            3,
            "a profile's service is neither chosen nor left out"
        );
    }

    #[test]
    fn all_default_services_are_chosen_where_every_image_can_be_had() {
        let (chosen, left_out) = choose(&services(), &Missing::new());
        assert_eq!(chosen, ["after", "broker-1", "init-kibana", "kibana"]);
        assert!(left_out.is_empty());
    }
}
