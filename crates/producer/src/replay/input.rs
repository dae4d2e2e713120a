//! A file's bytes: of a file or of standard input, decompressed, without a byte order mark.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::Path;

use anyhow::{Context, bail};
use flate2::bufread::MultiGzDecoder;

/// The name that stands for standard input.
pub const STANDARD_INPUT: &str = "-";

const BUFFER_BYTES: usize = 1 << 16;
const UTF8_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const PARQUET: [u8; 4] = *b"PAR1";

/// What files begin with that cannot be read, and what to do with them.
const UNREADABLE: [(&[u8], &str); 5] = [
    (
        b"PK\x03\x04",
        "is a zip archive or an Excel workbook: unpack it, or save it as CSV",
    ),
    (
        b"BZh",
        "is compressed by bzip2: bzip2 -dc FILE | … replay - --file-format csv",
    ),
    (
        b"\xfd7zXZ",
        "is compressed by xz: xz -dc FILE | … replay - --file-format csv",
    ),
    (
        b"\xff\xfe",
        "is UTF-16: convert it, as by iconv -f UTF-16 -t UTF-8",
    ),
    (
        b"\xfe\xff",
        "is UTF-16: convert it, as by iconv -f UTF-16 -t UTF-8",
    ),
];

/// Whether `path` stands for standard input.
pub(super) fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == STANDARD_INPUT
}

/// Opens a file of text. Whether it is compressed by gzip or zstd is seen from its first bytes, not
/// from its name.
///
/// # Errors
/// It cannot be read, or begins like a file that is no text.
pub(super) fn open_text(path: &Path) -> anyhow::Result<Box<dyn BufRead + Send>> {
    let (head, reader) = peek::<3>(open_bytes(path)?).with_context(|| path.display().to_string())?;
    if head == UTF8_MARK {
        return Ok(reader);
    }
    if let Some((_, advice)) = UNREADABLE.iter().find(|(magic, _)| begins(&head, magic)) {
        bail!("{} {advice}", path.display());
    }
    Ok(Box::new(BufReader::with_capacity(
        BUFFER_BYTES,
        Cursor::new(head).chain(reader),
    )))
}

/// Opens a file that is read from its end, as Parquet is. What comes compressed or by standard
/// input is put into a temporary file first (in `TMPDIR`).
///
/// # Errors
/// It cannot be read, or the temporary file not be written.
pub(super) fn open_seekable(path: &Path) -> anyhow::Result<File> {
    if !is_standard_input(path) {
        let mut file = open_file(path)?;
        let mut head = Vec::new();
        (&mut file).take(4).read_to_end(&mut head)?;
        if head == PARQUET {
            file.rewind()?;
            return Ok(file);
        }
    }
    let mut file = tempfile::tempfile().context("a temporary file cannot be made; TMPDIR says where")?;
    io::copy(&mut open_bytes(path)?, &mut file)
        .with_context(|| format!("{} cannot be put into a temporary file", path.display()))?;
    file.rewind()?;
    Ok(file)
}

fn open_file(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| path.display().to_string())
}

fn open_bytes(path: &Path) -> anyhow::Result<Box<dyn BufRead + Send>> {
    let raw: Box<dyn Read + Send> = if is_standard_input(path) {
        Box::new(io::stdin())
    } else {
        Box::new(open_file(path)?)
    };
    let buffered = Box::new(BufReader::with_capacity(BUFFER_BYTES, raw));
    let (head, reader) = peek::<4>(buffered).with_context(|| path.display().to_string())?;
    let whole = Cursor::new(head.clone()).chain(reader);
    if begins(&head, &GZIP) {
        // A file may be several gzip members or zstd frames, one after another.
        let decoder = MultiGzDecoder::new(whole);
        return Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, decoder)));
    }
    if begins(&head, &ZSTD) {
        let decoder = zstd::Decoder::with_buffer(whole)?;
        return Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, decoder)));
    }
    Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, whole)))
}

/// Takes the first `N` bytes, or as many as there are.
fn peek<const N: usize>(
    mut reader: Box<dyn BufRead + Send>,
) -> io::Result<(Vec<u8>, Box<dyn BufRead + Send>)> {
    let mut head = Vec::with_capacity(N);
    (&mut reader).take(N as u64).read_to_end(&mut head)?;
    Ok((head, reader))
}

fn begins(head: &[u8], magic: &[u8]) -> bool {
    head.starts_with(&magic[..magic.len().min(3)])
}
