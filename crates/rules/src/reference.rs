//! `docs/rules.md`, written from the catalogue.

use std::fmt::Write as _;

use crate::LIBRARY;
use crate::catalogue::{Entity, FEATURES, FIELDS, FUNCTIONS, WINDOWS, WindowNeed};
use crate::file::parse_rules;

const INTRODUCTION: &str = include_str!("reference/introduction.md");
const BOUNDS: &str = include_str!("reference/bounds.md");
const LIBRARY_INTRODUCTION: &str = include_str!("reference/library.md");

/// The reference of the language, in Markdown: `docs/rules.md` is this text.
#[must_use]
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    // Writing to memory does not fail.
    let _ = fields(&mut page);
    let _ = features(&mut page);
    let _ = functions(&mut page);
    page += BOUNDS;
    let _ = shipped(&mut page);
    page
}

/// The rules of the library, by file.
fn shipped(page: &mut String) -> std::fmt::Result {
    page.push_str(LIBRARY_INTRODUCTION);
    writeln!(
        page,
        "\n| file | rule | severity | fires for | source |\n|---|---|---|---|---|"
    )?;
    for (name, text) in LIBRARY {
        for rule in parse_rules(text).unwrap_or_default() {
            writeln!(
                page,
                "| [{name}](../crates/rules/rules/{name}) | `{}` | {} | {} | {} |",
                rule.name(),
                rule.severity().as_str(),
                rule.reason(),
                rule.source().unwrap_or_default()
            )?;
        }
    }
    Ok(())
}

fn fields(page: &mut String) -> std::fmt::Result {
    writeln!(page, "\n## Fields\n\n| field | is | meaning |\n|---|---|---|")?;
    for field in &FIELDS {
        writeln!(page, "| `{}` | {} | {} |", field.name, field.ty, field.about)?;
    }
    Ok(())
}

fn features(page: &mut String) -> std::fmt::Result {
    writeln!(page, "\n## Features\n")?;
    let windows = WINDOWS.map(|(name, _)| format!("`{name}`")).join(", ");
    writeln!(page, "Windows are {windows}.")?;
    writeln!(page, "Entities are:\n\n| entity | computed |\n|---|---|")?;
    for entity in Entity::ALL {
        let place = if entity.is_with_user() {
            "where the user's transactions are"
        } else {
            "where the entity's transactions are: its features come to the user's as events"
        };
        writeln!(page, "| `.by({})` | {place} |", entity.names())?;
    }
    writeln!(
        page,
        "\n| feature | window | gives | exactness |\n|---|---|---|---|"
    )?;
    for feature in &FEATURES {
        let window = match feature.window {
            WindowNeed::Needed => "yes",
            WindowNeed::Optional => "may have one",
            WindowNeed::None => "no",
        };
        writeln!(
            page,
            "| `{}` | {window} | {} | {} |",
            feature.usage, feature.about, feature.exactness
        )?;
    }
    Ok(())
}

fn functions(page: &mut String) -> std::fmt::Result {
    writeln!(page, "\n## Functions\n\n| function | gives |\n|---|---|")?;
    for function in &FUNCTIONS {
        writeln!(page, "| `{}` | {} |", function.usage, function.about)?;
    }
    Ok(())
}
