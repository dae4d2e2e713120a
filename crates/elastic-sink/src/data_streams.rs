//! Data streams where the sink's indices should be: they take no external versions, so that a
//! replay would double every document.
//!
//! They are looked for at the start, so that an administrator hears of them then and not with the
//! first document that cannot be written. The sink is not ready until they are gone; what belongs
//! elsewhere is written meanwhile.

use millrace_settings::{Elasticsearch as ServerSettings, Settings};
use millrace_sink::Reachability;
use reqwest::Method;
use serde_json::Value;

use crate::bulk::IndexFault;
use crate::client::Elasticsearch;
use crate::probe::PROBE_INTERVAL;
use crate::stream::{IndexKey, Month, Stream};
use crate::templates::put::{checked, sent};
use crate::templates::{PRIORITY, TemplateError, index_pattern, template_name};

/// Looks for them, tells the log and the readiness of what was found, and gives whether there is
/// any.
pub async fn tell(client: &Elasticsearch, settings: &Settings, reachability: &Reachability) -> bool {
    let found = match find(client, settings, now()).await {
        Ok(found) => found,
        // Documents find out.
        Err(error) => {
            tracing::debug!(%error, "data streams cannot be looked for");
            Vec::new()
        }
    };
    let remedy = IndexFault::DataStream.remedy();
    for one in &found {
        tracing::warn!("{one}, which gets no documents: {remedy}");
    }
    reachability.unfit(found.first().map(|first| {
        let more = match found.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        format!("{first}{more} (data_stream): {remedy}")
    }));
    !found.is_empty()
}

/// As [`tell`], until there is none any more.
pub async fn watch(client: Elasticsearch, settings: Settings, reachability: Reachability) {
    loop {
        tokio::time::sleep(PROBE_INTERVAL).await;
        if !tell(&client, &settings, &reachability).await {
            tracing::info!("no data streams are in the place of indices any more");
            return;
        }
    }
}

fn now() -> Option<Month> {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Month::of(i64::try_from(since_1970.ok()?.as_millis()).ok()?)
}

/// What makes or is a data stream in the place of an index, each in words: of any month if it is
/// there, of `month` if it would be made.
async fn find(
    client: &Elasticsearch,
    settings: &Settings,
    month: Option<Month>,
) -> Result<Vec<String>, TemplateError> {
    let (streams, server) = (Stream::of(settings), &settings.elasticsearch);
    let patterns: Vec<_> = streams
        .iter()
        .map(|stream| index_pattern(*stream, server))
        .collect();
    let action = "look for data streams";
    let request = client.request(Method::GET, &["_resolve", "index", &patterns.join(",")]);
    let (status, body) = sent(action, request).await?;
    let resolved = checked(action, status, body)?;
    let mut found = there(&resolved, &streams, server);
    let request = client.request(Method::GET, &["_index_template"]);
    let (status, body) = sent(action, request).await?;
    let templates = checked(action, status, body)?;
    for key in month.into_iter().flat_map(|month| {
        let key = move |stream: &Stream| IndexKey {
            stream: *stream,
            month,
        };
        streams.iter().map(key)
    }) {
        let name = key.name(&server.index_prefix);
        let own = template_name(key.stream, server);
        if let Some(template) = maker(&templates, &name, &own)
            && !is_borne(&resolved, &name)
        {
            found.push(format!(
                "{name} would be a data stream, by the template {template}"
            ));
        }
    }
    Ok(found)
}

/// The data streams by the name of a month, by an answer of `GET _resolve/index/PATTERNS`.
fn there(resolved: &Value, streams: &[Stream], server: &ServerSettings) -> Vec<String> {
    let found = resolved["data_streams"].as_array().into_iter().flatten();
    let names = found.filter_map(|one| one["name"].as_str());
    let is_in_place = |name: &&str| {
        streams.iter().any(|stream| {
            let before = index_pattern(*stream, server);
            let month = name.strip_prefix(before.trim_end_matches('*'));
            month.is_some_and(Month::is_name)
        })
    };
    names
        .filter(is_in_place)
        .map(|name| format!("{name} is a data stream"))
        .collect()
}

