use millrace_settings::Elasticsearch as Settings;

use super::super::{mapping_text, template as new_template};
use super::*;
use crate::stream::Stream;

const BOTH: Consent = Consent {
    overwrite: true,
    accept_data_loss: true,
};

fn wanted(shards: u32) -> Value {
    let settings = Settings {
        shards,
        ..Settings::default()
    };
    let mapping = serde_json::from_str(mapping_text(Stream::AGGREGATES)).unwrap();
    new_template(Stream::AGGREGATES, &settings, &mapping, None)
}

/// As the server gives it back.
fn served(mut template: Value) -> Value {
    for name in ["number_of_shards", "number_of_replicas"] {
        let value = &mut template["template"]["settings"]["index"][name];
        *value = text(value).into();
    }
    template["composed_of"] = json!([]);
    template["created_date_millis"] = 1.into();
    template
}

fn only(state: &State) -> &Difference {
    match state {
        State::Differs(differences) if differences.len() == 1 => &differences[0],
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_put_is_as_wanted() {
    let (state, _) = template(&served(wanted(1)), &wanted(1), Consent::default());
    assert_eq!(state, State::AsWanted);
}

#[test]
fn a_changed_configuration_is_applied_and_a_changed_template_stays() {
    let (state, body) = template(&served(wanted(1)), &wanted(3), Consent::default());
    let said = only(&state);
    assert_eq!(said.action, Action::Change);
    assert!(
        said.to_string().starts_with("index.number_of_shards from 1 to 3"),
        "{said}"
    );
    assert!(
        body["created_date_millis"].is_null(),
        "the server does not take it back"
    );
    let (state, _) = template(&served(body), &wanted(3), Consent::default());
    assert_eq!(state, State::AsWanted);

    let mut edited = served(wanted(1));
    edited["template"]["settings"]["index"]["number_of_shards"] = "6".into();
    edited["template"]["settings"]["index"]["refresh_interval"] = "30s".into();
    edited["template"]["aliases"] = json!({ "finance": {} });
    let (state, _) = template(&edited, &wanted(1), Consent::default());
    assert_eq!(only(&state).action, Action::Keep);
    let (state, body) = template(&edited, &wanted(1), BOTH);
    assert_eq!(only(&state).action, Action::Change);
    let index = &body["template"]["settings"]["index"];
    assert_eq!(
        (&index["number_of_shards"], &index["refresh_interval"]),
        (&1.into(), &"30s".into())
    );
    assert!(
        body["template"]["aliases"]["finance"].is_object(),
        "what we know nothing of stays"
    );
}

#[test]
fn a_kept_change_stays_kept_when_something_else_is_written() {
    let mut edited = served(wanted(1));
    edited["template"]["settings"]["index"]["number_of_shards"] = "6".into();
    edited["template"]["mappings"]["properties"]
        .as_object_mut()
        .unwrap()
        .remove("currency");
    edited["template"]["mappings"]["properties"]["branch"] = json!({ "type": "keyword" });
    let (state, body) = template(&edited, &wanted(1), Consent::default());
    let done: Vec<_> = state
        .with(Action::Change)
        .map(|change| change.setting.as_str())
        .collect();
    assert_eq!(done, ["mapping"]);
    let properties = &body["template"]["mappings"]["properties"];
    assert_eq!(properties["currency"]["type"], "keyword");
    assert_eq!(properties["branch"]["type"], "keyword");
    let (state, _) = template(&served(body), &wanted(1), Consent::default());
    assert_eq!(only(&state).action, Action::Keep);
}

#[test]
fn a_template_of_a_release_that_noted_nothing_is_ours() {
    let mut old = served(wanted(1));
    old["_meta"] = json!({ "managed_by": "millrace" });
    let (state, body) = template(&old, &wanted(1), Consent::default());
    assert_eq!(only(&state).action, Action::Change);
    let (state, _) = template(&served(body), &wanted(1), Consent::default());
    assert_eq!(state, State::AsWanted);
}

#[test]
fn another_tools_template_stays_unless_asked_for_and_data_streams_are_refused() {
    let theirs = json!({ "index_patterns": ["millrace-aggregates-*"], "priority": 500, "template": {} });
    let (state, _) = template(&theirs, &wanted(1), Consent::default());
    assert_eq!(only(&state).action, Action::Keep);
    assert!(!state.is_written());
    let (state, body) = template(&theirs, &wanted(1), BOTH);
    assert!(state.is_written());
    assert_eq!(body, wanted(1));

    let mut streams = theirs;
    streams["data_stream"] = json!({});
    let (state, _) = template(&streams, &wanted(1), BOTH);
    assert!(
        state.refusals()[0].contains("elasticsearch.index_prefix"),
        "{state:?}"
    );
}

#[test]
fn indices_are_kept_for_longer_at_once_and_for_shorter_when_told_to() {
    let ours = |days| json!({ "_meta": { "managed_by": "millrace" }, "phases": phases(days) });
    assert_eq!(policy(&ours(90), 90, Consent::default()), State::AsWanted);
    let longer = policy(&ours(90), 365, Consent::default());
    assert_eq!(only(&longer).action, Action::Change);
    let shorter = policy(&ours(90), 30, Consent::default());
    assert_eq!(only(&shorter).action, Action::Keep);
    let said = only(&shorter).to_string();
    assert!(
        said.contains("90d") && said.contains("30d") && said.contains("--accept-data-loss"),
        "{said}"
    );
    assert_eq!(only(&policy(&ours(90), 30, BOTH)).action, Action::Change);
}

#[test]
fn a_policy_that_somebody_has_written_stays() {
    let mut edited = json!({ "_meta": { "managed_by": "millrace" }, "phases": phases(90) });
    edited["phases"]["warm"] = json!({ "min_age": "7d", "actions": {} });
    for found in [edited, json!({ "phases": { "hot": { "actions": {} } } })] {
        let state = policy(&found, 90, Consent::default());
        assert_eq!(only(&state).action, Action::Keep);
        assert_eq!(only(&policy(&found, 90, BOTH)).action, Action::Change);
    }
}
