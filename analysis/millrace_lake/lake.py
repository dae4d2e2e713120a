"""A lake in a folder: which tables and days it has, and their rows."""

import datetime as dt
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import polars as pl

VARIABLE = "MILLRACE__LAKE_SINK__URL"
DEFAULT = ".millrace/lake"
_REPOSITORY = Path(__file__).parents[2]


class LakeError(Exception):
    """What is missing, and what to do about it."""


@dataclass(frozen=True)
class Files:
    """How much of a table there is."""

    files: int
    size_bytes: int
    first_day: dt.date
    last_day: dt.date


@dataclass(frozen=True)
class Lake:
    """A folder that lake-sink writes to: `TABLE/dt=YYYY-MM-DD/*.parquet`."""

    folder: Path

    @classmethod
    def configured(cls) -> Self:
        """The one of `lake_sink.url`: of the variable where it is set, else the default.

        A relative path is one of the repository, where `millrace up` is started.
        """
        url = os.environ.get(VARIABLE) or DEFAULT
        if "://" in url:
            raise LakeError(
                f"`{VARIABLE}` is `{url}`, and this reads folders: mount the bucket, or copy the days that you want "
                "to a folder, and name that."
            )
        return cls(_REPOSITORY / url)

    def paths(self, table: str) -> list[Path]:
        """The table's files, by day, partition and offset."""
        return sorted((self.folder / table).glob("dt=*/*.parquet"))

    def has(self, table: str) -> bool:
        """Whether there is a row of it."""
        return next((self.folder / table).glob("dt=*/*.parquet"), None) is not None

    def days(self, table: str) -> list[dt.date]:
        """The days that it has rows of, the first one first."""
        names = {path.parent.name.removeprefix("dt=") for path in self.paths(table)}
        return sorted(dt.date.fromisoformat(name) for name in names)

    def files(self, table: str) -> Files | None:
        """How much of it there is."""
        paths = self.paths(table)
        if not paths:
            return None
        days = self.days(table)
        return Files(len(paths), sum(path.stat().st_size for path in paths), days[0], days[-1])

    def scan(self, table: str, since: dt.date | None = None, until: dt.date | None = None) -> pl.LazyFrame:
        """Its rows of these days, both included, with the day as `dt`; nothing is read before `collect`.

        `millrace lake compact` beside a query may remove a file that was listed: that is an error
        of the query, and no wrong result, and it is to be run again.
        """
        if not self.has(table):
            raise LakeError(f"there is no file of {table} in {self.folder}")
        rows = pl.scan_parquet(self.folder / table / "dt=*/*.parquet", hive_schema={"dt": pl.Date})
        if since is not None:
            rows = rows.filter(pl.col("dt") >= since)
        if until is not None:
            rows = rows.filter(pl.col("dt") <= until)
        return rows
