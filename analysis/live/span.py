"""Which part of event time is shown, in steps of how long."""

import datetime as dt
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Span:
    """From `start` on, until before `end`, in UTC."""

    start: dt.datetime
    end: dt.datetime
    step: dt.timedelta

    def filter(self) -> dict[str, Any]:
        """What restricts a search to it."""
        bounds = {"gte": millis(self.start), "lt": millis(self.end), "format": "epoch_millis"}
        return {"range": {"@timestamp": bounds}}

    def histogram(self) -> dict[str, Any]:
        """A step a bucket, those without a document too."""
        bounds = {"min": millis(self.start), "max": millis(self.end) - 1}
        return {
            "field": "@timestamp",
            "fixed_interval": f"{int(self.step.total_seconds())}s",
            "min_doc_count": 0,
            "extended_bounds": bounds,
            "hard_bounds": bounds,
        }


RANGES: dict[str, tuple[dt.timedelta, dt.timedelta]] = {
    "15 min": (dt.timedelta(minutes=15), dt.timedelta(minutes=1)),
    "1 h": (dt.timedelta(hours=1), dt.timedelta(minutes=1)),
    "6 h": (dt.timedelta(hours=6), dt.timedelta(minutes=5)),
    "24 h": (dt.timedelta(hours=24), dt.timedelta(minutes=15)),
}
"""How long, and in what steps: a hundred or so, whatever is chosen."""


def span(name: str, now: dt.datetime, newest: dt.datetime) -> Span:
    """The range that ends with the step of now; of data that ended before it, with the data's end.

    So a file of last year, replayed, is seen as it was.
    """
    length, step = RANGES[name]
    at = newest if newest < now - length else now
    end = _floor(at, step) + step
    return Span(end - length, end, step)


def _floor(time: dt.datetime, step: dt.timedelta) -> dt.datetime:
    return time - (time - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) % step


def millis(time: dt.datetime) -> int:
    """Since 1970."""
    return (time - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)


def of_millis(time_ms: float) -> dt.datetime:
    """Of milliseconds since 1970, in UTC."""
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=time_ms)
