//! An error says its reason in its own words, or has it as its source: with both, a report of the
//! whole chain, as `{error:#}` or a binary's last words, says it twice. This reads every error type
//! of the workspace.

use std::fs;
use std::path::{Path, PathBuf};

/// The Rust files of all crates.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The text up to the bracket that closes the first one, without what is in quotes.
fn bracketed(text: &str) -> &str {
    let (mut depth, mut is_quoted, mut is_escaped) = (0, false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '(' | '{' | '[' if !is_quoted => depth += 1,
            ')' | '}' | ']' if !is_quoted => {
                depth -= 1;
                if depth == 0 {
                    return &text[..=at];
                }
            }
            _ => {}
        }
    }
    text
}

/// The fields that thiserror takes for the source: by attribute or by name.
fn source_fields(fields: &str) -> Vec<String> {
    let is_tuple = fields.starts_with('(');
    let fields = fields.trim_matches(['{', '}', '(', ')']);
    let mut names = Vec::new();
    let mut is_marked = false;
    for (number, line) in fields.split([',', '\n']).map(str::trim).enumerate() {
        is_marked |= line.contains("#[source]") || line.contains("#[from]");
        let name = line
            .split(':')
            .next()
            .unwrap_or_default()
            .trim_start_matches("pub ");
        let is_field = is_tuple || line.contains(": ");
        if is_tuple && is_marked && is_field {
            names.push(number.to_string());
        } else if is_field && (is_marked || name == "source") {
            names.push(name.to_owned());
        }
        is_marked &= !is_field;
    }
    names
}

/// The messages of a file that have their source's words in them.
fn said_twice(text: &str) -> Vec<String> {
    let without_comments = |line: &&str| !line.trim_start().starts_with("//");
    let text: String = text
        .lines()
        .filter(without_comments)
        .map(|line| format!("{line}\n"))
        .collect();
    let marked = text.match_indices("#[error(").filter_map(|(at, mark)| {
        let message = bracketed(&text[at + mark.len() - 1..]);
        // The attribute's end, and the name of the variant or struct.
        let after = &text[at + mark.len() - 1 + message.len()..];
        let fields = bracketed(&after[after.find(['{', '(', ','])?..]);
        let is_twice = source_fields(fields).iter().any(|name| {
            let is_shown = |before: &str| message.contains(&format!("{before}{name}"));
            is_shown("{") || is_shown(", ") || is_shown("(.") || is_shown("= ")
        });
        is_twice.then(|| message.to_owned())
    });
    marked.collect()
}

#[test]
fn no_error_says_its_reason_twice() {
    let mut files = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates"),
        &mut files,
    );
    assert!(files.len() > 100, "{files:?}");
    let mut wrong = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        wrong.extend(
            said_twice(&text)
                .into_iter()
                .map(|message| format!("{}: {message}", path.display())),
        );
    }
    assert!(
        wrong.is_empty(),
        "reasons that are said twice:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_form_of_it_is_found() {
    for text in [
        "#[error(\"a ({b}) failed: {reason}\")]\n/// Why.\nA {\n/// B.\nb: u8,\n/// Why.\n#[source]\nreason: io::Error,\n},",
        "#[error(\"a {}: {source}\", path.display())]\nA { path: PathBuf, source: io::Error },",
        "#[error(\"a: {}\", source)]\nA { source: io::Error },",
        "#[error(\"a: {0}\")]\nA(#[from] std::io::Error),",
    ] {
        assert_eq!(said_twice(text).len(), 1, "{text}");
    }
    for text in [
        "#[error(\"a failed: {reason}\")]\nA {\nreason: io::Error,\n},",
        "#[error(\"a failed\")]\nA {\n#[source]\nreason: io::Error,\n},",
        "#[error(\"a failed: {said}\")]\nA {\nsaid: String,\n#[source]\nreason: io::Error,\n},",
        "#[error(transparent)]\nA(#[from] std::io::Error),",
        "#[error(\"{0}\")]\nA(String),",
    ] {
        assert_eq!(said_twice(text).len(), 0, "{text}");
    }
}
