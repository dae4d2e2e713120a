//! Where the transactions of an `up` come from.

use std::path::{Path, PathBuf};

use millrace_producer::replay;
use serde_json::Value;

use super::Options;

/// Where transactions come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Feed {
    /// The generator.
    Generator,
    /// A replay, with its arguments.
    Files(Vec<String>),
    /// Others' producers.
    Others,
}

impl Feed {
    /// What the options say.
    ///
    /// # Errors
    /// A file is not there, the mapping is wrong, or it names columns that a file does not have:
    /// better said now than when everything has been started.
    pub(super) fn of(options: &Options) -> anyhow::Result<Self> {
        if options.no_producer {
            return Ok(Self::Others);
        }
        let Some(mapping) = &options.mapping else {
            return Ok(Self::Generator);
        };
        let text = |path: &Path| path.display().to_string();
        for path in options.files.iter().chain([mapping]) {
            anyhow::ensure!(
                path.is_file(),
                "there is no file {}{}",
                path.display(),
                if path.as_os_str() == "-" {
                    ": standard input goes to `millrace service producer replay -`"
                } else {
                    ""
                }
            );
        }
        replay::check(mapping, &options.files, options.file_format)?;
        let mut arguments = vec!["replay".to_owned()];
        arguments.extend(options.files.iter().map(PathBuf::as_path).map(text));
        arguments.extend(["--mapping".to_owned(), text(mapping)]);
        arguments.extend(["--speed".to_owned(), options.speed.clone()]);
        if let Some(format) = options.file_format {
            arguments.extend(["--file-format", format.name()].map(str::to_owned));
        }
        if options.sort {
            arguments.push("--sort".to_owned());
        }
        Ok(Self::Files(arguments))
    }
}

/// A replay's summary, or the error that it ended by, from the end of its log; the end itself where
/// neither is there.
pub(super) fn last_word(log_tail: &str) -> String {
    let field = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        let fields = line.get("fields").unwrap_or(&line);
        let word = fields.get("summary").or_else(|| fields.get("error"))?;
        Some(word.as_str()?.to_owned())
    };
    log_tail
        .lines()
        .rev()
        .find_map(field)
        .unwrap_or_else(|| log_tail.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    const MAPPING: &str = "transactionId: {uuid5: \"case/{id}\"}\nuserId: {column: user}\n\
                           amount: {column: amount}\ntransactionTime: {column: time}\n\
                           merchantId: {column: merchant}\ntransactionType: {constant: purchase}\n\
                           location: {constant: Oslo}\npaymentMethod: {constant: credit_card}\n\
                           isInternational: {constant: false}\ncurrency: {constant: EUR}\n";

    const ROWS: &str = "id,user,amount,time,merchant\n1,u,1,2024-03-01T10:00:00Z,m\n";

    /// Writes a file, and gives its path.
    fn put(folder: &tempfile::TempDir, name: &str, content: &str) -> String {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    fn feed(line: &str) -> anyhow::Result<Feed> {
        match Cli::try_parse_from(line.split(' '))?.command {
            Command::Up(options) => Feed::of(&options),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn files_become_a_replay() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (put(&folder, "a.csv", ROWS), put(&folder, "b.csv", ROWS));
        let (dat, m) = (put(&folder, "bank.dat", ROWS), put(&folder, "m.yml", MAPPING));
        assert_eq!(feed("millrace up").unwrap(), Feed::Generator);
        assert_eq!(feed("millrace up --no-producer").unwrap(), Feed::Others);
        let line = format!("millrace up --file {a} --file {b} --mapping {m} --sort --for 60s");
        let expected = ["replay", &a, &b, "--mapping", &m, "--speed", "max", "--sort"];
        let expected = Feed::Files(expected.map(str::to_owned).to_vec());
        assert_eq!(feed(&line).unwrap(), expected);
        let line = format!("millrace up --file {dat} --file-format csv --mapping {m}");
        let found = feed(&line).unwrap();
        let format = ["--file-format", "csv"].map(str::to_owned);
        let expected = ["replay", &dat, "--mapping", &m, "--speed", "max"].map(str::to_owned);
        assert_eq!(found, Feed::Files([&expected[..], &format].concat()));
    }

    #[test]
    fn what_cannot_be_a_replay_is_told_before_anything_starts() {
        let folder = tempfile::tempdir().unwrap();
        let (a, dat) = (put(&folder, "a.csv", ROWS), put(&folder, "bank.dat", ROWS));
        let m = put(&folder, "m.yml", MAPPING);
        let unknown = put(
            &folder,
            "unknown.yml",
            &MAPPING.replace("column: user", "column: \"?\""),
        );
        let wrong = put(
            &folder,
            "wrong.yml",
            &MAPPING.replace("constant: EUR", "constant: euro"),
        );
        for (line, expected) in [
            (
                format!("millrace up --file {dat} --mapping {m}"),
                "give --file-format csv",
            ),
            (format!("millrace up --file {a}"), "--mapping"),
            (format!("millrace up --mapping {m}"), "--file"),
            (
                format!("millrace up --file {a} --mapping {m} --rate 5"),
                "cannot be used with",
            ),
            (
                format!("millrace up --file {a} --mapping {m} --docker"),
                "cannot be used with",
            ),
            (
                "millrace up --no-producer --rate 5".to_owned(),
                "cannot be used with",
            ),
            (
                format!("millrace up --file {a} --mapping {m} --speed fast"),
                "a factor above 0",
            ),
            (
                format!("millrace up --file /nowhere.csv --mapping {m}"),
                "there is no file /nowhere.csv",
            ),
            (
                format!("millrace up --file {a} --mapping {unknown}"),
                "there is no column ?, which the mapping names; the file has id, user",
            ),
            (format!("millrace up --file {a} --mapping {wrong}"), "currency"),
            (
                format!("millrace up --file - --mapping {m}"),
                "service producer replay -",
            ),
        ] {
            let error = feed(&line).unwrap_err().to_string();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }

    #[test]
    fn a_log_tells_its_last_word() {
        let log =
            "{\"fields\":{\"message\":\"sending\"}}\n{\"message\":\"done\",\"summary\":\"5 acknowledged\"}\n";
        assert_eq!(last_word(log), "5 acknowledged");
        let failed = "{\"fields\":{\"message\":\"ended by an error\",\"error\":\"nothing was sent: …\"}}";
        assert_eq!(last_word(failed), "nothing was sent: …");
        assert_eq!(last_word("killed"), "killed");
    }
}
