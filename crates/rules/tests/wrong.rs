//! Wrong rules, and what is said about each: whoever changes a message sees it here.

use std::fmt::Write as _;

use millrace_rules::parse_rules;

/// Conditions that are wrong.
const CONDITIONS: [&str; 75] = [
    // Words and signs.
    "amount > 100 EUR & international",
    "amount > usual | international",
    "amount ≥ usual",
    "amount > €100",
    "merchant == “m-1”",
    "merchant == \"m-1",
    "amount > usual ; true",
    "amount = usual",
    "amount % 2 > usual",
    "count(\"10m\") > 10x",
    "amount > 100.00001 EUR",
    "count(\"10m\") > 99999999999999999999",
    // Order and brackets.
    "",
    "and international",
    "amount > ",
    "amount > usual)",
    "(amount > usual",
    "amount > usual international",
    "amount > usual AND international",
    "100 EUR < amount < 200 EUR",
    "merchant is \"m-1\"",
    "sum(amount) over \"1h\" > usual",
    "international ? amount > usual",
    "count(\"10m\" amount > usual) > 3",
    // Names.
    "amuont > usual",
    "country == \"DE\"",
    "method == credit_card",
    "method == \"creditcard\"",
    "type == \"withdrawal\"",
    "currency == \"euro\"",
    "amount > EUR",
    "international == True",
    "usual == null",
    "mean(\"1h\", amount) > usual",
    "cuont(\"10m\") > 3",
    "amount() > usual",
    "count > 3",
    // Types.
    "amount",
    "amount > 100",
    "sum(\"1h\", amount) >= 1000.5",
    "amount > usual + 10",
    "amount * usual > usual",
    "100 EUR > 100 USD",
    "amount + 100 EUR > usual",
    "since_last() < 10",
    "time > 10m",
    "amount > time",
    "user == merchant",
    "user > \"u-1\"",
    "user == user",
    "\"a\" == \"b\"",
    "not amount",
    "count(\"10m\") + international > 3",
    "log(amount) > 5",
    "distance_km(location, last(location)) > 500",
    "amount in [\"a\"]",
    "merchant in watched",
    "merchant in []",
    "listed(\"deny\")",
    "listed(deny, user)",
    "listed(user, \"deny\")",
    "listed(\"Deny list\", user)",
    "listed(\"deny\", \"u-1\")",
    "listed(\"deny\", method)",
    "listed(\"deny\", amount)",
    "listed(\"deny\", usr)",
    "lisetd(\"deny\", user)",
    // Features.
    "count() > 3",
    "count(\"15m\") > 3",
    "sum(\"1h\") > usual",
    "sum(\"1h\", amount).by(user) > usual",
    "sum(\"1h\", merchant) > 3",
    "count(\"1h\").by(country) > 3",
    "count(\"1h\").per(user) > 3",
    "zscore(log(amount)).by(merchant) > 3",
];

/// Files that are wrong.
const FILES: [&str; 12] = [
    "",
    "rules: 5",
    "rules:\n  - name: a\n    wehn: true\n    severity: low\n    reason: r\n    mode: live\n",
    "rules:\n  - name: a\n    severity: low\n    reason: r\n    mode: live\n",
    "rules:\n  - name: Card Testing\n    when: international\n    severity: low\n    reason: r\n    mode: live\n",
    "rules:\n  - name: a\n    when: international\n    severity: severe\n    reason: r\n    mode: live\n",
    "rules:\n  - name: a\n    when: international\n    severity: low\n    reason: r\n    mode: 100 %\n",
    "rules:\n  - name: a\n    when: international\n    severity: low\n    reason: ''\n    mode: live\n",
    "rules:\n  - name: a\n    when: international\n    severity: low\n    reason: r\n    mode: live\n    score: amount\n",
    "rules:\n  - name: a\n    when: international\n    severity: low\n    reason: r\n    mode: live\n    quiet: 60\n",
    "rules:\n  - name: a\n    when: international\n    severity: low\n    reason: r\n    mode: live\n  - name: a\n    when: >-\n      amount\n      > usual\n    severity: low\n    reason: r\n    mode: live\n",
    "lists:\n  Watched: [a]\nrules: []\n",
];

fn file_of(condition: &str) -> String {
    let quoted = condition.replace('\'', "''");
    format!("rules:\n  - name: a\n    when: '{quoted}'\n    severity: low\n    reason: r\n    mode: live\n")
}

#[test]
fn every_wrong_condition_says_where_what_and_the_fix() {
    let mut told = String::new();
    for condition in CONDITIONS {
        let file = file_of(condition);
        let problems = parse_rules(&file).expect_err(condition);
        assert_eq!(problems.len(), 1, "{condition}");
        let problem = &problems[0];
        assert!(problem.span.end <= file.len(), "{condition}");
        let marked = file.get(problem.span.clone()).expect("on letters");
        writeln!(
            told,
            "{condition}\n    at {marked:?}\n    {}",
            problem.line("r.yml", &file)
        )
        .expect("memory");
    }
    insta::assert_snapshot!("conditions", told);
}

#[test]
fn every_wrong_file_says_where_what_and_the_fix() {
    let mut told = String::new();
    for file in FILES {
        let problems = parse_rules(file).expect_err(file);
        writeln!(told, "{file}").expect("memory");
        for problem in problems {
            writeln!(told, "    ==> {}\n", problem.line("r.yml", file)).expect("memory");
        }
    }
    insta::assert_snapshot!("files", told);
}

#[test]
fn a_problem_is_shown_under_the_line_that_has_it() {
    let file = "rules:\n  - name: large\n    when: >-\n      international and\n      amount > 100\n    severity: low\n    reason: Großer Betrag\n    mode: live\n";
    let problems = parse_rules(file).expect_err("a bare number");
    insta::assert_snapshot!("shown", problems[0].render("rules.yml", file, false));
}

#[test]
fn all_wrong_rules_are_told_at_once() {
    let rule = |name: &str, when: &str| {
        format!("  - name: {name}\n    when: {when}\n    severity: low\n    reason: r\n    mode: live\n")
    };
    let file = format!(
        "rules:\n{}{}{}",
        rule("a", "amuont > usual"),
        rule("b", "international"),
        rule("c", "amount > 5")
    );
    let problems = parse_rules(&file).expect_err("two are wrong");
    let lines: Vec<_> = problems.iter().map(|problem| problem.position(&file).0).collect();
    assert_eq!(lines, [3, 13]);
}

#[test]
fn what_is_beyond_a_bound_is_refused_by_name() {
    for (condition, what) in [
        (
            "(".repeat(200) + "international" + &")".repeat(200),
            "nested too deep",
        ),
        ("not ".repeat(200) + "international", "nested too deep"),
        (["international"; 100].join(" and "), "nested too deep"),
        (["1"; 1_100].join(" "), "too long"),
        (format!("merchant == \"{}\"", "m".repeat(5_000)), "bytes"),
        (format!("merchant == \"{}\"", "m".repeat(65)), "1 to 64 bytes"),
        (
            "count(\"1h\", count(\"1h\", count(\"1h\", count(\"1h\", amount > usual) > 1) > 1) > 1) > 1"
                .to_owned(),
            "features are nested too deep",
        ),
    ] {
        let file = file_of(&condition);
        let problems = parse_rules(&file).expect_err(&condition);
        assert!(problems[0].message.contains(what), "{}", problems[0]);
    }
    let long = format!("rules: [] # {}", "x".repeat(2 << 20));
    assert!(parse_rules(&long).is_err());
}
