"""The notebook runs from its first cell to its last, over every kind of lake."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import sample_lake
from millrace_lake import TABLES
from sample_lake import BEYOND_FLOAT, transactions
from sample_streams import REACHED

NOTEBOOK = Path(__file__).parents[1] / "notebook" / "lake.ipynb"


@pytest.fixture
def execute(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the notebook over a lake."""
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    # Streamlit sets one that shows no picture.
    monkeypatch.delenv("MPLBACKEND", raising=False)

    def run(lake: Path) -> Any:
        monkeypatch.setenv("MILLRACE__LAKE_SINK__URL", str(lake))
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        # A cell that fails raises, and says which and why.
        NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
        return notebook

    return run


def texts(notebook: Any) -> str:
    """All that it prints and shows, without pictures."""
    return "\n".join(_texts(notebook))


def _texts(notebook: Any) -> Iterator[str]:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                yield output.text
            elif "image/png" not in output.data:
                yield output.data["text/plain"]


def pictures(notebook: Any) -> int:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def test_what_it_says_of_the_sample_is_what_the_sample_is(execute: Any, sample: Path) -> None:
    notebook = execute(sample)
    said = texts(notebook)
    once = {row["transaction_id"]: row for row in reversed(transactions())}
    assert f"{len(once):,} transactions" in said
    assert "2 more rows are copies" in said
    for currency in ("EUR", "USD"):
        for kind in ("purchase", "refund"):
            of = [r for r in once.values() if (r["currency"], r["transaction_type"]) == (currency, kind)]
            assert f"{sum(row['amount'] for row in of):,.4f}" in said, (currency, kind)
    assert f"{BEYOND_FLOAT:,.4f}" in said
    assert "601 windows, of which 1 are still open" in said
    assert f"{len(REACHED)} sessions, which paid 39.98" in said
    assert pictures(notebook) == 5


def test_what_is_kept_with_it_is_what_it_says_of_the_sample(execute: Any, sample: Path) -> None:
    kept = nbformat.read(NOTEBOOK, as_version=4)
    assert texts(kept) == texts(execute(sample)), "run analysis/execute, and keep what it makes"
    assert pictures(kept) == 5


def test_of_an_empty_lake_it_says_what_to_start(execute: Any, tmp_path: Path) -> None:
    notebook = execute(tmp_path)
    said = texts(notebook)
    for table in TABLES.values():
        assert table.how_to_start() in said
    assert pictures(notebook) == 0


def test_without_the_other_streams_payments_are_there(execute: Any, tmp_path: Path) -> None:
    sample_lake.write(tmp_path, ["transactions", "transaction_aggregates", "anomalies"])
    notebook = execute(tmp_path)
    said = texts(notebook)
    assert TABLES["funnels"].how_to_start() in said
    assert TABLES["device_minutes"].how_to_start() in said
    assert "601 transactions" in said
    assert pictures(notebook) == 3