/// Whether something has this name.
fn is_borne(resolved: &Value, name: &str) -> bool {
    ["indices", "aliases", "data_streams"].iter().any(|kind| {
        let mut all = resolved[*kind].as_array().into_iter().flatten();
        all.any(|one| one["name"] == name)
    })
}

/// The template by which an index of this name would be a data stream, by an answer of
/// `GET _index_template`: it is in the place of the sink's `own` or goes before it, and before
/// every other that fits.
fn maker<'a>(templates: &'a Value, name: &str, own: &str) -> Option<&'a str> {
    let all = templates["index_templates"].as_array().into_iter().flatten();
    let first = all
        .filter(|one| {
            let patterns = one["index_template"]["index_patterns"].as_array();
            let mut patterns = patterns.into_iter().flatten().filter_map(Value::as_str);
            patterns.any(|pattern| fits(pattern, name))
        })
        .max_by_key(|one| priority(one))?;
    let goes_before = priority(first) >= PRIORITY.into() || first["name"] == own;
    let is_maker = goes_before && !first["index_template"]["data_stream"].is_null();
    is_maker.then(|| first["name"].as_str()).flatten()
}

fn priority(template: &Value) -> u64 {
    template["index_template"]["priority"].as_u64().unwrap_or(0)
}

/// Whether a name fits a pattern, in which each `*` is any number of characters.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(rest) = name.strip_prefix(before) else {
        return false;
    };
    let mut ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    ends.any(|at| fits(after, &rest[at..]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pattern_fits_whatever_its_stars_stand_for() {
        for (pattern, name) in [
            ("a-*", "a-"),
            ("a-*", "a-2026.11"),
            ("*", ""),
            ("*-b*-d", "a-bc-d"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a-*", "ab"), ("a", "ab"), ("*-b*-d", "a-bc-de"), ("", "a")] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn data_streams_in_the_place_of_a_month_are_told_and_no_others() {
        let names = [
            "p-millrace-transactions-2026.11",
            "p-millrace-transactions-archive",
            "x-2026.11",
        ];
        let streams = names.map(|name| json!({ "name": name }));
        let server = ServerSettings {
            index_prefix: "p-".to_owned(),
            ..ServerSettings::default()
        };
        let found = there(&json!({ "data_streams": streams }), &Stream::ALL, &server);
        assert_eq!(found, ["p-millrace-transactions-2026.11 is a data stream"]);
        assert!(is_borne(&json!({ "aliases": [{ "name": "a" }] }), "a"));
    }

    #[test]
    fn the_template_that_goes_before_all_others_decides() {
        let template = |name: &str, priority: u32, is_maker: bool| {
            let mut template = json!({ "index_patterns": ["other", "a-*"], "priority": priority });
            if is_maker {
                template["data_stream"] = json!({ "hidden": false });
            }
            json!({ "name": name, "index_template": template })
        };
        let maker = |templates: &[Value]| {
            let answer = json!({ "index_templates": templates });
            maker(&answer, "a-2026.11", "ours").map(str::to_owned)
        };
        let (ours, built_in) = (template("ours", 200, false), template("logs", 100, true));
        assert_eq!(maker(&[ours.clone(), built_in.clone()]), None);
        let above = template("theirs", 500, true);
        assert_eq!(maker(&[ours.clone(), above.clone()]), Some("theirs".to_owned()));
        assert_eq!(maker(&[ours, above, template("last", 501, false)]), None);
        // Without our own, it is made before the first index.
        assert_eq!(maker(&[built_in]), None);
        assert_eq!(maker(&[template("ours", 100, true)]), Some("ours".to_owned()));
    }
}
