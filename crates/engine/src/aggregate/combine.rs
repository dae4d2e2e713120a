//! From what stage 1 sends to the records of the partials topic.

use std::mem::discriminant;

use millrace_domain::{Contribution, Partial, PartialContent};

use super::PartialOutput;

/// The most contributions in a record: some 6 KiB. A merchant with more currencies in a window has
/// several records.
const MOST_CONTRIBUTIONS: usize = 64;

/// The records that tell a source partition's outputs, in their order. What it has of one
/// merchant's window, in every currency, comes out one after the other and makes one record: for
/// the client and the brokers each record costs many times what its contributions do.
pub fn partials(source_partition: i32, outputs: &[PartialOutput]) -> impl Iterator<Item = Partial> + use<'_> {
    outputs
        .chunk_by(PartialOutput::goes_with)
        .flat_map(|run| run.chunks(MOST_CONTRIBUTIONS))
        .filter_map(move |run| {
            let first = run.first()?;
            Some(Partial {
                source_partition,
                watermark_ms: first.watermark_ms(),
                complete_ms: first.complete_ms(),
                content: content(first, run),
            })
        })
}

impl PartialOutput {
    /// Whether the next one is told in the same record.
    fn goes_with(&self, next: &Self) -> bool {
        let is_of_same_window = self
            .contribution()
            .zip(next.contribution())
            .is_some_and(|(one, next)| one.is_of_same_window(next));
        is_of_same_window
            && discriminant(self) == discriminant(next)
            && self.watermark_ms() == next.watermark_ms()
    }

    fn watermark_ms(&self) -> i64 {
        let (Self::Contribution { watermark_ms, .. }
        | Self::Early { watermark_ms, .. }
        | Self::Watermark { watermark_ms, .. }) = *self;
        watermark_ms
    }

    fn complete_ms(&self) -> Option<i64> {
        match *self {
            Self::Watermark { complete_ms, .. } => Some(complete_ms),
            Self::Contribution { .. } | Self::Early { .. } => None,
        }
    }

    fn contribution(&self) -> Option<&Contribution> {
        match self {
            Self::Contribution { contribution, .. } | Self::Early { contribution, .. } => Some(contribution),
            Self::Watermark { .. } => None,
        }
    }
}

/// What outputs of the first one's kind tell together.
fn content(first: &PartialOutput, run: &[PartialOutput]) -> PartialContent {
    let contributions = || {
        run.iter()
            .filter_map(PartialOutput::contribution)
            .copied()
            .collect()
    };
    match first {
        PartialOutput::Contribution { .. } => PartialContent::Final(contributions()),
        PartialOutput::Early { .. } => PartialContent::Early(contributions()),
        PartialOutput::Watermark { .. } => PartialContent::Watermark,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_domain::{Amount, Currency, ShortId, Totals, TransactionType};

    fn contribution(merchant: &str, currency: &str, window_start_ms: i64) -> Contribution {
        Contribution {
            merchant_id: ShortId::new(merchant, "merchantId").unwrap(),
            currency: Currency::parse(currency.as_bytes()).unwrap(),
            window_start_ms,
            window_end_ms: window_start_ms + 1_000,
            totals: Totals::of(TransactionType::Purchase, Amount::from_units(100).unwrap()),
            distinct_users: 1,
        }
    }

    #[test]
    fn the_currencies_of_a_merchants_window_are_one_record() {
        let of_final = |merchant, currency, window_ms| PartialOutput::Contribution {
            watermark_ms: 5,
            contribution: contribution(merchant, currency, window_ms),
        };
        let of_early = |merchant, currency, window_ms| PartialOutput::Early {
            watermark_ms: 9,
            contribution: contribution(merchant, currency, window_ms),
        };
        let outputs = [
            of_final("m-1", "EUR", 0),
            of_final("m-1", "USD", 0),
            of_final("m-2", "EUR", 0),
            of_final("m-2", "EUR", 1_000),
            of_early("m-2", "EUR", 1_000),
            of_early("m-2", "USD", 1_000),
            PartialOutput::Watermark {
                watermark_ms: 9,
                complete_ms: 8,
            },
        ];
        let found: Vec<_> = partials(3, &outputs)
            .map(|partial| {
                assert_eq!(partial.source_partition, 3);
                assert_eq!(
                    partial.complete_ms.is_some(),
                    partial.content == PartialContent::Watermark
                );
                (partial.watermark_ms, partial.content)
            })
            .collect();
        let both = |window_ms| {
            vec![
                contribution("m-1", "EUR", window_ms),
                contribution("m-1", "USD", window_ms),
            ]
        };
        assert_eq!(
            found,
            [
                (5, PartialContent::Final(both(0))),
                (5, PartialContent::Final(vec![contribution("m-2", "EUR", 0)])),
                (5, PartialContent::Final(vec![contribution("m-2", "EUR", 1_000)])),
                (
                    9,
                    PartialContent::Early(vec![
                        contribution("m-2", "EUR", 1_000),
                        contribution("m-2", "USD", 1_000)
                    ])
                ),
                (9, PartialContent::Watermark),
            ]
        );
    }

    #[test]
    fn a_record_has_a_bound() {
        let letters = b'A'..=b'Z';
        let outputs: Vec<_> = letters
            .clone()
            .flat_map(|a| {
                letters
                    .clone()
                    .map(move |b| format!("X{}{}", char::from(a), char::from(b)))
            })
            .map(|currency| PartialOutput::Contribution {
                watermark_ms: 5,
                contribution: contribution("m-1", &currency, 0),
            })
            .collect();
        let records: Vec<_> = partials(0, &outputs).collect();
        let told: Vec<_> = records
            .iter()
            .flat_map(|record| record.content.contributions())
            .collect();
        assert_eq!(told.len(), outputs.len());
        let longest = records
            .iter()
            .map(|record| record.content.contributions().len())
            .max();
        assert_eq!(longest, Some(MOST_CONTRIBUTIONS));
    }
}
