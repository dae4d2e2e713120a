//! Log lines as a process writes them: this test runs itself as a child, to read its standard
//! error.

use std::process::Command;

use millrace_settings::{LogFormat, Telemetry};
use serde_json::Value;

const ROLE: &str = "TEST_ROLE";

/// Not a test of its own: what the child does.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let settings = Telemetry {
        log_level: "info,quiet=error".to_owned(),
        log_format: if role == "text" {
            LogFormat::Text
        } else {
            LogFormat::Json
        },
        ..Telemetry::default()
    };
    millrace_telemetry::init("detector", &settings).expect("sets up");
    tracing::info!(partition = 3, "a \"quoted\" line");
    tracing::warn!(target: "quiet", "not shown");
    assert!(
        millrace_telemetry::init("detector", &settings).is_err(),
        "a second call is refused"
    );
    panic!("over {}", 7);
}

fn lines(role: &str) -> Vec<String> {
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["child", "--exact", "--nocapture"])
        .env(ROLE, role)
        .output()
        .expect("a child");
    assert!(!output.status.success(), "the child panics");
    let errors = String::from_utf8(output.stderr).expect("UTF-8");
    errors.lines().map(str::to_owned).collect()
}

#[test]
fn json_lines_name_the_service_and_panics_are_among_them() {
    let lines: Vec<Value> = lines("json")
        .iter()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for line in &lines {
        assert_eq!(line["service"], "detector");
        assert!(
            line["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')),
            "{line}"
        );
    }
    assert_eq!(lines[0]["message"], "detector starts");
    assert_eq!(lines[1]["message"], "a \"quoted\" line");
    assert_eq!(lines[1]["partition"], 3);
    assert_eq!(lines[2]["level"], "ERROR");
    assert_eq!(lines[2]["message"], "panic: over 7");
    assert!(
        lines[2]["location"]
            .as_str()
            .is_some_and(|at| at.contains("logs.rs")),
        "{}",
        lines[2]
    );
}

#[test]
fn text_lines_are_for_a_person() {
    let lines = lines("text");
    assert!(
        lines
            .iter()
            .any(|line| line.contains("INFO") && line.contains("a \"quoted\" line")),
        "{lines:?}"
    );
    assert!(!lines.iter().any(|line| line.contains("not shown")), "{lines:?}");
}

#[test]
fn wrong_directives_are_refused_by_their_key() {
    let settings = Telemetry {
        log_level: "info,millrace=loud".to_owned(),
        ..Telemetry::default()
    };
    let error = millrace_telemetry::init("detector", &settings)
        .expect_err("a refusal")
        .to_string();
    assert!(
        error.starts_with("telemetry.log_level is \"info,millrace=loud\""),
        "{error}"
    );
}
