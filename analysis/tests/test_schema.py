"""The sample's columns are the sink's, by the schemas that the sink's own tests hold it to."""

import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from millrace_lake import TABLES
from sample_lake import PLACE, SCHEMAS
from sample_streams import STREAMS

FILE = Path(__file__).parents[2] / "crates" / "lake-sink" / "src" / "tables" / "tests" / "schemas.txt"
TYPES: dict[str, Any] = {
    "BYTE_ARRAY (STRING)": pl.String(),
    "INT64 (DECIMAL(18,4))": pl.Decimal(18, 4),
    "FIXED_LEN_BYTE_ARRAY(16) (DECIMAL(38,4))": pl.Decimal(38, 4),
    "INT64 (TIMESTAMP(MILLIS,true))": pl.Datetime("ms", "UTC"),
    "INT64": pl.Int64(),
    "INT32": pl.Int32(),
    "DOUBLE": pl.Float64(),
    "BOOLEAN": pl.Boolean(),
}
GROUPS: dict[str, Any] = {
    "(LIST) { REPEATED GROUP list { REQUIRED BYTE_ARRAY element (STRING); } }": pl.List(pl.String),
    "(MAP) { REPEATED GROUP key_value { REQUIRED BYTE_ARRAY key (STRING); REQUIRED DOUBLE value; } }": pl.Map(
        pl.String, pl.Float64
    ),
}


def columns(table: str) -> dict[str, Any]:
    """Of a table in the file, as polars reads them."""
    found = re.search(rf"^message {table} {{\n(.*?)^}}$", FILE.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"the sink has no table {table}"
    return dict(_column(line.strip()) for line in found[1].splitlines())


def _column(line: str) -> tuple[str, Any]:
    if group := re.fullmatch(r"REQUIRED GROUP (\w+) (.*)", line):
        return group[1], GROUPS[group[2]]
    plain = re.fullmatch(r"(?:REQUIRED|OPTIONAL) (\S+) (\w+)( \(.*\))?;", line)
    assert plain, line
    return plain[2], TYPES[plain[1] + (plain[3] or "")]


@pytest.mark.parametrize("table", TABLES)
def test_columns_are_those_of_the_sink(table: str) -> None:
    schema = SCHEMAS[table] if table in SCHEMAS else STREAMS[table][0]
    sample = {name: of if isinstance(of, pl.DataType) else of() for name, of in (schema | PLACE).items()}
    assert sample == columns(table)
    assert list(sample) == list(columns(table))


def test_every_table_that_is_read_is_in_the_sample() -> None:
    assert set(TABLES) == set(SCHEMAS) | set(STREAMS)
