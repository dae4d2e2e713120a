//! `millrace chaos` and `millrace bench`: commands of the lab, a program beside this one, which is
//! no part of an installation.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Args;

/// The lab's program.
const PROGRAM: &str = "millrace-lab";

/// What the lab's command is given, as it is.
#[derive(Debug, Args)]
#[command(disable_help_flag = true, disable_version_flag = true)]
pub struct Arguments {
    /// The command's own arguments; --help lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Becomes the lab's program, and so returns only if it cannot.
///
/// # Errors
/// There is no such program beside this one, or it cannot be started.
pub fn command(name: &str, config: Option<&Path>, given: &Arguments) -> Result<std::convert::Infallible> {
    let this = std::env::current_exe().context("cannot find this program's own file")?;
    become_lab(&this.with_file_name(PROGRAM), name, config, given)
}

fn become_lab(
    program: &Path,
    name: &str,
    config: Option<&Path>,
    given: &Arguments,
) -> Result<std::convert::Infallible> {
    if !program.is_file() {
        bail!(
            "`millrace {name}` is done by {PROGRAM}, and there is none at {}: neither the image nor a build of \
             `--bin millrace` alone has it. In the source of Millrace: cargo run --release --bin {PROGRAM} -- {name} …",
            program.display()
        );
    }
    let mut command = Command::new(program);
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    let error = command.arg(name).args(&given.arguments).exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_lab_the_command_says_where_it_is_had() {
        let folder = tempfile::tempdir().unwrap();
        let given = Arguments {
            arguments: Vec::new(),
        };
        let error = become_lab(&folder.path().join(PROGRAM), "chaos", None, &given).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("cargo run --release --bin millrace-lab -- chaos")
                && error.contains(&folder.path().display().to_string()),
            "{error}"
        );
    }
}
