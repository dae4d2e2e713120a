//! Which transactions of files are fraud, as a column of them says.

use std::collections::HashMap;

use anyhow::{Context, bail};
use millrace_domain::TransactionId;
use millrace_producer::replay::{truth_value, visit};

use crate::detect::Input;

/// The most kinds of fraud: more are no kinds, but values of something else.
const MAX_SCENARIOS: usize = 100;

/// A transaction's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) is_fraud: bool,
    /// Its place in [`Labels::scenarios`].
    pub(super) scenario: u16,
}

/// The labels of all transactions, in memory: some 40 bytes for each.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    /// The kinds of fraud, as the files write them, in the order in which they come.
    pub(super) scenarios: Vec<String>,
    by_id: HashMap<TransactionId, Label>,
}

impl Labels {
    /// Reads the files once for their labels. Of copies of a transaction, the first counts.
    ///
    /// # Errors
    /// A file cannot be read, has no such column, or has a value there that says neither yes nor
    /// no; the mapping reads the column; or there are too many kinds of fraud.
    pub(crate) fn read(input: &Input, label: &str, scenario: Option<&str>) -> anyhow::Result<Self> {
        let columns: Vec<String> = [Some(label), scenario]
            .into_iter()
            .flatten()
            .map(str::to_owned)
            .collect();
        let mut labels = Self::default();
        visit(
            &input.files,
            input.file_format,
            &input.mapping,
            &columns,
            |transaction, cells| {
                let text = cells[0].to_string();
                let Some(is_fraud) = truth_value(text.trim()) else {
                    bail!(
                        "transaction {}: {label} is {text:?}, where 1 or 0, true or false, yes or no is expected",
                        transaction.transaction_id
                    );
                };
                let scenario = match cells.get(1) {
                    Some(cell) if is_fraud => labels.scenario(&cell.to_string())?,
                    _ => 0,
                };
                labels
                    .by_id
                    .entry(transaction.transaction_id)
                    .or_insert(Label { is_fraud, scenario });
                Ok(())
            },
        )?;
        Ok(labels)
    }

    fn scenario(&mut self, name: &str) -> anyhow::Result<u16> {
        let known = self.scenarios.iter().position(|known| known == name);
        let at = known.unwrap_or_else(|| {
            self.scenarios.push(name.to_owned());
            self.scenarios.len() - 1
        });
        if self.scenarios.len() > MAX_SCENARIOS {
            bail!("the column of kinds of fraud has more than {MAX_SCENARIOS} values: is it another one?");
        }
        Ok(u16::try_from(at)?)
    }

    /// The label of a transaction.
    ///
    /// # Errors
    /// It has none.
    pub(crate) fn of(&self, id: &TransactionId) -> anyhow::Result<Label> {
        let label = self.by_id.get(id).copied();
        label.with_context(|| format!("transaction {id} has no label"))
    }
}
