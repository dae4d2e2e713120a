//! Random and mutated text: whatever comes, the reader gives rules or problems within the text, and
//! never panics.

use millrace_rules::parse_rules;
use proptest::prelude::*;

/// What expressions are made of, right and wrong.
const PIECES: [&str; 48] = [
    "amount",
    "usual",
    "time",
    "user",
    "merchant",
    "type",
    "method",
    "international",
    "count",
    "sum",
    "avg",
    "distinct",
    "last",
    "since_last",
    "streak",
    "zscore",
    "log",
    "place(location)",
    "has",
    "\"10m\"",
    "\"1h\"",
    "\"purchase\"",
    "'é'",
    "100 EUR",
    "10m",
    "3",
    "0.5",
    "(",
    ")",
    "[",
    "]",
    ",",
    ".by(user)",
    ".over(\"7d\")",
    ".excluding_current()",
    "and",
    "or",
    "not",
    "in",
    "<",
    ">=",
    "==",
    "+",
    "-",
    "*",
    "/",
    "?",
    ":",
];

const FILE: &str = "lists:
  watched: [m-1, m-2]
rules:
  - name: card_testing
    when: >-
      count(\"10m\", amount < usual * 0.1) >= 4
      and amount > usual * 3 and merchant in watched
    severity: high
    score: zscore(log(amount))
    quiet: 10m
    reason: small probes, then a large purchase
    mode: 10 %
  - {name: other, when: 'not (type == \"refund\")', severity: low, reason: r, mode: shadow}
";

fn file_of(condition: &str) -> String {
    let quoted = condition.replace('\'', "''");
    format!("rules:\n  - name: a\n    when: '{quoted}'\n    severity: low\n    reason: r\n    mode: live\n")
}

fn stands(file: &str) -> Result<bool, TestCaseError> {
    match parse_rules(file) {
        Ok(_) => Ok(true),
        Err(problems) => {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!(problem.span.start <= problem.span.end && problem.span.end <= file.len());
                prop_assert!(!problem.message.is_empty());
                let _ = problem.line("f", file);
                let _ = problem.render("f", file, false);
            }
            Ok(false)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3_000) })]

    #[test]
    fn any_text_is_taken(text in "\\PC{0,200}") {
        stands(&text)?;
        stands(&file_of(&text))?;
    }

    #[test]
    fn any_words_are_taken(words in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..60)) {
        stands(&file_of(&words.join(" ")))?;
    }

    #[test]
    fn a_mutated_file_is_taken(
        cuts in prop::collection::vec((0..FILE.len(), 0_usize..12, "\\PC{0,3}"), 1..6),
    ) {
        let mut text: Vec<char> = FILE.chars().collect();
        for (at, length, with) in cuts {
            let start = at.min(text.len());
            let end = (start + length).min(text.len());
            text.splice(start..end, with.chars());
        }
        stands(&text.iter().collect::<String>())?;
    }

    #[test]
    fn deep_and_long_text_is_refused_soon(
        piece in prop::sample::select(vec!["(", "[", "-", "not ", "!", "a?", "a or ", "has(", "count(\"1h\",", "1-"]),
        times in 1_usize..5_000,
    ) {
        let text = piece.repeat(times);
        let found = stands(&file_of(&text))?;
        prop_assert!(!found);
    }
}

#[test]
fn the_file_that_is_mutated_is_right() {
    assert_eq!(parse_rules(FILE).map(|rules| rules.len()), Ok(2));
}
