//! Each test that docs/cases.md names is there, and is run: it has a test's attribute and is not
//! ignored; or, on real servers, it is in their list and not among those that take too long for CI.

use std::path::Path;

/// Where the tests on real servers are, and the list of those that are run.
const ON_SERVERS: &str = "tests/cases/";
const LIST: &str = "tests/cases/mod.rs";

fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Whether a test on real servers is run, of the file `path` after [`ON_SERVERS`].
fn is_listed(list: &str, path: &str, name: &str) -> bool {
    let module = path.split(['/', '.']).next().unwrap_or_default();
    let of_list = format!("case!({module}::{name}");
    let too_long = format!("\"{module}::{name}\"");
    let long = list.split("TOO_LONG_FOR_CI").nth(1).unwrap_or_default();
    let long = long.split(';').take(2).collect::<String>();
    let is_there = list
        .split(&of_list)
        .skip(1)
        .any(|rest| rest.starts_with([')', ' ']));
    is_there && !long.contains(&too_long)
}

/// Whether the function `name` of a file has a test's attribute and is not ignored.
fn is_a_test(text: &str, name: &str) -> bool {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let function = format!("fn {name}(");
    let Some(at) = lines.iter().position(|line| line.contains(&function)) else {
        return false;
    };
    let before = lines[..at].iter().rev();
    let attributes: Vec<_> = before
        .take_while(|line| line.starts_with("#[") || line.starts_with("///"))
        .filter(|line| line.starts_with("#["))
        .collect();
    let is_test = |line: &&&str| line.ends_with("test]") || line.starts_with("#[tokio::test(");
    attributes.iter().any(is_test) && !attributes.iter().any(|line| line.contains("ignore"))
}

#[test]
fn every_case_has_its_tests() {
    let (page, list) = (text("docs/cases.md"), text(LIST));
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
            match file.strip_prefix(ON_SERVERS) {
                Some(path) => {
                    let is_there = text(file).contains(&format!("async fn {name}("));
                    assert!(is_there, "{case}: {file} has no {name}");
                    assert!(
                        is_listed(&list, path, name),
                        "{case}: {name} of {file} is not run: see {LIST}"
                    );
                }
                None => assert!(is_a_test(&text(file), name), "{case}: {file} has no test {name}"),
            }
        }
        cases += 1;
    }
    assert_eq!(cases, 39, "cases");
}

#[test]
fn what_is_not_run_is_no_test() {
    let file = "\
        fn helper() {}\n\
        #[test]\nfn one() {}\n\
        /// Words.\n#[tokio::test]\nasync fn two() {}\n\
        #[test]\n#[ignore = \"slow\"]\nfn three() {}\n";
    let found = ["helper", "one", "two", "three", "four"].map(|name| is_a_test(file, name));
    assert_eq!(found, [false, true, true, false, false]);
    let list = "const TOO_LONG_FOR_CI: [&str; 1] = [\"faults::late\"];\n\
        case!(faults::late alone), case!(faults::soon alone), case!(init::is_calm),";
    let listed = [
        ("faults.rs", "soon"),
        ("init/topics.rs", "is_calm"),
        ("faults.rs", "late"),
        ("faults.rs", "soo"),
        ("init/topics.rs", "soon"),
    ];
    let found = listed.map(|(path, name)| is_listed(list, path, name));
    assert_eq!(found, [true, true, false, false, false]);
}
