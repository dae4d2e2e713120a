"""What the answers of Elasticsearch say, as values and frames."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import polars as pl

from elastic import Answer
from millrace_lake import money
from span import of_millis

EXACT_BELOW = 2**53
"""Elasticsearch adds up in doubles: so far they have every integer."""
STEPS = ("search", "view", "click", "purchase")
TIME = pl.Datetime("ms", "UTC")


@dataclass(frozen=True)
class Amount:
    """A sum of one currency."""

    value: Decimal
    currency: str
    is_exact: bool

    def text(self) -> str:
        """Without its currency."""
        return ("" if self.is_exact else "≈ ") + money(self.value)

    def with_currency(self) -> str:
        """With its currency."""
        return f"{self.text()} {self.currency}"


def amount(units: float, currency: str) -> Amount:
    """A sum of 1/10,000."""
    return Amount(Decimal(round(units)) / 10_000, currency, abs(units) < EXACT_BELOW)


@dataclass(frozen=True)
class Volume:
    """How many transactions there were, of all currencies together."""

    times: pl.DataFrame
    """`time`, `purchases`, `refunds`."""
    currencies: list[str]
    """The one with the most purchases first."""
    open_windows: int
    newest_end: dt.datetime | None
    """Of a window that is closed."""

    @property
    def total(self) -> int:
        """Purchases and refunds."""
        return int(self.times["purchases"].sum()) + int(self.times["refunds"].sum())


@dataclass(frozen=True)
class Rate:
    """How fast transactions come."""

    newest: float
    """A minute, in the last step whose windows are all closed."""
    change: str | None
    """From the step before it."""
    of: str
    """Which step that is."""


@dataclass(frozen=True)
class Money:
    """What was paid in one currency."""

    times: pl.DataFrame
    """`time`, `kind`, `sum` for the eye, `exact` as text."""
    merchants: pl.DataFrame
    """`merchant`, `purchases`, `refunds`, and `sum` for the eye."""
    purchases: Amount
    refunds: Amount


@dataclass(frozen=True)
class Alerts:
    """What the fraud rules found."""

    times: pl.DataFrame
    """`time`, `rule`, `alerts`."""
    severities: dict[str, int]
    newest: pl.DataFrame
    total: int


@dataclass(frozen=True)
class Funnel:
    """How far a shop's sessions came."""

    steps: pl.DataFrame
    """`step`, `sessions` that came at least so far, `share` of all."""
    sessions: int
    revenue: Amount


def newest(answer: Answer) -> dt.datetime | None:
    """The start of the newest window; None where there is no aggregate."""
    value = answer.get("aggregations", {}).get("newest", {}).get("value")
    return None if value is None else of_millis(value)


def volume(answer: Answer) -> Volume:
    """Of `queries.volume`."""
    found = answer["aggregations"]
    rows = [
        (_time(bucket), int(bucket["purchaseCount"]["value"]), int(bucket["refundCount"]["value"]))
        for bucket in found["times"]["buckets"]
    ]
    end = found["closed"]["windowEnd"]["value"]
    return Volume(
        _frame(rows, {"time": TIME, "purchases": pl.Int64, "refunds": pl.Int64}),
        [bucket["key"] for bucket in found["currencies"]["buckets"]],
        found["open"]["doc_count"],
        None if end is None else of_millis(end),
    )


def rate(volume: Volume, step: dt.timedelta) -> Rate | None:
    """Of the last step that is closed; None where there is none."""
    if volume.newest_end is None:
        return None
    closed = volume.times.filter(pl.col("time") + step <= volume.newest_end)
    if not closed.height:
        return None
    minutes = step / dt.timedelta(minutes=1)
    a_minute = ((closed["purchases"] + closed["refunds"]) / minutes).to_list()
    begin = closed["time"][-1]
    change = f"{a_minute[-1] - a_minute[-2]:+,.0f}" if len(a_minute) > 1 else None
    return Rate(a_minute[-1], change, f"From {begin:%H:%M} to {begin + step:%H:%M} UTC, and since the step before.")


