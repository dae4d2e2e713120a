//! `docs/rules.md`, written from the catalogue.

use std::fmt::Write as _;

use crate::catalogue::{Entity, FEATURES, FIELDS, FUNCTIONS, WINDOWS, WindowNeed};

const INTRODUCTION: &str = include_str!("reference/introduction.md");
const BOUNDS: &str = include_str!("reference/bounds.md");

/// The reference of the language, in Markdown: `docs/rules.md` is this text.
#[must_use]
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    // Writing to memory does not fail.
    let _ = fields(&mut page);
    let _ = features(&mut page);
    let _ = functions(&mut page);
    page += BOUNDS;
    page
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
