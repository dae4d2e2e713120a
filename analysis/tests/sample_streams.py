"""The sample's streams beside payments: sessions of a shop, and devices."""

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl

Row = dict[str, Any]

START = dt.datetime(2026, 1, 31, 8, tzinfo=dt.UTC)
TIME = pl.Datetime("ms", "UTC")
SUM = pl.Decimal(38, 4)
MINUTE = dt.timedelta(minutes=1)

FUNNEL: dict[str, Any] = {
    "user_id": pl.String,
    "start": TIME,
    "end": TIME,
    "reached": pl.String,
    "searches": pl.Int64,
    "views": pl.Int64,
    "clicks": pl.Int64,
    "purchases": pl.Int64,
    "revenue": SUM,
}
REVENUE: dict[str, Any] = {
    "region": pl.String,
    "device": pl.String,
    "window_start": TIME,
    "window_end": TIME,
    "searches": pl.Int64,
    "views": pl.Int64,
    "clicks": pl.Int64,
    "purchases": pl.Int64,
    "units": pl.Int64,
    "revenue": SUM,
}
MINUTES: dict[str, Any] = {
    "device_id": pl.String,
    "window_start": TIME,
    "window_end": TIME,
    "count": pl.Int64,
    "temp_mean": pl.Float64,
    "temp_min": pl.Float64,
    "temp_max": pl.Float64,
    "temp_std_dev": pl.Float64,
    "humidity_mean": pl.Float64,
    "humidity_min": pl.Float64,
    "humidity_max": pl.Float64,
    "humidity_std_dev": pl.Float64,
}
ALERTS: dict[str, Any] = {
    "device_id": pl.String,
    "measure": pl.String,
    "kind": pl.String,
    "status": pl.String,
    "since": TIME,
    "ts": TIME,
    "value": pl.Float64,
}

REACHED = ["none"] * 2 + ["search"] * 8 + ["view"] * 5 + ["click"] * 3 + ["purchase"] * 2
"""Of twenty sessions: 18 searched, 10 saw, 5 opened, 2 bought."""


def _session(number: int) -> Row:
    reached = REACHED[number]
    start = START + 10 * number * MINUTE
    return {
        "user_id": f"user-{number}",
        "start": start,
        "end": start + 4 * MINUTE,
        "reached": reached,
        "searches": 1,
        "views": 2,
        "clicks": 1,
        "purchases": int(reached == "purchase"),
        "revenue": Decimal("19.9900") if reached == "purchase" else Decimal("0.0000"),
    }


def _revenue(number: int) -> Row:
    start = START + number * MINUTE
    return {
        "region": ("north", "south")[number % 2],
        "device": ("desktop", "mobile", "tablet")[number % 3],
        "window_start": start,
        "window_end": start + MINUTE,
        "searches": 3,
        "views": 6,
        "clicks": 3,
        "purchases": 1,
        "units": 2,
        "revenue": Decimal(10 * number + 1) + Decimal("0.0001"),
    }


def _minute(number: int) -> Row:
    device, minute = number % 4, number // 4
    start = START + minute * MINUTE
    temp = 20.0 + device + (5.0 if device == 3 and minute > 20 else 0.0)
    return {
        "device_id": f"device-{device}",
        "window_start": start,
        "window_end": start + MINUTE,
        "count": 10,
        "temp_mean": temp,
        "temp_min": temp - 1,
        "temp_max": temp + 1,
        "temp_std_dev": 0.5,
        "humidity_mean": 50.0,
        "humidity_min": 48.0,
        "humidity_max": 52.0,
        "humidity_std_dev": 1.0,
    }


def _alerts() -> list[Row]:
    drift: Row = {"device_id": "device-3", "measure": "temp", "kind": "drift", "since": START + 21 * MINUTE}
    silent: Row = {"device_id": "device-1", "measure": "device", "kind": "silent", "since": START + 5 * MINUTE}
    return [
        silent | {"status": "started", "ts": silent["since"], "value": None},
        silent | {"status": "ended", "ts": silent["since"] + 3 * MINUTE, "value": 21.0},
        drift | {"status": "started", "ts": drift["since"], "value": 28.0},
    ]


STREAMS: dict[str, tuple[dict[str, Any], str, list[Row]]] = {
    "funnels": (FUNNEL, "start", [_session(number) for number in range(len(REACHED))]),
    "revenue": (REVENUE, "window_start", [_revenue(number) for number in range(30)]),
    "device_minutes": (MINUTES, "window_start", [_minute(number) for number in range(160)]),
    "device_alerts": (ALERTS, "ts", _alerts()),
}
"""By table: its columns, the one whose day its rows go by, and its rows."""
