//! `millrace rules list`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::RuleFile;

/// Which files, and how to answer.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Files of rules (YAML); the library that is shipped if none is given
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The files themselves, to start files of one's own from: rules and what the language cannot
    /// say
    #[arg(long, conflicts_with = "json")]
    yaml: bool,
    /// The rules that the detector judges by, with their modes, since when they are exact, and
    /// which of its partitions have them
    #[arg(long, conflicts_with_all = ["files", "yaml"])]
    pub(super) live: bool,
    /// The answer as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Serialize)]
struct Listed<'a> {
    file: &'a str,
    name: &'a str,
    revision: String,
    severity: &'static str,
    mode: String,
    reason: &'a str,
    source: Option<&'a str>,
}

pub(super) fn command(options: &Options) -> anyhow::Result<ExitCode> {
    let files = RuleFile::read_all(&options.files)?;
    let problems: Vec<String> = files.iter().flat_map(RuleFile::problem_lines).collect();
    for problem in &problems {
        eprintln!("{problem}");
    }
    let rules: Vec<Listed<'_>> = files.iter().flat_map(listed).collect();
    if options.yaml {
        for file in &files {
            say!("# {}\n{}", file.name, file.text.trim_end());
        }
    } else if options.json {
        say!("{}", serde_json::to_string_pretty(&rules)?);
    } else {
        say!("{}", table(&rules));
    }
    Ok(if problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn listed(file: &RuleFile) -> Vec<Listed<'_>> {
    let rules = file.rules.as_deref().unwrap_or_default();
    rules
        .iter()
        .map(|rule| Listed {
            file: &file.name,
            name: rule.name(),
            revision: rule.revision().to_string(),
            severity: rule.severity().as_str(),
            mode: rule.mode().to_string(),
            reason: rule.reason(),
            source: rule.source(),
        })
        .collect()
}

fn table(rules: &[Listed<'_>]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["file", "rule", "severity", "mode", "reason"]);
    for rule in rules {
        table.add_row([rule.file, rule.name, rule.severity, &rule.mode, rule.reason]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_listed_with_its_sources() {
        let files = RuleFile::read_all(&[]).unwrap();
        let rules: Vec<_> = files.iter().flat_map(listed).collect();
        let velocity = rules.iter().find(|rule| rule.name == "velocity").unwrap();
        assert_eq!((velocity.file, velocity.severity), ("library/today.yml", "high"));
        assert!(rules.len() > 15 && rules.iter().all(|rule| rule.source.is_some()));
        assert!(table(&rules).to_string().contains("compromised_terminal"));
    }
}
