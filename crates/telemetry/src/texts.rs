//! How many texts of long ids the process keeps.

use millrace_domain::texts;
use prometheus::IntGauge;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use crate::metrics::{MetricError, refused};

/// What is read anew each time the metrics are.
struct Texts {
    count: IntGauge,
    bytes: IntGauge,
}

/// Registers them.
pub(crate) fn register() -> Result<(), MetricError> {
    let name = "millrace_id_texts";
    let texts = Texts::new().map_err(refused(name))?;
    prometheus::register(Box::new(texts)).map_err(refused(name))
}

impl Texts {
    fn new() -> prometheus::Result<Self> {
        Ok(Self {
            count: IntGauge::new(
                "millrace_id_texts",
                "Texts that are kept of ids of more than 12 bytes: those that a window or a record in flight has, and up to as many that are about to go.",
            )?,
            bytes: IntGauge::new(
                "millrace_id_text_bytes",
                "Bytes of the texts in millrace_id_texts.",
            )?,
        })
    }
}

impl Collector for Texts {
    fn desc(&self) -> Vec<&Desc> {
        [&self.count, &self.bytes]
            .into_iter()
            .flat_map(Collector::desc)
            .collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let set = |gauge: &IntGauge, value: usize| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.collect()
        };
        let mut families = set(&self.count, texts::count());
        families.extend(set(&self.bytes, texts::bytes()));
        families
    }
}

#[cfg(test)]
mod tests {
    use millrace_domain::ShortId;

    use super::*;

    #[test]
    fn a_long_id_is_counted_with_its_bytes() {
        let texts = Texts::new().unwrap();
        let look = || {
            texts.collect();
            (texts.count.get(), texts.bytes.get())
        };
        let before = look();
        ShortId::new("short", "id").unwrap();
        assert_eq!(look(), before);
        let id = "a user of thirty-four bytes of text";
        for _ in 0..2 {
            ShortId::new(id, "id").unwrap();
        }
        assert_eq!(look(), (before.0 + 1, before.1 + id.len() as i64));
    }
}
