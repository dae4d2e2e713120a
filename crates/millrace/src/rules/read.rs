//! Files of rules, read.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use millrace_detector::rule_files;
use millrace_rules::{Budget, Problem, Rule, Version, parse_rules};

/// A file of rules, with what came of it.
pub(crate) struct RuleFile {
    /// Its name, for messages.
    pub(crate) name: String,
    /// Its content.
    pub(crate) text: String,
    /// Its rules, or everything that is wrong with them.
    pub(crate) rules: Result<Vec<Rule>, Vec<Problem>>,
}

impl RuleFile {
    /// Reads files, as [`rule_files::read`] does; those of the library where none is given.
    ///
    /// # Errors
    /// A file cannot be read, or is no text.
    pub(crate) fn read_all(paths: &[PathBuf]) -> anyhow::Result<Vec<Self>> {
        let files = match paths {
            [] => rule_files::library(),
            paths => rule_files::read(paths)?,
        };
        Ok(files
            .into_iter()
            .map(|file| Self::of(file.name, file.text))
            .collect())
    }

    fn of(name: String, text: String) -> Self {
        Self {
            rules: parse_rules(&text),
            name,
            text,
        }
    }

    /// Its problems.
    pub(crate) fn problems(&self) -> &[Problem] {
        self.rules.as_ref().err().map(Vec::as_slice).unwrap_or_default()
    }

    /// Its problems, a line each.
    pub(crate) fn problem_lines(&self) -> impl Iterator<Item = String> {
        self.problems()
            .iter()
            .map(|problem| problem.line(&self.name, &self.text))
    }
}

/// The version of files of rules, or of the library, to run over files: whatever it costs.
///
/// # Errors
/// A file cannot be read; its problems, a line each; or two rules of one name.
pub(crate) fn load(paths: &[PathBuf]) -> anyhow::Result<Arc<Version>> {
    let (mut rules, mut problems) = (Vec::new(), Vec::new());
    for file in RuleFile::read_all(paths)? {
        problems.extend(file.problem_lines());
        rules.extend(file.rules.unwrap_or_default());
    }
    if !problems.is_empty() {
        bail!("the rules are wrong:\n{}", problems.join("\n"));
    }
    Ok(Arc::new(Version::new(rules, &Budget::UNLIMITED)?))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn put(folder: &tempfile::TempDir, name: &str, content: &[u8]) -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    const RULE: &str = "rules:\n  - name: high\n    when: amount > 100 EUR\n    severity: low\n    \
                        reason: r\n    mode: live\n";

    #[test]
    fn without_files_it_is_the_library() {
        let version = load(&[]).unwrap();
        assert!(version.rules().iter().any(|rule| rule.name() == "card_testing"));
    }

    #[test]
    fn what_is_wrong_is_told_by_file_line_and_column() {
        let folder = tempfile::tempdir().unwrap();
        let good = put(&folder, "good.yml", RULE.as_bytes());
        let wrong = put(&folder, "wrong.yml", RULE.replace("amount", "amuont").as_bytes());
        assert_eq!(load(std::slice::from_ref(&good)).unwrap().rules().len(), 1);
        let error = load(&[good.clone(), wrong]).unwrap_err().to_string();
        assert!(error.contains("wrong.yml:3:11: there is no `amuont`"), "{error}");
        assert!(error.contains("did you mean `amount`?"), "{error}");
        let twice = load(&[good.clone(), good]).unwrap_err().to_string();
        assert!(twice.contains("two rules `high`"), "{twice}");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = load(&[folder.path().join("none.yml")]).unwrap_err().to_string();
        assert!(missing.contains("none.yml"), "{missing}");
        let latin = put(&folder, "latin.yml", b"rules: [] # \xe9");
        let error = load(&[latin]).unwrap_err().to_string();
        assert!(error.contains("latin.yml is not UTF-8"), "{error}");
    }
}
