//! What others have set up in the place of the sink's indices so that it takes no documents: data
//! streams, which take no external versions, so that a replay would double every document; and
//! aliases that have no write index.
//!
//! It is looked for at the start, so that an administrator hears of it then and not with the first
//! document that cannot be written. The sink is not ready until it is gone; what belongs elsewhere
//! is written meanwhile.

use std::collections::BTreeMap;

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

/// Something in the place of an index that gets no documents.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unfit {
    what: String,
    fault: IndexFault,
}

/// Looks for it, tells the log and the readiness of what was found, and gives whether there is any.
pub async fn tell(client: &Elasticsearch, settings: &Settings, reachability: &Reachability) -> bool {
    let found = match find(client, settings, now()).await {
        Ok(found) => found,
        // Documents find out.
        Err(error) => {
            tracing::debug!(%error, "what is in the place of indices cannot be looked for");
            Vec::new()
        }
    };
    for Unfit { what, fault } in &found {
        tracing::warn!("{what}, which gets no documents: {}", fault.remedy());
    }
    reachability.unfit(found.first().map(|Unfit { what, fault }| {
        let more = match found.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        format!("{what}{more} ({}): {}", fault.as_str(), fault.remedy())
    }));
    !found.is_empty()
}

/// As [`tell`], until there is none any more.
pub async fn watch(client: Elasticsearch, settings: Settings, reachability: Reachability) {
    loop {
        tokio::time::sleep(PROBE_INTERVAL).await;
        if !tell(&client, &settings, &reachability).await {
            tracing::info!("everything in the place of indices takes documents now");
            return;
        }
    }
}

fn now() -> Option<Month> {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Month::of(i64::try_from(since_1970.ok()?.as_millis()).ok()?)
}

/// What takes no documents in the place of an index: of any month if it is there, of `month` if it
/// would be made.
async fn find(
    client: &Elasticsearch,
    settings: &Settings,
    month: Option<Month>,
) -> Result<Vec<Unfit>, TemplateError> {
    let (streams, server) = (Stream::of(settings), &settings.elasticsearch);
    let patterns: Vec<_> = streams
        .iter()
        .map(|stream| index_pattern(*stream, server))
        .collect();
    let patterns = patterns.join(",");
    let ask = async |path: &[&str]| {
        let action = "look for data streams and aliases";
        let (status, body) = sent(action, client.request(Method::GET, path)).await?;
        checked(action, status, body)
    };
    let resolved = ask(&["_resolve", "index", &patterns]).await?;
    let is_in_place = |name: &str| is_in_place(name, &streams, server);
    let mut found = data_streams(&resolved, is_in_place);
    found.extend(aliases(&ask(&["_alias", &patterns]).await?, is_in_place));
    let templates = ask(&["_index_template"]).await?;
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
            found.push(Unfit {
                what: format!("{name} would be a data stream, by the template {template}"),
                fault: IndexFault::DataStream,
            });
        }
    }
    Ok(found)
}

/// Whether it is the name of a month of one of these streams.
fn is_in_place(name: &str, streams: &[Stream], server: &ServerSettings) -> bool {
    streams.iter().any(|stream| {
        let before = index_pattern(*stream, server);
        let month = name.strip_prefix(before.trim_end_matches('*'));
        month.is_some_and(Month::is_name)
    })
}

/// The data streams by the name of a month, by an answer of `GET _resolve/index/PATTERNS`.
fn data_streams(resolved: &Value, is_in_place: impl Fn(&str) -> bool) -> Vec<Unfit> {
    let found = resolved["data_streams"].as_array().into_iter().flatten();
    let names = found.filter_map(|one| one["name"].as_str());
    names
        .filter(|name| is_in_place(name))
        .map(|name| Unfit {
            what: format!("{name} is a data stream"),
            fault: IndexFault::DataStream,
        })
        .collect()
}

/// The aliases by the name of a month that cannot be written to, by an answer of
/// `GET _alias/PATTERNS`: of several indices none is the write index, or the only one is told not
/// to be.
fn aliases(answer: &Value, is_in_place: impl Fn(&str) -> bool) -> Vec<Unfit> {
    let mut marks = BTreeMap::<&str, Vec<Option<bool>>>::new();
    let indices = answer.as_object().into_iter().flat_map(|all| all.values());
    let found = indices.filter_map(|index| index["aliases"].as_object());
    for (name, alias) in found.flatten().filter(|(name, _)| is_in_place(name)) {
        let mark = alias["is_write_index"].as_bool();
        marks.entry(name).or_default().push(mark);
    }
    let is_writable = |marks: &[Option<bool>]| marks.contains(&Some(true)) || marks == [None];
    marks
        .into_iter()
        .filter(|(_, marks)| !is_writable(marks))
        .map(|(name, marks)| Unfit {
            what: format!("{name} is an alias without a write index, of {}", marks.len()),
            fault: IndexFault::NoWriteIndex,
        })
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
        let is_in_place = |name: &str| is_in_place(name, &Stream::ALL, &server);
        let found = data_streams(&json!({ "data_streams": streams }), is_in_place);
        let expected = Unfit {
            what: "p-millrace-transactions-2026.11 is a data stream".to_owned(),
            fault: IndexFault::DataStream,
        };
        assert_eq!(found, [expected]);
        assert!(is_borne(&json!({ "aliases": [{ "name": "a" }] }), "a"));
    }

    #[test]
    fn an_alias_needs_a_write_index_or_has_just_one() {
        let is_told = |marks: &Value| {
            let marks = marks.as_array().into_iter().flatten();
            let indices = marks.enumerate().map(|(at, mark)| {
                let aliases = json!({ "a": { "is_write_index": mark }, "other": {} });
                (at.to_string(), json!({ "aliases": aliases }))
            });
            let found = aliases(&indices.collect(), |name| name == "a");
            assert!(found.iter().all(|one| one.fault == IndexFault::NoWriteIndex));
            !found.is_empty()
        };
        for fit in [json!([]), json!([null]), json!([true]), json!([false, true])] {
            assert!(!is_told(&fit), "{fit}");
        }
        for unfit in [json!([null, null]), json!([false]), json!([false, null])] {
            assert!(is_told(&unfit), "{unfit}");
        }
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
