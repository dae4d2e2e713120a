//! Writing the `.env` without losing what a person wrote into it.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail};
use millrace_settings::Settings;

use super::render;

/// What became of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It was not there.
    Created,
    /// It had other values.
    Updated,
    /// It said the same already.
    Unchanged,
}

const TITLE: &str = "# Written by `millrace env` from config/millrace.yml: edit that and write this anew.";
const SUM: &str = "# Sum of the lines below, by which an edit by hand is seen: ";

/// Writes the `.env` for `settings` to `path`, readable by its owner alone, as passwords are in it.
/// A file that this command did not write, or that was edited since, is replaced only with `force`.
///
/// # Errors
/// The file was written or edited by hand; it cannot be read or written.
pub fn write(settings: &Settings, path: &Path, force: bool) -> anyhow::Result<Written> {
    let body = render(settings);
    let text = format!("{TITLE}\n{SUM}{:016x}\n{body}", sum(&body));
    let outcome = match fs::read_to_string(path) {
        Ok(there) if there == text => return Ok(Written::Unchanged),
        Ok(there) if !force && !is_ours(&there) => bail!(
            "{} was written or edited by hand: put its values into config/millrace.yml, or replace it with --force",
            path.display()
        ),
        Ok(_) => Written::Updated,
        Err(error) if error.kind() == ErrorKind::NotFound => Written::Created,
        Err(error) if force && error.kind() == ErrorKind::InvalidData => Written::Updated,
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
    };
    replace(path, &text).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(outcome)
}

/// Replaces the file as a whole: Compose never sees half of one.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = Path::new(&name);
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(new)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(new, path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(new);
    }
    written
}

/// Whether `text` is as this command wrote it.
fn is_ours(text: &str) -> bool {
    let ours = || {
        let (title, rest) = text.split_once('\n')?;
        let (line, body) = rest.split_once('\n')?;
        let expected = u64::from_str_radix(line.strip_prefix(SUM)?, 16).ok()?;
        Some(title == TITLE && sum(body) == expected)
    };
    ours().unwrap_or(false)
}

/// FNV-1a, 64 bits: the same in every version of this program, and made to see slips, not attacks.
fn sum(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn settings(rate_per_s: u64) -> Settings {
        let mut settings = Settings::default();
        settings.producer.rate_per_s = rate_per_s;
        settings
    }

    #[test]
    fn a_file_of_ours_is_replaced_and_one_edited_by_hand_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(".env");
        assert_eq!(
            write(&settings(1), &path, false).expect("writes"),
            Written::Created
        );
        assert_eq!(
            write(&settings(1), &path, false).expect("writes"),
            Written::Unchanged
        );
        assert_eq!(
            write(&settings(2), &path, false).expect("writes"),
            Written::Updated
        );

        let edited = fs::read_to_string(&path)
            .expect("reads")
            .replace("MILLRACE_RATE=2", "MILLRACE_RATE=3");
        fs::write(&path, &edited).expect("edits");
        let error = write(&settings(1), &path, false)
            .expect_err("a refusal")
            .to_string();
        assert!(error.contains("--force"), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("reads"), edited);

        assert_eq!(
            write(&settings(1), &path, true).expect("writes"),
            Written::Updated
        );
        assert!(
            fs::read_to_string(&path)
                .expect("reads")
                .contains("\nMILLRACE_RATE=1\n")
        );
    }

    #[test]
    fn a_file_from_elsewhere_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(".env");
        for text in ["", "MILLRACE_RATE=7\n", "# Written by someone\n# else\n"] {
            fs::write(&path, text).expect("writes");
            assert!(
                write(&settings(1), &path, false).is_err(),
                "{text:?} was replaced"
            );
        }
    }

    #[test]
    fn only_the_owner_may_read_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(".env");
        write(&settings(1), &path, false).expect("writes");
        assert_eq!(
            fs::metadata(&path).expect("is there").permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(folder.path()).expect("reads").count(), 1);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_that_names_the_file() {
        let error = write(&settings(1), Path::new("/no/such/folder/.env"), false).expect_err("a refusal");
        assert!(error.to_string().contains("/no/such/folder/.env"), "{error}");
    }
}
