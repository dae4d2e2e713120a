//! Which streams run beside the payments.

use millrace_catalog::{PIPELINES, Pipeline, Service};
use millrace_settings::Settings;

use super::feed::Feed;

/// Stands for every stream, on the command line.
const ALL: &str = "all";
/// What a stream's service takes, about: its limit in the compose file is a little above.
const SERVICE_MIB: u64 = 160;

/// A stream as it is named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// Every one.
    All,
    /// The transactions, which always run.
    Core,
    /// One that a service's section enables.
    Of(Service),
}

/// A stream of this name.
///
/// # Errors
/// There is none; the message names those that are.
pub(super) fn parse(name: &str) -> Result<Stream, String> {
    if name == ALL {
        return Ok(Stream::All);
    }
    let found = PIPELINES.iter().find(|pipeline| pipeline.name == name);
    found
        .map(|pipeline| pipeline.enabled_by.map_or(Stream::Core, Stream::Of))
        .ok_or_else(|| {
            let names: Vec<&str> = PIPELINES.iter().map(|pipeline| pipeline.name).collect();
            format!(
                "there is no such stream; there are {}, and {ALL}",
                names.join(", ")
            )
        })
}

/// Enables what was asked for, beside what the settings enable: all streams where none is named,
/// but not beside a file, whose rows are to be the only ones, or another's producer. Those that the
/// machine has no memory for are left out, unless they were named; the message says so.
pub(super) fn enable(
    settings: &mut Settings,
    wanted: &[Stream],
    feed: &Feed,
    memory_left_mib: Option<u64>,
) -> Option<String> {
    let is_all = wanted.contains(&Stream::All) || (wanted.is_empty() && *feed == Feed::Generator);
    let mut left_mib = match wanted {
        [] => memory_left_mib.unwrap_or(u64::MAX),
        _ => u64::MAX,
    };
    let mut left_out = Vec::new();
    for (pipeline, service) in PIPELINES.iter().filter_map(of_a_service) {
        let is_wanted = is_all || wanted.contains(&Stream::Of(service));
        if !is_wanted || settings.installation().enables(service) {
            continue;
        }
        match left_mib.checked_sub(SERVICE_MIB) {
            Some(left) => {
                left_mib = left;
                settings.enable(service);
            }
            None => left_out.push(pipeline.name),
        }
    }
    (!left_out.is_empty()).then(|| {
        format!(
            "{} left out, as there is no memory for {SERVICE_MIB} MiB each; --streams starts them all the same",
            left_out.join(", ")
        )
    })
}

fn of_a_service(pipeline: &&'static Pipeline) -> Option<(&'static Pipeline, Service)> {
    Some((pipeline, pipeline.enabled_by?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(wanted: &[&str], feed: &Feed, memory_mib: Option<u64>) -> (Vec<&'static str>, Option<String>) {
        let wanted: Vec<Stream> = wanted.iter().map(|name| parse(name).unwrap()).collect();
        let mut settings = Settings::default();
        let told = enable(&mut settings, &wanted, feed, memory_mib);
        let installation = settings.installation();
        let services = PIPELINES.iter().filter_map(of_a_service);
        let enabled = services.filter(|(_, service)| installation.enables(*service));
        (enabled.map(|(pipeline, _)| pipeline.name).collect(), told)
    }

    #[test]
    fn every_stream_runs_beside_the_generator() {
        let all = ["clickstream", "iot", "commerce", "incidents"];
        assert_eq!(started(&[], &Feed::Generator, None), (all.to_vec(), None));
        assert_eq!(started(&["all"], &Feed::Others, Some(0)), (all.to_vec(), None));
    }

    #[test]
    fn no_stream_runs_beside_a_file_unless_it_is_named() {
        assert_eq!(started(&[], &Feed::Others, None), (Vec::new(), None));
        assert_eq!(started(&["iot"], &Feed::Others, None), (vec!["iot"], None));
    }

    #[test]
    fn those_that_are_named_run_and_no_other() {
        assert_eq!(
            started(&["payments"], &Feed::Generator, None).0,
            Vec::<&str>::new()
        );
        let two = started(&["payments", "commerce", "iot"], &Feed::Generator, Some(1)).0;
        assert_eq!(two, ["iot", "commerce"]);
    }

    #[test]
    fn those_without_memory_are_left_out_by_name() {
        let (names, told) = started(&[], &Feed::Generator, Some(2 * SERVICE_MIB + 1));
        assert_eq!(names, ["clickstream", "iot"]);
        assert!(told.unwrap().starts_with("commerce, incidents left out"));
    }

    #[test]
    fn what_the_settings_enable_stays() {
        let mut settings = Settings::default();
        settings.enable(Service::Iot);
        enable(&mut settings, &[Stream::Core], &Feed::Generator, Some(0));
        assert!(settings.installation().enables(Service::Iot));
    }

    #[test]
    fn a_name_that_is_none_is_told_with_those_that_are() {
        let told = parse("clicks").unwrap_err();
        assert!(told.contains("payments, clickstream, iot, commerce"), "{told}");
    }
}
