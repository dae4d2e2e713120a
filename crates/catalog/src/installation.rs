//! What is there of the table: what the settings ask for.

use crate::{Pipeline, Service};

/// What is installed, of all that there could be: whether transactions are rekeyed, and which of
/// the services run that do so only where their section says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Installation {
    rekeys: bool,
    enabled: u32,
}

impl Installation {
    /// Everything that there can be.
    pub const ALL: Self = Self {
        rekeys: true,
        enabled: u32::MAX,
    };

    /// With transactions that are rekeyed before the other jobs read them, or without.
    #[must_use]
    pub const fn rekeying(self, rekeys: bool) -> Self {
        Self { rekeys, ..self }
    }

    /// With a service enabled by its section, or without.
    #[must_use]
    pub const fn with(self, service: Service, is_enabled: bool) -> Self {
        let bit = 1 << service as u32;
        let enabled = match is_enabled {
            true => self.enabled | bit,
            false => self.enabled & !bit,
        };
        Self { enabled, ..self }
    }

    /// Whether transactions are rekeyed.
    #[must_use]
    pub const fn rekeys(self) -> bool {
        self.rekeys
    }

    /// Whether a service is enabled by its section.
    #[must_use]
    pub const fn enables(self, service: Service) -> bool {
        self.enabled & (1 << service as u32) != 0
    }

    /// Whether a pipeline is there.
    #[must_use]
    pub fn has(self, pipeline: &Pipeline) -> bool {
        pipeline.enabled_by.is_none_or(|service| self.enables(service))
    }
}
