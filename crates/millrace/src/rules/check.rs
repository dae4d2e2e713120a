//! `millrace rules check FILE...`

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use millrace_rules::{Budget, CostCard, Rule, Version, VersionError};
use millrace_settings::Settings;
use serde::Serialize;

use super::RuleFile;
use super::backtest::{self, Backtest};

/// Which files, and how to answer.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Files of rules (YAML), which are one version together
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Bytes that the version may cost for a user with ten transactions a day; 0 for any
    #[arg(long, value_name = "BYTES", default_value_t = 16_384)]
    budget_bytes: u64,
    /// Nanoseconds that it may cost for a record; 0 for any
    #[arg(long, value_name = "NS", default_value_t = 10_000)]
    budget_ns: u64,
    /// The answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backtest: backtest::Options,
}

/// What came of the files.
#[derive(Debug, Serialize)]
struct Answer {
    ok: bool,
    problems: Vec<Wrong>,
    /// Why rules without a problem are no version.
    refused: Option<String>,
    version: Option<Described>,
    /// Where one was asked for.
    backtest: Option<Backtest>,
}

#[derive(Debug, Serialize)]
struct Wrong {
    file: String,
    line: usize,
    column: usize,
    message: String,
    expected: Option<String>,
    fix: Option<String>,
}

#[derive(Debug, Serialize)]
struct Described {
    hash: String,
    rules: usize,
    features: Vec<String>,
    bytes_a_user: f64,
    bytes_a_user_of_long_windows: f64,
    ns_a_record: f64,
    states: Vec<State>,
}

#[derive(Debug, Serialize)]
struct State {
    features: Vec<String>,
    bytes: f64,
    most_bytes: f64,
    ns: f64,
}

impl Options {
    fn budget(&self) -> Budget {
        let limit = |limit: u64| if limit == 0 { f64::INFINITY } else { limit as f64 };
        Budget {
            bytes_a_user: limit(self.budget_bytes),
            ns_a_record: limit(self.budget_ns),
        }
    }
}

