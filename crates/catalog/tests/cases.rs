//! Each test that docs/cases.md names is there.

use std::path::Path;

fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_case_has_its_tests() {
    let page = text("docs/cases.md");
    let mut cases = 0;
    for row in page
        .lines()
        .filter(|line| line.starts_with("| C") || line.starts_with("| S"))
    {
        let case = row.split('|').nth(1).unwrap_or_default().trim();
        // What is between backquotes is every second part.
        let tests: Vec<_> = row.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "{case} has no test");
        for test in tests {
            let (file, name) = test.rsplit_once("::").expect("a file and a name");
            let is_there = text(file).contains(&format!("fn {name}("));
            assert!(is_there, "{case}: {file} has no test {name}");
        }
        cases += 1;
    }
    assert_eq!(cases, 39, "cases");
}
