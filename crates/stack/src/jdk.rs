//! The newest JDK of this machine. The default `java` is often older than what the servers need.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::error::StackError;

/// The least version: Elasticsearch 9 and Apicurio Registry 3 need it.
pub const MIN_VERSION: u32 = 21;

/// A JDK (with a compiler, so not a JRE).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Jdk {
    /// Its feature version, as 25.
    pub version: u32,
    /// Its home folder.
    pub home: PathBuf,
}

impl Jdk {
    /// One of its programs, as `java`.
    #[must_use]
    pub fn tool(&self, name: &str) -> PathBuf {
        self.home.join("bin").join(name)
    }
}

/// Finds the newest JDK in `JAVA_HOME`, on the `PATH` and in the usual folders.
///
/// # Errors
/// None is new enough; the error lists those found.
pub fn newest() -> Result<Jdk, StackError> {
    Wanted {
        versions: MIN_VERSION..=u32::MAX,
        required: "21 or later",
        example: 25,
    }
    .find()
}

/// Finds a JDK that Cassandra 5 runs on: it installs a security manager, which later ones have no
/// more.
///
/// # Errors
/// There is none; the error lists those found.
pub(crate) fn for_cassandra() -> Result<Jdk, StackError> {
    Wanted {
        versions: 11..=17,
        required: "11 or 17 for Cassandra",
        example: 17,
    }
    .find()
}

/// Which JDKs would do.
struct Wanted {
    versions: RangeInclusive<u32>,
    required: &'static str,
    example: u32,
}

impl Wanted {
    fn find(&self) -> Result<Jdk, StackError> {
        let folders = usual_folders(env::home_dir().as_deref());
        self.newest_of(
            env::var_os("JAVA_HOME").as_deref(),
            env::var_os("PATH").as_deref(),
            &folders,
        )
    }

    fn newest_of(
        &self,
        java_home: Option<&OsStr>,
        path: Option<&OsStr>,
        folders: &[PathBuf],
    ) -> Result<Jdk, StackError> {
        let found = all_of(java_home, path, folders);
        let fitting = found.iter().rfind(|jdk| self.versions.contains(&jdk.version));
        fitting.cloned().ok_or_else(|| StackError::NoJdk {
            required: self.required,
            example: self.example,
            found,
            searched: folders.to_vec(),
        })
    }
}

/// Every JDK, the oldest first.
fn all_of(java_home: Option<&OsStr>, path: Option<&OsStr>, folders: &[PathBuf]) -> Vec<Jdk> {
    let mut homes: BTreeSet<PathBuf> = BTreeSet::new();
    homes.extend(java_home.map(PathBuf::from));
    homes.extend(
        path.iter()
            .flat_map(env::split_paths)
            .filter_map(|dir| home_of_compiler(&dir)),
    );
    for folder in folders {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let home = entry.path();
            // macOS puts the home below the bundle, Homebrew below its prefix.
            homes.insert(home.join("Contents/Home"));
            homes.insert(home.join("libexec/openjdk.jdk/Contents/Home"));
            homes.insert(home);
        }
    }
    let mut found: Vec<Jdk> = homes
        .into_iter()
        .filter_map(|home| fs::canonicalize(home).ok())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .filter_map(|home| {
            Some(Jdk {
                version: version_of(&home)?,
                home,
            })
        })
        .collect();
    found.sort();
    found
}

/// Where JDKs usually are.
fn usual_folders(home: Option<&Path>) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = [
        "/usr/lib/jvm",
        "/usr/java",
        "/opt",
        "/opt/java",
        "/Library/Java/JavaVirtualMachines",
        "/opt/homebrew/opt",
    ]
    .map(PathBuf::from)
    .into();
    for below in [
        ".sdkman/candidates/java",
        ".jdks",
        "Library/Java/JavaVirtualMachines",
    ] {
        folders.extend(home.map(|home| home.join(below)));
    }
    folders
}

/// The home of the JDK whose `javac` is in `dir`, through links.
fn home_of_compiler(dir: &Path) -> Option<PathBuf> {
    let compiler = fs::canonicalize(dir.join("javac")).ok()?;
    Some(compiler.parent()?.parent()?.to_owned())
}

/// The feature version in a JDK's `release` file; `None` where this is no JDK with a compiler.
fn version_of(home: &Path) -> Option<u32> {
    if !home.join("bin/javac").is_file() || !home.join("bin/java").is_file() {
        return None;
    }
    let release = fs::read_to_string(home.join("release")).ok()?;
    let version = release
        .lines()
        .find_map(|line| line.strip_prefix("JAVA_VERSION="))?
        .trim_matches('"');
    // 1.8.0_402 is Java 8.
    let feature = version.strip_prefix("1.").unwrap_or(version);
    feature.split(['.', '_', '-', '+']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jdk(folder: &Path, name: &str, version: &str, programs: &[&str]) -> PathBuf {
        let home = folder.join(name);
        fs::create_dir_all(home.join("bin")).unwrap();
        for program in programs {
            fs::write(home.join("bin").join(program), "").unwrap();
        }
        fs::write(
            home.join("release"),
            format!("IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"{version}\"\n"),
        )
        .unwrap();
        fs::canonicalize(home).unwrap()
    }

    fn wanted(versions: RangeInclusive<u32>) -> Wanted {
        Wanted {
            versions,
            required: "21 or later",
            example: 25,
        }
    }

    #[test]
    fn the_newest_wins_wherever_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let old = jdk(dir.path(), "jdk-17", "17.0.15", &["java", "javac"]);
        let new = jdk(&dir.path().join("jvm"), "jdk-25", "25.0.1", &["java", "javac"]);
        jdk(&dir.path().join("jvm"), "jre-26", "26", &["java"]);
        jdk(&dir.path().join("jvm"), "jdk-8", "1.8.0_402", &["java", "javac"]);
        let path = env::join_paths([old.join("bin")]).unwrap();
        let folders = [dir.path().join("jvm")];
        let of = |versions| {
            wanted(versions)
                .newest_of(Some(old.as_os_str()), Some(&path), &folders)
                .unwrap()
        };
        let jdk = |version, home: &Path| Jdk {
            version,
            home: home.to_owned(),
        };
        assert_eq!(of(21..=u32::MAX), jdk(25, &new));
        assert_eq!(of(11..=17), jdk(17, &old), "the newest of those that do");
    }

    #[test]
    fn none_that_is_new_enough_lists_the_older_ones_once() {
        let dir = tempfile::tempdir().unwrap();
        let old = jdk(dir.path(), "jdk-17", "17.0.15", &["java", "javac"]);
        let path = env::join_paths([old.join("bin")]).unwrap();
        let error = wanted(21..=u32::MAX)
            .newest_of(Some(old.as_os_str()), Some(&path), &[dir.path().to_owned()])
            .unwrap_err();
        let StackError::NoJdk { found, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(
            found,
            [Jdk {
                version: 17,
                home: old
            }]
        );
    }
}
