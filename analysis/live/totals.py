"""The figures at the top of the page."""

import datetime as dt

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import figures
import sources


def totals(seen: sources.Now) -> None:
    """How fast, how many, how much fraud, and up to when."""
    volume = seen.volume
    rate, count, fraud, closed = st.columns(4)
    _rate(rate, figures.rate(volume, seen.span.step))
    count.metric(
        "Transactions in the range",
        f"{volume.total:,}",
        border=True,
        height="stretch",
        help="Of all currencies, each once.",
    )
    high = sum(seen.alerts.severities.get(name, 0) for name in ("high", "critical"))
    note = f"{high:,} high or critical"
    fraud.metric(
        "Fraud alerts in the range",
        f"{seen.alerts.total:,}",
        note,
        "off",
        delta_arrow="off",
        border=True,
        height="stretch",
    )
    _closed(closed, volume, seen.is_live)
    if volume.open_windows:
        st.caption(f"Windows that are still open: {volume.open_windows:,}. Theirs are early results, which grow.")


def _rate(place: DeltaGenerator, rate: figures.Rate | None) -> None:
    label = "Transactions a minute"
    if rate is None:
        place.metric(label, "–", border=True, height="stretch", help="No step of the range has closed yet.")
    else:
        place.metric(label, f"{rate.newest:,.0f}", rate.change, "off", border=True, height="stretch", help=rate.of)


def _closed(place: DeltaGenerator, volume: figures.Volume, is_live: bool) -> None:
    label, end = "Closed up to (UTC)", volume.newest_end
    if end is None:
        place.metric(label, "–", border=True, height="stretch", help="No window of the range has closed yet.")
        return
    note = ago(dt.datetime.now(dt.UTC) - end) if is_live else f"{end:%Y-%m-%d}"
    place.metric(
        label,
        f"{end:%H:%M:%S}",
        note,
        "off",
        delta_arrow="off",
        border=True,
        height="stretch",
        help="What is before is final.",
    )


def ago(since: dt.timedelta) -> str:
    """In the largest unit of which there are two at least."""
    seconds = max(0, int(since.total_seconds()))
    for unit, length_s in (("h", 3_600), ("min", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds // length_s} {unit} ago"
    return f"{seconds} s ago"
