"""A small lake in the sink's layout, the same at every call, with all that a reader may trip over.

Of transactions: one that was sent twice, one that was sent again with another amount, one that came
a day late, and an amount that no float holds. Of aggregates: early results of each window, and a
window that is still open. `test_schema.py` holds its columns equal to those of the sink.
"""

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

from sample_streams import STREAMS

Row = dict[str, Any]

START = dt.datetime(2026, 1, 30, 22, tzinfo=dt.UTC)
COUNT = 600
"""Transactions beside those that are sent again or late: one each 20 s, through midnight."""
BEYOND_FLOAT = Decimal("12345678901234.5678")
"""A double has 15 to 17 digits; this has 18."""

MONEY = pl.Decimal(18, 4)
SUM = pl.Decimal(38, 4)
TIME = pl.Datetime("ms", "UTC")
PLACE: dict[str, pl.DataType] = {"kafka_partition": pl.Int32(), "kafka_offset": pl.Int64()}

SCHEMAS: dict[str, dict[str, Any]] = {
    "transactions": {
        "transaction_id": pl.String,
        "user_id": pl.String,
        "amount": MONEY,
        "transaction_time": TIME,
        "merchant_id": pl.String,
        "transaction_type": pl.String,
        "location": pl.String,
        "payment_method": pl.String,
        "is_international": pl.Boolean,
        "currency": pl.String,
    },
    "transaction_aggregates": {
        "merchant_id": pl.String,
        "currency": pl.String,
        "window_start": TIME,
        "window_end": TIME,
        "purchase_count": pl.Int64,
        "purchase_sum": SUM,
        "refund_count": pl.Int64,
        "refund_sum": SUM,
        "min_amount": MONEY,
        "max_amount": MONEY,
        "distinct_users": pl.Int64,
        "revision": pl.Int32,
    },
    "anomalies": {
        "id": pl.String,
        "rule": pl.String,
        "entity_type": pl.String,
        "entity": pl.String,
        "severity": pl.String,
        "score": pl.Float64,
        "transaction_ids": pl.List(pl.String),
        "figures": pl.Map(pl.String, pl.Float64),
        "event_time": TIME,
        "detection_time": TIME,
        "rule_set_version": pl.String,
        "rule_revision": pl.String,
        "reason": pl.String,
        "reason_codes": pl.List(pl.String),
    },
}


def transactions() -> list[Row]:
    """In the order of the log, those that are doubled or late at its end."""
    rows = [_transaction(number) for number in range(COUNT)]
    again = {**rows[11], "amount": rows[11]["amount"] + 1}
    late = {**_transaction(COUNT), "transaction_time": START + dt.timedelta(minutes=1)}
    return [*rows, dict(rows[10]), again, late]


def _transaction(number: int) -> Row:
    amount = Decimal(number * 7_919 % 1_000_000 + 100) / 10_000
    return {
        "transaction_id": f"00000000-0000-4000-8000-{number:012}",
        "user_id": f"user-{number % 53}",
        "amount": BEYOND_FLOAT if number == 303 else amount,
        "transaction_time": START + dt.timedelta(seconds=20 * number),
        "merchant_id": f"shop-{number % 7}",
        "transaction_type": "refund" if number % 20 == 19 else "purchase",
        "location": "Oslo",
        "payment_method": "credit_card",
        "is_international": False,
        "currency": "USD" if number % 5 == 3 else "EUR",
    }


def aggregates() -> list[Row]:
    """Early results of what each window had halfway, final ones, and one window that is open."""

    def window(row: Row) -> tuple[dt.datetime, str, str]:
        return row["transaction_time"].replace(second=0), row["merchant_id"], row["currency"]

    rows = []
    in_windows = sorted((_transaction(number) for number in range(COUNT)), key=window)
    for (start, merchant, currency), group in groupby(in_windows, window):
        members = list(group)
        rows.append(_aggregate(start, merchant, currency, members[:1], -30_000))
        rows.append(_aggregate(start, merchant, currency, members, 0))
    after = START + dt.timedelta(seconds=20 * COUNT)
    rows.append(_aggregate(after, "shop-0", "EUR", [_transaction(0)], -30_000))
    return rows


def _aggregate(start: dt.datetime, merchant: str, currency: str, members: list[Row], revision: int) -> Row:
    of = {kind: [m["amount"] for m in members if m["transaction_type"] == kind] for kind in ("purchase", "refund")}
    amounts = [m["amount"] for m in members]
    return {
        "merchant_id": merchant,
        "currency": currency,
        "window_start": start,
        "window_end": start + dt.timedelta(minutes=1),
        "purchase_count": len(of["purchase"]),
        "purchase_sum": sum(of["purchase"], Decimal(0)),
        "refund_count": len(of["refund"]),
        "refund_sum": sum(of["refund"], Decimal(0)),
        "min_amount": min(amounts),
        "max_amount": max(amounts),
        "distinct_users": len({m["user_id"] for m in members}),
        "revision": revision,
    }


def anomalies() -> list[Row]:
    """An alert for each fortieth transaction."""
    rules = ("velocity", "amount_outlier", "impossible_travel")
    rows = []
    for at, number in enumerate(range(0, COUNT, 40)):
        cause = _transaction(number)
        rows.append(
            {
                "id": f"00000000-0000-4000-9000-{number:012}",
                "rule": rules[at % 3],
                "entity_type": "user",
                "entity": cause["user_id"],
                "severity": ("medium", "high")[at % 2],
                "score": 0.5,
                "transaction_ids": [cause["transaction_id"]],
                "figures": {"count": 12.0},
                "event_time": cause["transaction_time"],
                "detection_time": cause["transaction_time"] + dt.timedelta(seconds=1),
                "rule_set_version": None,
                "rule_revision": None,
                "reason": None,
                "reason_codes": [],
            }
        )
    return rows


def write(folder: Path, tables: Iterable[str] | None = None) -> None:
    """Writes these tables, or all, each day as one file of one partition, as the sink names them."""
    made = {
        "transactions": (SCHEMAS["transactions"], "transaction_time", transactions()),
        "transaction_aggregates": (SCHEMAS["transaction_aggregates"], "window_start", aggregates()),
        "anomalies": (SCHEMAS["anomalies"], "event_time", anomalies()),
        **STREAMS,
    }
    for name in made if tables is None else tables:
        schema, time, rows = made[name]
        placed = [row | {"kafka_partition": 0, "kafka_offset": at} for at, row in enumerate(rows)]
        frame = pl.DataFrame(placed, schema=schema | PLACE)
        for (day,), of_day in frame.group_by(pl.col(time).dt.date(), maintain_order=True):
            offsets = of_day["kafka_offset"]
            place = folder / name / f"dt={day}"
            place.mkdir(parents=True, exist_ok=True)
            file = f"{name}-0000-{offsets[0]:019}-{offsets[-1]:019}.parquet"
            of_day.write_parquet(place / file, compression="zstd")
