//! Records that lie elsewhere than the records of their user, as the aggregator counts them: among
//! these, duplicates are not found and users are counted twice, which the sums alone need not show.

use std::time::Duration;

use millrace_catalog::Service;
use millrace_settings::{MisplacedRecords, Settings};

use super::report::{Row, Verdict};
use millrace_telemetry::exposition;

/// The aggregator's count since its start; `status` shows it too.
pub const METRIC: &str = "millrace_misplaced_records_total";
const TIMEOUT: Duration = Duration::from_secs(3);

/// The check; `None` where no aggregator answers on its port, and where such records are dead
/// letters, which are compared as such.
pub(super) async fn check(settings: &Settings) -> Option<Row> {
    if settings.aggregator.misplaced_records == MisplacedRecords::DeadLetter {
        return None;
    }
    let http = millrace_http::local_client(TIMEOUT).ok()?;
    let port = settings.metrics_port(Service::Aggregator);
    let url = format!("http://127.0.0.1:{port}/metrics");
    let text = http.get(url).send().await.ok()?.text().await.ok()?;
    exposition::sum(&text, METRIC).map(row)
}

fn row(records: f64) -> Row {
    let is_right = records == 0.0;
    Row {
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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn records_that_are_refused_for_it_spoil_no_result() {
        let text = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{METRIC}{{reason=\"no_key\"}} 3\n");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut settings = Settings::default();
        settings.aggregator.metrics_port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = [0; 4_096];
                let _ = stream.read(&mut asked).await;
                let _ = stream.write_all(text.as_bytes()).await;
            }
        });
        let counted = check(&settings).await.unwrap();
        assert_eq!((counted.verdict, counted.actual.as_str()), (Verdict::Failed, "3"));
        settings.aggregator.misplaced_records = MisplacedRecords::DeadLetter;
        assert!(check(&settings).await.is_none());
    }

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
