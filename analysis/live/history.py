"""What the lake says of whole days: the newest result of each window, and alerts."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

import polars as pl

from millrace_lake import Lake, first_of_each, newest_of_each

MERCHANTS = 10
WINDOW = ("merchant_id", "currency", "window_start")


@dataclass(frozen=True)
class Days:
    """Some days of the lake, in one currency where it is about money."""

    hours: pl.DataFrame
    """`hour`, `purchases`, `refunds`: counts of all currencies."""
    merchants: pl.DataFrame
    """`merchant_id`, `purchase_count`, `purchase_sum`, `refund_sum` of the currency."""
    purchases: Decimal
    refunds: Decimal
    open_windows: int


def currencies(lake: Lake, since: dt.date, until: dt.date) -> list[str]:
    """Those of these days, the one with the most purchases first."""
    windows = newest_of_each(lake.scan("transaction_aggregates", since, until), WINDOW)
    counted = windows.group_by("currency").agg(pl.col("purchase_count").sum())
    return counted.sort("purchase_count", "currency", descending=[True, False]).collect()["currency"].to_list()


def days(lake: Lake, since: dt.date, until: dt.date, currency: str) -> Days:
    """These days, both included."""
    windows = newest_of_each(lake.scan("transaction_aggregates", since, until), WINDOW).collect()
    closed = windows.filter(pl.col("revision") == 0)
    hours = (
        closed.group_by(pl.col("window_start").dt.truncate("1h").alias("hour"))
        .agg(purchases=pl.col("purchase_count").sum(), refunds=pl.col("refund_count").sum())
        .sort("hour")
    )
    of_currency = closed.filter(pl.col("currency") == currency)
    merchants = (
        of_currency.group_by("merchant_id")
        .agg(pl.col("purchase_count", "purchase_sum", "refund_sum").sum())
        .sort("purchase_sum", "merchant_id", descending=[True, False])
        .head(MERCHANTS)
    )
    return Days(
        hours,
        merchants,
        _sum(of_currency["purchase_sum"]),
        _sum(of_currency["refund_sum"]),
        windows.height - closed.height,
    )


def fraud_by_hour(lake: Lake, since: dt.date, until: dt.date) -> pl.DataFrame:
    """`hour` of the day in UTC, `rule`, `alerts`; without a row where there is no alert."""
    if not lake.has("anomalies"):
        return pl.DataFrame(schema={"hour": pl.Int8, "rule": pl.String, "alerts": pl.UInt32})
    alerts = first_of_each(lake.scan("anomalies", since, until), ["id"])
    by = alerts.group_by(pl.col("event_time").dt.hour().alias("hour"), "rule").agg(alerts=pl.len())
    return by.sort("hour", "rule").collect()


def _sum(amounts: pl.Series) -> Decimal:
    # Of no row, polars' sum is an integer.
    return Decimal(amounts.sum() or 0)