pub(super) fn command(config: Option<&Path>, options: &Options) -> anyhow::Result<ExitCode> {
    let files = RuleFile::read_all(&options.files)?;
    let planned = plan(&files, &options.budget());
    if !options.json {
        tell(&files, &planned);
    }
    let compared = match &planned {
        Some(Ok(version)) if options.backtest.is_given() => {
            let settings = Settings::load(config)?;
            Some(backtest::run(&settings, &options.backtest, Arc::clone(version))?)
        }
        _ => None,
    };
    let is_right = matches!(planned, Some(Ok(_)));
    if options.json {
        say!(
            "{}",
            serde_json::to_string_pretty(&answer(&files, &planned, compared))?
        );
    } else if let Some(compared) = &compared {
        say!("\n{}", backtest::shown(compared));
    }
    Ok(if is_right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Prints what came of the files themselves.
fn tell(files: &[RuleFile], planned: &Option<Result<Arc<Version>, VersionError>>) {
    let has_color = std::io::stderr().is_terminal();
    for file in files {
        for problem in file.problems() {
            eprintln!("{}", problem.render(&file.name, &file.text, has_color));
        }
    }
    match planned {
        Some(Ok(version)) => say!("{}", shown(version)),
        Some(Err(error)) => eprintln!("{error}"),
        None => eprintln!("{}", counted(files)),
    }
}

/// The version of the files; `None` where one has a problem.
fn plan(files: &[RuleFile], budget: &Budget) -> Option<Result<Arc<Version>, VersionError>> {
    let mut rules: Vec<Rule> = Vec::new();
    for file in files {
        rules.extend(file.rules.as_ref().ok()?.iter().cloned());
    }
    Some(Version::new(rules, budget).map(Arc::new))
}

fn counted(files: &[RuleFile]) -> String {
    let problems: usize = files.iter().map(|file| file.problems().len()).sum();
    format!("{problems} rules or files are wrong; nothing was planned")
}

fn shown(version: &Version) -> String {
    format!(
        "{} rules over {} features are right; version {}\n{}",
        version.rules().len(),
        version.features().count(),
        version.hash(),
        version.cost().to_string().trim_end()
    )
}

fn answer(
    files: &[RuleFile],
    planned: &Option<Result<Arc<Version>, VersionError>>,
    backtest: Option<Backtest>,
) -> Answer {
    let wrong = |file: &RuleFile| {
        let of = |problem: &millrace_rules::Problem| {
            let (line, column) = problem.position(&file.text);
            Wrong {
                file: file.name.clone(),
                line,
                column,
                message: problem.message.clone(),
                expected: problem.expected.clone(),
                fix: problem.fix.clone(),
            }
        };
        file.problems().iter().map(of).collect::<Vec<_>>()
    };
    let planned = planned.as_ref();
    Answer {
        ok: planned.is_some_and(Result::is_ok),
        problems: files.iter().flat_map(wrong).collect(),
        refused: planned
            .and_then(|planned| planned.as_ref().err())
            .map(ToString::to_string),
        version: planned
            .and_then(|planned| planned.as_ref().ok())
            .map(|version| describe(version)),
        backtest,
    }
}

fn describe(version: &Version) -> Described {
    let cost: &CostCard = version.cost();
    let state = |feature: &millrace_rules::FeatureCost| State {
        features: feature.features.clone(),
        bytes: feature.bytes,
        most_bytes: feature.most_bytes,
        ns: feature.ns,
    };
    Described {
        hash: version.hash().to_string(),
        rules: version.rules().len(),
        features: version.features().map(str::to_owned).collect(),
        bytes_a_user: cost.bytes_a_user,
        bytes_a_user_of_long_windows: cost.bytes_a_user_of_long_windows,
        ns_a_record: cost.ns_a_record,
        states: cost.features.iter().map(state).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = "rules:\n  - name: high\n    when: amount > 3 * avg(\"7d\", amount)\n    \
                        severity: low\n    reason: r\n    mode: live\n";

    fn options(folder: &tempfile::TempDir, text: &str, budget_bytes: u64) -> Options {
        let path = folder.path().join("rules.yml");
        std::fs::write(&path, text).unwrap();
        Options {
            files: vec![path],
            budget_bytes,
            budget_ns: 10_000,
            json: false,
            backtest: backtest::Options::default(),
        }
    }

    fn asked(options: &Options) -> Answer {
        let files = RuleFile::read_all(&options.files).unwrap();
        answer(&files, &plan(&files, &options.budget()), None)
    }

    #[test]
    fn what_is_right_has_a_hash_and_a_cost() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(&folder, RULE, 16_384);
        let answer = asked(&options);
        assert!(answer.ok && answer.problems.is_empty(), "{answer:?}");
        let version = answer.version.unwrap();
        assert_eq!((version.rules, version.hash.len()), (1, 64));
        assert!(
            version.bytes_a_user > 1_000.0 && !version.states.is_empty(),
            "{version:?}"
        );
        assert_eq!(command(None, &options).unwrap(), ExitCode::SUCCESS);
    }

    #[test]
    fn what_is_wrong_has_a_place_and_a_fix() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(&folder, &RULE.replace("avg", "mean"), 16_384);
        let answer = asked(&options);
        assert!(!answer.ok && answer.version.is_none());
        let [wrong] = answer.problems.as_slice() else {
            panic!("{answer:?}");
        };
        assert_eq!((wrong.line, wrong.column), (3, 24));
        assert!(wrong.message.contains("mean"), "{wrong:?}");
        assert_eq!(command(None, &options).unwrap(), ExitCode::FAILURE);
    }

    #[test]
    fn what_is_too_dear_is_refused_by_the_budget_given() {
        let folder = tempfile::tempdir().unwrap();
        let dear = options(&folder, RULE, 100);
        assert!(asked(&dear).refused.unwrap().contains("bytes a user, of 100"));
        assert_eq!(command(None, &dear).unwrap(), ExitCode::FAILURE);
        assert!(asked(&options(&folder, RULE, 0)).ok);
    }
}
