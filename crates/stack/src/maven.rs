//! Running Maven and the JDK's tools.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::StackError;
use crate::jdk::Jdk;

/// The plugin, with its version: without one, the version depends on the Maven that runs.
const DEPENDENCY_PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1";

/// Maven, with the JDK it is to run on.
pub(crate) struct Maven<'a> {
    program: PathBuf,
    jdk: &'a Jdk,
}

impl<'a> Maven<'a> {
    /// The `mvn` of the PATH, to fetch `component` with.
    pub(crate) fn find(jdk: &'a Jdk, component: &str) -> Result<Self, StackError> {
        let program = find_program("mvn").ok_or_else(|| StackError::NoMaven {
            component: component.to_owned(),
        })?;
        Ok(Self { program, jdk })
    }

    /// Copies the jars of all run-time dependencies of `pom` to `folder`.
    pub(crate) fn copy_dependencies(&self, pom: &Path, folder: &Path) -> Result<(), StackError> {
        let mut command = self.goal(pom, "copy-dependencies");
        command
            .arg("-DincludeScope=runtime")
            .arg(format!("-DoutputDirectory={}", folder.display()));
        run(command, "fetching by Maven")
    }

    /// Unpacks the archive `artifact` (`group:name:version:type:classifier`) into `folder`.
    pub(crate) fn unpack(&self, pom: &Path, artifact: &str, folder: &Path) -> Result<(), StackError> {
        let mut command = self.goal(pom, "unpack");
        command
            .arg(format!("-Dartifact={artifact}"))
            .arg(format!("-DoutputDirectory={}", folder.display()));
        run(command, "fetching by Maven")
    }

    fn goal(&self, pom: &Path, goal: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env("JAVA_HOME", &self.jdk.home)
            .args(["-q", "-B", "-f"])
            .arg(pom);
        command.arg(format!("{DEPENDENCY_PLUGIN}:{goal}"));
        command
    }
}

/// Compiles one Java source for [`crate::jdk::MIN_VERSION`], so that any JDK found later can run
/// it.
pub(crate) fn compile(jdk: &Jdk, source: &Path, class_path: &str, classes: &Path) -> Result<(), StackError> {
    compile_for(crate::jdk::MIN_VERSION, jdk, source, class_path, classes)
}

/// As [`compile`], for this version and later ones.
pub(crate) fn compile_for(
    version: u32,
    jdk: &Jdk,
    source: &Path,
    class_path: &str,
    classes: &Path,
) -> Result<(), StackError> {
    let mut command = Command::new(jdk.tool("javac"));
    command
        .args(["-proc:none", "-nowarn", "--release"])
        .arg(version.to_string());
    command.args(["-cp", class_path, "-d"]).arg(classes).arg(source);
    run(command, &format!("compiling {}", source.display()))
}

/// Packs `classes` into `archive`.
pub(crate) fn jar(jdk: &Jdk, archive: &Path, classes: &Path) -> Result<(), StackError> {
    let mut command = Command::new(jdk.tool("jar"));
    command.arg("--create").arg("--file").arg(archive);
    command.arg("-C").arg(classes).arg(".");
    run(command, &format!("packing {}", archive.display()))
}

/// Runs a tool to its end; a failure carries the end of its output.
pub(crate) fn run(mut command: Command, doing: &str) -> Result<(), StackError> {
    let program = PathBuf::from(command.get_program());
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(StackError::io("run", &program))?;
    if output.status.success() {
        return Ok(());
    }
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Err(StackError::Tool {
        doing: doing.to_owned(),
        status: output.status.to_string(),
        output: crate::process::last_lines(&said, 20),
    })
}

/// A program of the PATH.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|program| program.is_file())
}
