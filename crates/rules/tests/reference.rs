//! docs/rules.md is what the catalogue says.

use std::path::Path;

#[test]
fn the_page_is_written_from_the_catalogue() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules.md");
    let expected = millrace_rules::reference();
    if std::env::var_os("MILLRACE_WRITE_DOCS").is_some() {
        std::fs::write(&page, &expected).expect("docs/rules.md is writable");
    }
    let found = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(
        found == expected,
        "docs/rules.md is not what the catalogue says: MILLRACE_WRITE_DOCS=1 cargo test -p millrace-rules --test reference"
    );
}
