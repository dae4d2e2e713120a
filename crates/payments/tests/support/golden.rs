//! Golden snapshots: states as each version of an operator wrote them, kept as files, which every
//! later version must go on from or refuse by name.

use std::path::{Path, PathBuf};

use millrace_engine::snapshot::container::{self, Expected, Header, SnapshotWriter};
use millrace_engine::{Disposition, Operator};

const FINGERPRINT: &str = "golden";
const PARTITION: i32 = 3;

/// One event of the stream that the golden snapshots are of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<R> {
    Record(R),
    Advance(i64),
}

/// One operator with its stream. The stream is fixed for ever, as the files are snapshots of its
/// first half.
pub(crate) struct Golden<O: Operator> {
    pub(crate) job: &'static str,
    /// Holds `<job>-v<version>.snap`, one for each version of the state there ever was.
    pub(crate) folder: PathBuf,
    pub(crate) fresh: fn() -> O,
    pub(crate) steps: Vec<Step<O::Record>>,
}

impl<O: Operator> Golden<O>
where
    O::Output: PartialEq + std::fmt::Debug,
{
    fn run(&self, operator: &mut O, steps: &[Step<O::Record>]) -> (Vec<O::Output>, Vec<Disposition>) {
        let (mut outputs, mut dispositions) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Record(record) => dispositions.push(operator.process(record, &mut outputs)),
                Step::Advance(to_ms) => operator.advance(*to_ms, &mut outputs),
            }
        }
        (outputs, dispositions)
    }

    fn half(&self) -> usize {
        self.steps.len() / 2
    }

    /// The state after half of the stream, as the present version writes it.
    fn present(&self) -> Vec<u8> {
        let mut operator = (self.fresh)();
        self.run(&mut operator, &self.steps[..self.half()]);
        let mut writer = SnapshotWriter::new(&Header {
            job: self.job,
            partition: PARTITION,
            offset: self.half() as i64,
            watermark_ms: operator.watermark_ms(),
            fingerprint: FINGERPRINT,
        });
        operator.snapshot(writer.state());
        writer.finish()
    }

    fn state<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let expected = Expected {
            job: self.job,
            partition: PARTITION,
            fingerprint: FINGERPRINT,
        };
        container::read(bytes, &expected).unwrap().state
    }

    /// The present layout has its file, byte by byte of the state. `MILLRACE_WRITE_GOLDEN=1` writes
    /// one that is missing.
    pub(crate) fn check_present(&self) {
        let present = self.present();
        let version = self.state(&present)[0] & 0x0f;
        let file = self.folder.join(format!("{}-v{version}.snap", self.job));
        if std::env::var_os("MILLRACE_WRITE_GOLDEN").is_some() && !file.exists() {
            std::fs::write(&file, &present).unwrap();
        }
        let golden = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(
            self.state(&golden) == self.state(&present),
            "{} is not what this build writes: a new layout needs a new version, and that a file \
             (MILLRACE_WRITE_GOLDEN=1 writes it)",
            file.display()
        );
    }

    /// From every version's file, the operator goes on as one that ran from the start.
    pub(crate) fn check_every_version(&self) {
        let mut whole = (self.fresh)();
        self.run(&mut whole, &self.steps[..self.half()]);
        let expected = self.run(&mut whole, &self.steps[self.half()..]);
        assert!(!expected.0.is_empty(), "a stream without outputs proves nothing");
        let mut state = Vec::new();
        whole.snapshot(&mut state);
        let files = self.files();
        assert!(!files.is_empty());
        for file in files {
            let bytes = std::fs::read(&file).unwrap();
            let mut restored = (self.fresh)();
            restored
                .restore(self.state(&bytes))
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let found = self.run(&mut restored, &self.steps[self.half()..]);
            assert_eq!(found, expected, "{}", file.display());
            let mut restored_state = Vec::new();
            restored.snapshot(&mut restored_state);
            assert!(restored_state == state, "{}: the final state", file.display());
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let ours = |path: &Path| {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            name.starts_with(&format!("{}-v", self.job)) && name.ends_with(".snap")
        };
        let entries = std::fs::read_dir(&self.folder).unwrap();
        let mut files: Vec<_> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| ours(path))
            .collect();
        files.sort();
        files
    }

    /// A state of a version that this release does not know: the refusal.
    pub(crate) fn refusal_of_version(&self, version: u8) -> String {
        let bytes = self.present();
        let mut state = self.state(&bytes).to_vec();
        state[0] = (state[0] & 0xf0) | version;
        (self.fresh)().restore(&state).unwrap_err().to_string()
    }
}
