//! The rules that are shipped, as files of the language.

/// The files of the library: name and text. Each says at its top what the language cannot say.
pub const LIBRARY: [(&str, &str); 7] = [
    ("today.yml", crate::TODAY),
    ("velocity.yml", include_str!("../rules/velocity.yml")),
    ("amounts.yml", include_str!("../rules/amounts.yml")),
    ("laundering.yml", include_str!("../rules/laundering.yml")),
    ("novelty.yml", include_str!("../rules/novelty.yml")),
    ("merchants.yml", include_str!("../rules/merchants.yml")),
    ("lists.yml", include_str!("../rules/lists.yml")),
];
