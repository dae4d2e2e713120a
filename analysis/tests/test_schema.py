"""The sample's columns are the sink's."""

import os
from pathlib import Path

import polars as pl
import pytest

from millrace_lake import TABLES
from sample_lake import PLACE, SCHEMAS
from sample_streams import STREAMS

VARIABLE = "MILLRACE_LAKE_TABLES"
HOW = f"{VARIABLE} names no folder: `cargo run -p millrace-lake-sink --example tables -- FOLDER` writes it"


@pytest.mark.skipif(VARIABLE not in os.environ, reason=HOW)
@pytest.mark.parametrize("table", TABLES)
def test_columns_are_those_of_the_sink(table: str) -> None:
    written = pl.read_parquet_schema(Path(os.environ[VARIABLE]) / f"{table}.parquet")
    schema = SCHEMAS[table] if table in SCHEMAS else STREAMS[table][0]
    assert dict(written) == {name: _type(of) for name, of in (schema | PLACE).items()}


def _type(of: pl.DataType | type[pl.DataType]) -> pl.DataType:
    return of if isinstance(of, pl.DataType) else of()


def test_every_table_that_is_read_is_in_the_sample() -> None:
    assert set(TABLES) == set(SCHEMAS) | set(STREAMS)
