//! Files of rules, read: for the detector, and for the commands that check and run them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use millrace_fraud::{DetectPolicy, RuleFile};
use millrace_rules::{Budget, LIBRARY, MAX_FILE_LEN};
use millrace_settings::RuleBudget;

/// What the library's names begin with.
const LIBRARY_PREFIX: &str = "library/";

/// The files of the library that is shipped.
#[must_use]
pub fn library() -> Vec<RuleFile> {
    let of = |(name, text): (&str, &str)| RuleFile {
        name: format!("{LIBRARY_PREFIX}{name}"),
        text: text.to_owned(),
    };
    LIBRARY.into_iter().map(of).collect()
}

/// Reads files by their paths, those of a directory that end in `.yml` or `.yaml` in the order of
/// their names, and those of the library by `library/NAME`.
///
/// # Errors
/// A file cannot be read, is too long or no text, or a directory has none.
pub fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<RuleFile>> {
    let mut files = Vec::new();
    for path in paths {
        if let Some(shipped) = shipped(path)? {
            files.push(shipped);
        } else if path.is_dir() {
            files.extend(read_directory(path)?);
        } else {
            files.push(read_file(path)?);
        }
    }
    Ok(files)
}

/// The file of the library that is meant, if one is. Who has a directory of that name writes
/// `./library/NAME`.
fn shipped(path: &Path) -> anyhow::Result<Option<RuleFile>> {
    let Some(name) = path.to_str().filter(|path| path.starts_with(LIBRARY_PREFIX)) else {
        return Ok(None);
    };
    let found = library().into_iter().find(|file| file.name == name);
    if found.is_none() && !path.exists() {
        let all: Vec<_> = library().into_iter().map(|file| file.name).collect();
        bail!("{name} is not in the library of rules: it has {}", all.join(", "));
    }
    Ok(found)
}

fn read_directory(path: &Path) -> anyhow::Result<Vec<RuleFile>> {
    let name = path.display();
    let mut found = Vec::new();
    for entry in fs::read_dir(path).with_context(|| format!("the directory {name}"))? {
        let path = entry.with_context(|| format!("the directory {name}"))?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("yml" | "yaml")) && path.is_file() {
            found.push(path);
        }
    }
    if found.is_empty() {
        bail!("the directory {name} has no file of rules: they end in .yml or .yaml");
    }
    found.sort();
    found.iter().map(|path| read_file(path)).collect()
}

fn read_file(path: &Path) -> anyhow::Result<RuleFile> {
    let name = path.display().to_string();
    let length = fs::metadata(path).with_context(|| name.clone())?.len();
    if length > MAX_FILE_LEN as u64 {
        bail!("{name} has {length} bytes: a file of rules has at most {MAX_FILE_LEN}");
    }
    let bytes = fs::read(path).with_context(|| name.clone())?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(RuleFile { name, text }),
        Err(_) => bail!("{name} is not UTF-8: a file of rules is YAML in UTF-8"),
    }
}

/// Checks what a policy's rule set costs.
///
/// # Errors
/// It is dearer than the budget: by how much, and the three dearest features.
pub fn check_cost(policy: &DetectPolicy, budget: &RuleBudget) -> anyhow::Result<()> {
    let limit = |limit: u64| if limit == 0 { f64::INFINITY } else { limit as f64 };
    let budget = Budget {
        bytes_a_user: limit(budget.bytes),
        ns_a_record: limit(budget.ns),
    };
    let checked = policy
        .version()
        .map_or(Ok(()), |version| version.cost().check(&budget));
    checked.map_err(anyhow::Error::msg)
}

#[cfg(test)]
mod tests {
    use millrace_fraud::DetectSettings;

    use super::*;

    const RULE: &str = "rules:\n  - name: high\n    when: amount > 100 EUR\n    severity: low\n    \
                        reason: r\n    mode: live\n";

    fn names(paths: &[&Path]) -> anyhow::Result<Vec<String>> {
        let paths: Vec<_> = paths.iter().map(|path| path.to_path_buf()).collect();
        Ok(read(&paths)?.into_iter().map(|file| file.name).collect())
    }

    #[test]
    fn files_directories_and_the_library_are_read_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (name, content) in [("b.yml", RULE), ("a.yaml", RULE), ("readme.md", "")] {
            fs::write(path(name), content).unwrap();
        }
        let found = names(&[Path::new("library/velocity.yml"), folder.path()]).unwrap();
        let expected = [
            "library/velocity.yml".to_owned(),
            path("a.yaml").display().to_string(),
            path("b.yml").display().to_string(),
        ];
        assert_eq!(found, expected);
        fs::create_dir(path("empty")).unwrap();
        let error = names(&[&path("empty")]).unwrap_err().to_string();
        assert!(error.contains("has no file of rules"), "{error}");
        let error = names(&[Path::new("library/none.yml")]).unwrap_err().to_string();
        assert!(
            error.contains("it has library/today.yml, library/velocity.yml"),
            "{error}"
        );
        let error = names(&[&path("none.yml")]).unwrap_err().to_string();
        assert!(error.contains("none.yml"), "{error}");
        fs::write(path("latin.yml"), b"rules: [] # \xe9").unwrap();
        let error = names(&[&path("latin.yml")]).unwrap_err().to_string();
        assert!(error.contains("latin.yml is not UTF-8"), "{error}");
    }

    fn policy(text: &str) -> Result<DetectPolicy, String> {
        let file = RuleFile {
            name: "r.yml".to_owned(),
            text: text.to_owned(),
        };
        let settings = DetectSettings {
            rule_set: vec![file],
            ..DetectSettings::default()
        };
        DetectPolicy::new(settings).map_err(|error| error.to_string())
    }

    #[test]
    fn what_the_detector_cannot_judge_by_is_refused() {
        assert!(policy(RULE).is_ok());
        let wrong = policy(&RULE.replace("amount", "amuont")).unwrap_err();
        assert!(wrong.contains("r.yml:3:11: there is no `amuont`"), "{wrong}");
        let taken = policy(&RULE.replace("high", "velocity")).unwrap_err();
        assert!(
            taken.contains("set detector.rules.velocity.enabled: false"),
            "{taken}"
        );
        let merchants = RULE.replace("amount > 100 EUR", "count(\"1m\").by(merchant) > 9");
        let elsewhere = policy(&merchants).unwrap_err();
        assert!(
            elsewhere.contains("the rule `high` asks for count(\"1m\""),
            "{elsewhere}"
        );
    }

    #[test]
    fn the_dearest_features_are_named() {
        let policy = policy(&RULE.replace("amount > 100 EUR", "count(\"24h\") > 100")).unwrap();
        assert!(check_cost(&policy, &RuleBudget::default()).is_ok());
        assert!(check_cost(&policy, &RuleBudget { bytes: 0, ns: 0 }).is_ok());
        let error = check_cost(&policy, &RuleBudget { bytes: 100, ns: 0 }).unwrap_err();
        let error = error.to_string();
        let expected = "the rules cost more than detector.budget allows";
        assert!(
            error.contains(expected) && error.contains("count(\"24h\")"),
            "{error}"
        );
    }
}
