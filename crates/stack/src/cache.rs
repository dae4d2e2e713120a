//! The cache of programs: filled once, safe against two fills at once and against torn ones.

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use crate::error::StackError;

/// Names the file that makes an entry whole: the size and path of every file in it.
const STAMP: &str = ".complete";

/// `MILLRACE_CACHE`, else `millrace` in the platform's cache folder.
#[must_use]
pub fn default_dir() -> PathBuf {
    let set = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(dir) = set("MILLRACE_CACHE") {
        return dir;
    }
    let platform = if cfg!(target_os = "macos") {
        "Library/Caches"
    } else {
        ".cache"
    };
    set("XDG_CACHE_HOME")
        .or_else(|| env::home_dir().map(|home| home.join(platform)))
        .unwrap_or_else(env::temp_dir)
        .join("millrace")
}

/// One thing to keep: its name, and everything that says how it is made. Another recipe is another
/// entry.
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a str,
    pub(crate) recipe: &'a [&'a str],
}

impl Entry<'_> {
    fn folder(&self, cache_dir: &Path) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        self.recipe.hash(&mut hasher);
        cache_dir.join(format!("{}-{:08x}", self.name, hasher.finish() & 0xffff_ffff))
    }
}

/// The folder of `entry`, made by `fill` where it is missing or torn. Blocks while another process
/// fills the cache.
pub(crate) fn ensure(
    cache_dir: &Path,
    entry: &Entry<'_>,
    fill: impl FnOnce(&Path) -> Result<(), StackError>,
) -> Result<PathBuf, StackError> {
    let folder = entry.folder(cache_dir);
    if is_whole(&folder) {
        return Ok(folder);
    }
    fs::create_dir_all(cache_dir).map_err(StackError::io("make", cache_dir))?;
    let lock_path = cache_dir.join("lock");
    let lock = File::create(&lock_path).map_err(StackError::io("open", &lock_path))?;
    lock.lock().map_err(StackError::io("lock", &lock_path))?;
    if is_whole(&folder) {
        return Ok(folder);
    }
    // Made beside its place and renamed when it is whole: a reader never sees half of it.
    let partial = folder.with_extension("partial");
    for old in [&partial, &folder] {
        if old.exists() {
            fs::remove_dir_all(old).map_err(StackError::io("remove", old))?;
        }
    }
    fs::create_dir_all(&partial).map_err(StackError::io("make", &partial))?;
    fill(&partial)?;
    let stamp = inventory(&partial)?;
    let stamp_path = partial.join(STAMP);
    fs::write(&stamp_path, stamp).map_err(StackError::io("write", &stamp_path))?;
    fs::rename(&partial, &folder).map_err(StackError::io("rename", &partial))?;
    Ok(folder)
}

/// Whether every file of the stamp is there with its size.
fn is_whole(folder: &Path) -> bool {
    let Ok(stamp) = fs::read_to_string(folder.join(STAMP)) else {
        return false;
    };
    stamp.lines().all(|line| {
        line.split_once(' ').is_some_and(|(size, path)| {
            fs::metadata(folder.join(path)).is_ok_and(|found| size.parse() == Ok(found.len()))
        })
    })
}

/// One line for each file below `folder`: its size and its path.
fn inventory(folder: &Path) -> Result<String, StackError> {
    let mut lines = String::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(dir) = folders.pop() {
        for entry in fs::read_dir(&dir).map_err(StackError::io("list", &dir))? {
            let path = entry.map_err(StackError::io("list", &dir))?.path();
            let found = fs::metadata(&path).map_err(StackError::io("read", &path))?;
            if found.is_dir() {
                folders.push(path);
            } else if let Ok(below) = path.strip_prefix(folder) {
                // Writing to a String cannot fail.
                let _ = writeln!(lines, "{} {}", found.len(), below.display());
            }
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const ENTRY: Entry<'static> = Entry {
        name: "thing-1",
        recipe: &["how"],
    };

    fn fill(folder: &Path) -> Result<(), StackError> {
        fs::create_dir_all(folder.join("libs")).unwrap();
        fs::write(folder.join("libs/a.jar"), "12345").unwrap();
        Ok(())
    }

    #[test]
    fn a_whole_entry_is_not_made_again_and_a_torn_one_is() {
        let dir = tempfile::tempdir().unwrap();
        let made = AtomicUsize::new(0);
        let ensure = || {
            ensure(dir.path(), &ENTRY, |folder| {
                made.fetch_add(1, Ordering::Relaxed);
                fill(folder)
            })
            .unwrap()
        };
        let folder = ensure();
        assert_eq!(ensure(), folder);
        assert_eq!(made.load(Ordering::Relaxed), 1);
        fs::write(folder.join("libs/a.jar"), "1").unwrap();
        ensure();
        assert_eq!(made.load(Ordering::Relaxed), 2);
        assert_eq!(fs::read_to_string(folder.join("libs/a.jar")).unwrap(), "12345");
    }

    #[test]
    fn a_failed_fill_leaves_no_entry() {
        let dir = tempfile::tempdir().unwrap();
        let failed = ensure(dir.path(), &ENTRY, |folder| {
            fill(folder)?;
            Err(StackError::NoMaven {
                component: "thing".to_owned(),
            })
        });
        assert!(matches!(failed, Err(StackError::NoMaven { .. })));
        assert!(!ENTRY.folder(dir.path()).exists());
        ensure(dir.path(), &ENTRY, fill).unwrap();
    }

    #[test]
    fn two_at_once_fill_once() {
        let dir = tempfile::tempdir().unwrap();
        let made = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    ensure(dir.path(), &ENTRY, |folder| {
                        made.fetch_add(1, Ordering::Relaxed);
                        fill(folder)
                    })
                    .unwrap();
                });
            }
        });
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn another_recipe_is_another_entry() {
        let other = Entry {
            name: "thing-1",
            recipe: &["otherwise"],
        };
        assert_ne!(ENTRY.folder(Path::new("c")), other.folder(Path::new("c")));
    }
}
