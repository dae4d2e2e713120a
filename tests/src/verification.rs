//! What `millrace verify` says.

use anyhow::{Context as _, Result, ensure};

use crate::TestContext;
use crate::pipeline::LIMIT;
use crate::service::Service;

/// What `verify --json` says.
#[derive(Debug)]
pub struct Report(pub serde_json::Value);

impl Report {
    /// Runs `millrace ARGUMENTS…`, which must end with the exit code `code`.
    ///
    /// # Errors
    /// It ends otherwise, or prints no report.
    pub async fn of(context: &TestContext, arguments: &[&str], code: i32) -> Result<Self> {
        let mut service = Service::start(context, "verify-json", arguments)?;
        let (found, output) = service.end(LIMIT).await?;
        ensure!(
            found == Some(code),
            "verify ended with {found:?}, not {code}:\n{output}"
        );
        // Its progress, and what another said before, are in the same file.
        let last = output.rfind("\n{\n").map_or(0, |at| at + 1);
        let mut reports = serde_json::Deserializer::from_str(&output[last..]).into_iter();
        let report = reports.next().with_context(|| output.clone())?;
        Ok(Self(report.with_context(|| output.clone())?))
    }

    fn rows(&self) -> impl Iterator<Item = &serde_json::Value> {
        self.0["checks"].as_array().into_iter().flatten()
    }

    fn cell(&self, row: &str, column: &str) -> Result<&str> {
        let found = self.rows().find(|check| check["check"] == row);
        let cell = found.and_then(|check| check[column].as_str());
        cell.ok_or_else(|| anyhow::anyhow!("there is no row {row:?}: {self:?}"))
    }

    /// What was found, by the row's name.
    ///
    /// # Errors
    /// There is no such row.
    pub fn row(&self, row: &str) -> Result<&str> {
        self.cell(row, "actual")
    }

    /// What was found, as a number, by the row's name.
    ///
    /// # Errors
    /// There is no such row, or it has no number.
    pub fn count(&self, row: &str) -> Result<u64> {
        let found = self.row(row)?;
        found.parse().with_context(|| format!("{row}: {found}"))
    }

    /// What was wanted, by the row's name.
    ///
    /// # Errors
    /// There is no such row.
    pub fn expected(&self, row: &str) -> Result<&str> {
        self.cell(row, "expected")
    }

    /// Names of the rows that have failed.
    #[must_use]
    pub fn failed(&self) -> Vec<&str> {
        let failed = self.rows().filter(|check| check["verdict"] == "failed");
        failed.filter_map(|check| check["check"].as_str()).collect()
    }
}

/// The report of a verification that must end with this exit code.
///
/// # Errors
/// It ends otherwise, or prints no report.
pub async fn verified(context: &TestContext, code: i32) -> Result<Report> {
    let report = Report::of(context, &["verify", "--json", "--timeout", "120s"], code).await?;
    ensure!(report.0["passed"] == (code == 0), "{report:?}");
    Ok(report)
}
