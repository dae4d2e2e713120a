//! What each document of a request is written to.

use std::collections::BTreeMap;

use super::Writer;
use super::progress::Placed;
use crate::bulk::encode::Target;
use crate::conflict::Repeat;
use crate::document::Document;
use crate::indices::{Home, NoPlace, Place};
use crate::stream::IndexKey;

/// The places of a request's documents.
#[derive(Debug, Default)]
pub(super) struct Targets<'a> {
    places: Vec<(IndexKey, Place)>,
    /// Of documents that are there already behind an alias of several indices.
    homes: BTreeMap<IndexKey, BTreeMap<&'a str, Home>>,
}

impl Writer {
    /// The places of a request's documents; or the first index that has none.
    pub(super) async fn targets<'a>(&self, group: &[Placed<'a>]) -> Result<Targets<'a>, (IndexKey, NoPlace)> {
        let mut targets = Targets::default();
        for &(_, document) in group {
            let key = document.key();
            if targets.place(key).is_some() {
                continue;
            }
            let place = self.indices.place(key).await.map_err(|none| (key, none))?;
            targets.places.push((key, place));
            if place == Place::ForeignAlias {
                let documents = group.iter().map(|&(_, document)| document);
                let of_it: Vec<_> = documents.filter(|document| document.key() == key).collect();
                let homes = self.indices.homes(key, &of_it).await;
                targets.homes.insert(key, homes.map_err(|none| (key, none))?);
            }
        }
        Ok(targets)
    }
}

impl<'a> Targets<'a> {
    fn place(&self, key: IndexKey) -> Option<Place> {
        let known = self.places.iter().rev().find(|(known, _)| *known == key);
        known.map(|(_, place)| *place)
    }

    fn home(&self, document: &Document) -> Option<&Home> {
        self.homes.get(&document.key())?.get(&*document.id)
    }

    /// What a document is written to.
    pub(super) fn of(&self, document: &Document) -> Target<'_> {
        match self.home(document) {
            Some(home) => Target::Index(&home.index),
            None => Target::Alias(self.place(document.key()).map_or("", Place::suffix)),
        }
    }

    /// Takes those out that are there already in this version or a higher one, which need not be
    /// sent: their index may take no more writes.
    pub(super) fn take_repeats(&self, group: &mut Vec<Placed<'a>>) -> Vec<Repeat<'a>> {
        let mut repeats = Vec::new();
        group.retain(|&(_, document)| {
            let home = self.home(document);
            let Some(home) = home.filter(|home| home.version >= document.version) else {
                return true;
            };
            repeats.push(Repeat {
                document,
                index: Some(home.index.to_string()),
            });
            false
        });
        repeats
    }
}
