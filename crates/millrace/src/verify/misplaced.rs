//! Records that lie elsewhere than the records of their user, as the aggregator counts them: among
//! these, duplicates are not found and users are counted twice, which the sums alone need not show.

use std::time::Duration;

use millrace_settings::Settings;

use super::report::{Check, Verdict};
use crate::metrics;
use crate::up::Service;

/// The aggregator's count since its start; `status` shows it too.
pub(crate) const METRIC: &str = "millrace_misplaced_records_total";
const TIMEOUT: Duration = Duration::from_secs(3);

/// The check; `None` where no aggregator answers on its port.
pub(super) async fn check(settings: &Settings) -> Option<Check> {
    let http = crate::http::client(TIMEOUT).ok()?;
    let url = Service::Aggregator.url(settings, "/metrics");
    let text = http.get(url).send().await.ok()?.text().await.ok()?;
    metrics::sum(&text, METRIC).map(row)
}

fn row(records: f64) -> Check {
    let is_right = records == 0.0;
    Check {
        check: "records elsewhere than murmur2 of userId puts them".to_owned(),
        expected: "0".to_owned(),
        actual: records.to_string(),
        difference: if is_right {
            "0".to_owned()
        } else {
            format!("+{records}")
        },
        verdict: if is_right {
            Verdict::Passed
        } else {
            Verdict::Failed
        },
        may_change: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_record_elsewhere_fails() {
        assert_eq!(row(0.0).verdict, Verdict::Passed);
        let failed = row(890.0);
        assert_eq!(
            (failed.verdict, failed.difference.as_str()),
            (Verdict::Failed, "+890")
        );
    }
}
