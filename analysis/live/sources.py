"""What the page shows, asked at most every few seconds whoever looks."""

import datetime as dt
from dataclasses import dataclass

import polars as pl
import streamlit as st

import figures
import history
import queries
from elastic import Elasticsearch
from millrace_lake import Lake
from span import Span, span

NOW_TTL_S = 5
LAKE_TTL_S = 60
ENTRIES = 64


@dataclass(frozen=True)
class Now:
    """What Elasticsearch has of a span."""

    span: Span
    is_live: bool
    """Whether the span ends now; else it ends with the data."""
    volume: figures.Volume
    alerts: figures.Alerts
    funnel: figures.Funnel | None
    devices: pl.DataFrame


@st.cache_data(ttl=NOW_TTL_S, max_entries=ENTRIES, show_spinner=False)
def now(_server: Elasticsearch, of: str) -> Now | None:
    """The range of this name; None where there is no aggregate yet."""
    [first] = _server.search([queries.newest()])
    newest = figures.newest(first)
    if newest is None:
        return None
    time = dt.datetime.now(dt.UTC)
    shown = span(of, time, newest)
    ask = [query(shown) for query in (queries.volume, queries.alerts, queries.funnel, queries.devices)]
    volume, alerts, funnel, devices = _server.search(ask)
    return Now(
        shown,
        time < shown.end,
        figures.volume(volume),
        figures.alerts(alerts),
        figures.funnel(funnel),
        figures.devices(devices),
    )


@st.cache_data(ttl=NOW_TTL_S, max_entries=ENTRIES, show_spinner=False)
def money(_server: Elasticsearch, shown: Span, currency: str) -> figures.Money:
    """What was paid in a currency."""
    [answer] = _server.search([queries.money(shown, currency)])
    return figures.money_of(answer, currency)


@st.cache_data(ttl=LAKE_TTL_S, max_entries=ENTRIES, show_spinner="Reading the lake …")
def currencies(_lake: Lake, since: dt.date, until: dt.date) -> list[str]:
    """Of these days."""
    return history.currencies(_lake, since, until)


@st.cache_data(ttl=LAKE_TTL_S, max_entries=ENTRIES, show_spinner="Reading the lake …")
def days(_lake: Lake, since: dt.date, until: dt.date, currency: str) -> history.Days:
    """These days, in a currency."""
    return history.days(_lake, since, until, currency)


@st.cache_data(ttl=LAKE_TTL_S, max_entries=ENTRIES, show_spinner="Reading the lake …")
def fraud_by_hour(_lake: Lake, since: dt.date, until: dt.date) -> pl.DataFrame:
    """Of these days."""
    return history.fraud_by_hour(_lake, since, until)
