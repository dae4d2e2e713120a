"""Which of several rows of one thing counts."""

from collections.abc import Sequence

import polars as pl

PLACE = ("kafka_partition", "kafka_offset")


def newest_of_each(rows: pl.LazyFrame, identity: Sequence[str], version: str = "revision") -> pl.LazyFrame:
    """Of each identity the row of the highest version; of the same version, the last in the log.

    A window has an early result for each interval of `aggregator.emit`, with a negative revision
    that rises, and one final result, of revision 0: adding all rows up counts a window many times.
    """
    return rows.sort(version, "kafka_offset").unique(subset=identity, keep="last")


def first_of_each(rows: pl.LazyFrame, identity: Sequence[str]) -> pl.LazyFrame:
    """Of each identity the first row in the log, as the aggregator and the sinks take it.

    The lake is what the topic is: a record that a producer sent twice is two rows.
    """
    return rows.sort(*PLACE).unique(subset=identity, keep="first")
