//! The cells of rows, as the bytes that wait to be written.

use crate::kind::Kind;

/// The cells of a row, in the order of its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cells(Vec<u8>);

impl Cells {
    /// None, with room for those of most rows.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(160))
    }

    /// Their bytes.
    #[must_use]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Puts a text.
    pub(crate) fn text(&mut self, text: &[u8]) {
        self.length(text.len());
        self.0.extend_from_slice(text);
    }

    /// Puts a time, an integer, or money in units of 1/10,000.
    pub(crate) fn long(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Puts a sum of money in units of 1/10,000.
    pub(crate) fn sum(&mut self, units: i128) {
        self.0.extend_from_slice(&units.to_le_bytes());
    }

    /// Puts a 32-bit integer.
    pub(crate) fn number(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Puts a double.
    pub(crate) fn double(&mut self, value: f64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Puts a flag.
    pub(crate) fn flag(&mut self, value: bool) {
        self.0.push(u8::from(value));
    }

    /// Puts a list: `put` puts its elements, and says how many they are.
    ///
    /// # Errors
    /// Those of `put`.
    pub(crate) fn list<E>(&mut self, put: impl FnOnce(&mut Self) -> Result<usize, E>) -> Result<(), E> {
        let at = self.0.len();
        self.length(0);
        let length = put(self)?;
        self.0[at..at + size_of::<u32>()].copy_from_slice(&short(length).to_le_bytes());
        Ok(())
    }

    /// Puts how many bytes of a text follow.
    fn length(&mut self, length: usize) {
        self.0.extend_from_slice(&short(length).to_le_bytes());
    }
}

/// A record is smaller by far.
fn short(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl Default for Cells {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes a row's cells in the order that they were put in, and those of its place after them.
#[derive(Debug)]
pub(crate) struct CellReader<'a> {
    cells: &'a [u8],
    place: &'a [u8],
}

impl<'a> CellReader<'a> {
    pub(crate) fn new(cells: &'a [u8], place: &'a [u8]) -> Self {
        Self { cells, place }
    }

    fn take<const N: usize>(&mut self) -> anyhow::Result<[u8; N]> {
        if self.cells.is_empty() {
            self.cells = std::mem::take(&mut self.place);
        }
        let Some((cell, rest)) = self.cells.split_first_chunk::<N>() else {
            anyhow::bail!("a row has too few cells");
        };
        self.cells = rest;
        Ok(*cell)
    }

    pub(crate) fn text(&mut self) -> anyhow::Result<&'a [u8]> {
        let length = self.length()?;
        let Some((text, rest)) = self.cells.split_at_checked(length) else {
            anyhow::bail!("a row has too few cells");
        };
        self.cells = rest;
        Ok(text)
    }

    pub(crate) fn length(&mut self) -> anyhow::Result<usize> {
        Ok(u32::from_le_bytes(self.take()?) as usize)
    }

    pub(crate) fn long(&mut self) -> anyhow::Result<i64> {
        Ok(i64::from_le_bytes(self.take()?))
    }

    pub(crate) fn sum(&mut self) -> anyhow::Result<i128> {
        Ok(i128::from_le_bytes(self.take()?))
    }

    pub(crate) fn number(&mut self) -> anyhow::Result<i32> {
        Ok(i32::from_le_bytes(self.take()?))
    }

    pub(crate) fn double(&mut self) -> anyhow::Result<f64> {
        Ok(f64::from_le_bytes(self.take()?))
    }

    /// Takes the cell of a column; its value where that is money, else 0.
    pub(crate) fn money(&mut self, kind: &Kind) -> anyhow::Result<i128> {
        match kind {
            Kind::Money(_) => return Ok(self.long()?.into()),
            Kind::Sum => return self.sum(),
            Kind::Maybe(inner) => {
                if self.flag()? {
                    return self.money(inner);
                }
            }
            Kind::Id | Kind::Text | Kind::Symbol(_) => {
                self.text()?;
            }
            Kind::Time | Kind::Count | Kind::Rising => {
                self.long()?;
            }
            Kind::Number => {
                self.number()?;
            }
            Kind::Double => {
                self.double()?;
            }
            Kind::Flag => {
                self.flag()?;
            }
            Kind::List(inner) => {
                for _ in 0..self.length()? {
                    self.money(inner)?;
                }
            }
            Kind::Map(inner) => {
                for _ in 0..self.length()? {
                    self.text()?;
                    self.money(inner)?;
                }
            }
            Kind::Record(columns) => {
                for column in columns {
                    self.money(&column.kind)?;
                }
            }
        }
        Ok(0)
    }

    pub(crate) fn flag(&mut self) -> anyhow::Result<bool> {
        Ok(self.take::<1>()? == [1])
    }
}
