//! The rules that are shipped, as files of the language.

use crate::file::{Rule, parse_rules};
use crate::problem::Problem;

/// The files of the library: name and text. Each says at its top what the language cannot say.
pub const LIBRARY: [(&str, &str); 6] = [
    ("today.yml", crate::TODAY),
    ("velocity.yml", include_str!("../rules/velocity.yml")),
    ("amounts.yml", include_str!("../rules/amounts.yml")),
    ("laundering.yml", include_str!("../rules/laundering.yml")),
    ("novelty.yml", include_str!("../rules/novelty.yml")),
    ("merchants.yml", include_str!("../rules/merchants.yml")),
];

/// The rules of [`LIBRARY`].
///
/// # Errors
/// The problems of a file that is wrong; a test holds that there is none.
pub fn library() -> Result<Vec<Rule>, Vec<Problem>> {
    let mut rules = Vec::new();
    for (_, text) in LIBRARY {
        rules.extend(parse_rules(text)?);
    }
    Ok(rules)
}
