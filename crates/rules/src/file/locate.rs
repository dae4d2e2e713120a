//! Where in a file of YAML a value is written: the reader of YAML does not say.
//!
//! A value is looked for after its key, character by character but for blanks, since YAML folds
//! lines and takes away indentation.

use std::ops::Range;

use crate::problem::Problem;

/// For each byte of a value, where it is in the file.
#[derive(Debug)]
pub(super) struct Located {
    /// Empty where the value was not found.
    offsets: Vec<usize>,
    /// Where it ends, or where the rule begins.
    end: usize,
}

impl Located {
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// The bytes of the file that some of the value are.
    pub(super) fn span(&self, span: &Range<usize>) -> Range<usize> {
        let at = |at: usize| self.offsets.get(at).copied().unwrap_or(self.end);
        let start = at(span.start);
        if span.end <= span.start || self.offsets.is_empty() {
            return start..start;
        }
        // The end is after the last byte, not before the next one, which may be on another line.
        start..(at(span.end - 1) + 1).max(start)
    }

    /// A problem of the value as one of the file.
    pub(super) fn place(&self, mut problem: Problem) -> Problem {
        problem.span = self.span(&problem.span);
        problem
    }
}

/// Looks for `key: value` from `from` on.
pub(super) fn locate(text: &str, from: usize, key: &str, value: &str) -> Located {
    let mut at = from;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find(key)) {
        let start = at + found;
        at = start + key.len();
        if !is_key(&text[..start], &text[at..]) {
            continue;
        }
        let colon = at + text[at..].find(':').unwrap_or(0);
        if let Some(located) = follow(text, colon + 1, value) {
            return located;
        }
    }
    Located {
        offsets: Vec::new(),
        end: from,
    }
}

fn is_key(before: &str, after: &str) -> bool {
    let line = &before[before.rfind('\n').map_or(0, |at| at + 1)..];
    let is_first = line.chars().all(|c| c == ' ' || c == '-') || line.ends_with(['{', ',', ' ', '"', '\'']);
    is_first
        && after
            .trim_start_matches(['"', '\''])
            .trim_start_matches(' ')
            .starts_with(':')
}

fn follow(text: &str, start: usize, value: &str) -> Option<Located> {
    let mut at = start + blanks(&text[start..]);
    let first = text[at..].chars().next()?;
    let value_first = value.trim_start().chars().next();
    let quote = (matches!(first, '"' | '\'') && value_first != Some(first)).then_some(first);
    // A text that begins with a quote itself has to be in quotes: YAML would take them away.
    let quote = quote.or((matches!(first, '"' | '\'')).then_some(first));
    if quote.is_some() {
        at += 1;
    } else if matches!(first, '|' | '>') {
        at += text[at..].find('\n')?;
    }
    let mut offsets = Vec::with_capacity(value.len());
    for wanted in value.chars() {
        if wanted.is_whitespace() {
            offsets.extend(std::iter::repeat_n(at, wanted.len_utf8()));
            continue;
        }
        at += blanks(&text[at..]);
        let mut found = text[at..].chars().next()?;
        if quote == Some('"') && found == '\\' {
            at += 1;
            found = text[at..].chars().next()?;
        }
        if found != wanted {
            return None;
        }
        offsets.extend(at..at + wanted.len_utf8());
        at += found.len_utf8();
        // Two of them stand for one.
        if quote == Some('\'') && wanted == '\'' {
            at += 1;
            if !text.is_char_boundary(at) {
                return None;
            }
        }
    }
    Some(Located { offsets, end: at })
}

fn blanks(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, value: &str, part: &str) -> Option<String> {
        let start = value.find(part)?;
        let located = locate(text, 0, "when", value);
        text.get(located.span(&(start..start + part.len())))
            .map(str::to_owned)
    }

    #[test]
    fn a_value_is_found_however_it_is_written() {
        let value = "amount > usual and user == \"a'b\"";
        for text in [
            "- when: amount > usual and user == \"a'b\"\n",
            "- name: when\n  when: amount > usual\n    and user == \"a'b\"\n",
            "- when: >-\n    amount > usual\n    and user == \"a'b\"\n",
            "- when: 'amount > usual and user == \"a''b\"'\n",
            "- when: \"amount > usual and user == \\\"a'b\\\"\"\n",
            "- {name: x, when: amount > usual and user == \"a'b\"}\n",
        ] {
            assert_eq!(found(text, value, "usual").as_deref(), Some("usual"), "{text}");
            assert_eq!(found(text, value, "user").as_deref(), Some("user"), "{text}");
        }
    }

    #[test]
    fn what_is_not_there_has_an_empty_place() {
        let located = locate("when: a\n", 0, "when", "b");
        assert_eq!(located.span(&(0..1)), 0..0);
    }
}