def money_of(answer: Answer, currency: str) -> Money:
    """Of `queries.money`."""
    found = answer["aggregations"]
    fields = {"purchases": "purchaseSumUnits", "refunds": "refundSumUnits"}
    times = [
        (_time(bucket), kind, bucket[field]["value"] / 10_000, amount(bucket[field]["value"], currency).with_currency())
        for bucket in _filled(found["times"]["buckets"])
        for kind, field in fields.items()
    ]
    merchants = [
        (
            bucket["key"],
            amount(bucket["purchaseSumUnits"]["value"], currency).text(),
            amount(bucket["refundSumUnits"]["value"], currency).text(),
            int(bucket["purchaseCount"]["value"] + bucket["refundCount"]["value"]),
            bucket["purchaseSumUnits"]["value"] / 10_000,
        )
        for bucket in found["merchants"]["buckets"]
    ]
    columns = {
        "merchant": pl.String,
        "purchases": pl.String,
        "refunds": pl.String,
        "transactions": pl.Int64,
        "sum": pl.Float64,
    }
    return Money(
        _frame(times, {"time": TIME, "kind": pl.String, "sum": pl.Float64, "exact": pl.String}),
        _frame(merchants, columns),
        *(amount(found[field]["value"], currency) for field in fields.values()),
    )


def alerts(answer: Answer) -> Alerts:
    """Of `queries.alerts`; none where there is no index yet."""
    found = answer.get("aggregations") or {"times": {"buckets": []}, "severities": {"buckets": []}}
    times = [
        (_time(bucket), rule["key"], rule["doc_count"])
        for bucket in found["times"]["buckets"]
        for rule in bucket["rules"]["buckets"]
    ]
    newest_first = [
        (
            of_millis(hit["sort"][0]),
            source["severity"],
            source["rule"],
            f"{source['entityType']} {source['entity']}",
            source["score"],
        )
        for hit in answer["hits"]["hits"]
        for source in [hit["_source"]]
    ]
    columns = {"time": TIME, "severity": pl.String, "rule": pl.String, "of": pl.String, "score": pl.Float64}
    return Alerts(
        _frame(times, {"time": TIME, "rule": pl.String, "alerts": pl.Int64}),
        {bucket["key"]: bucket["doc_count"] for bucket in found["severities"]["buckets"]},
        _frame(newest_first, columns),
        answer["hits"]["total"]["value"],
    )


def funnel(answer: Answer) -> Funnel | None:
    """Of `queries.funnel`; None where there is no session."""
    sessions = answer["hits"]["total"]["value"]
    if not sessions:
        return None
    found = answer["aggregations"]
    reached = {bucket["key"]: bucket["doc_count"] for bucket in found["reached"]["buckets"]}
    at_least = [sum(reached.get(step, 0) for step in STEPS[at:]) for at in range(len(STEPS))]
    steps = [(step, count, count / sessions) for step, count in zip(STEPS, at_least, strict=True)]
    frame = _frame(steps, {"step": pl.String, "sessions": pl.Int64, "share": pl.Float64})
    return Funnel(frame, sessions, amount(found["revenueUnits"]["value"], ""))


def devices(answer: Answer) -> pl.DataFrame:
    """Of `queries.devices`: what is known last of each, those with alerts first."""
    fields = ("temp", "humidity", "openAlerts", "silent")
    rows = [
        (source["deviceId"], of_millis(hit["sort"][0]), *(source[field] for field in fields))
        for hit in answer["hits"]["hits"]
        for source in [hit["_source"]]
    ]
    columns = {
        "device": pl.String,
        "last reading": TIME,
        "temp": pl.Float64,
        "humidity": pl.Float64,
        "open alerts": pl.Int64,
        "silent": pl.Boolean,
    }
    return _frame(rows, columns).sort(["open alerts", "device"], descending=[True, False])


def _filled(buckets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """From the first with a document to the last: before and after, nothing is known to be 0."""
    filled = [at for at, bucket in enumerate(buckets) if bucket["doc_count"]]
    return buckets[filled[0] : filled[-1] + 1] if filled else []


def _time(bucket: dict[str, Any]) -> dt.datetime:
    return of_millis(bucket["key"])


def _frame(rows: list[Any], schema: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=schema, orient="row")
