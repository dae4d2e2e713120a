"""The part of the page over Elasticsearch."""

import streamlit as st

import charts
import sources
from choice import choose
from elastic import ElasticError, Elasticsearch
from more import newest_alerts, streams
from span import RANGES
from totals import totals

FIRST = "1 h"
START = (
    "No aggregate yet. Start the stream by `millrace up`: a window of a minute closes, and is here, about a minute "
    "after that."
)


def show(server: Elasticsearch) -> None:
    """What happens now; or why that cannot be told, and what to do."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        st.header("Now, from Elasticsearch", anchor=False, width="content")
        of = st.segmented_control(
            "Range", list(RANGES), default=FIRST, key="range", label_visibility="collapsed", required=True
        )
    try:
        _show(server, of or FIRST)
    except ElasticError as error:
        st.error(str(error))


def _show(server: Elasticsearch, of: str) -> None:
    seen = sources.now(server, of)
    if seen is None:
        st.info(START)
        return
    if not seen.is_live:
        st.info(
            f"The data ends at {seen.span.end:%Y-%m-%d %H:%M} UTC: this is the last {of} of it. "
            "While a stream runs, the page follows it."
        )
    totals(seen)
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Transactions", anchor=False)
        st.altair_chart(charts.volume(seen.volume.times, seen.span), width="stretch")
    with right:
        st.subheader("Fraud alerts by rule", anchor=False)
        if seen.alerts.times.height:
            st.altair_chart(charts.alerts(seen.alerts.times, seen.span), width="stretch")
        else:
            st.info("No alert in this range.")
    if seen.volume.currencies:
        _money(server, seen)
    newest_alerts(seen.alerts)
    streams(seen)


def _money(server: Elasticsearch, seen: sources.Now) -> None:
    left, right = st.columns(2, gap="large")
    with left:
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.subheader("Money", anchor=False, help="Of one currency: two are never added together.", width="content")
            currency = choose("Currency", seen.volume.currencies, "currency")
        money = sources.money(server, seen.span, currency)
        purchases, refunds = st.columns(2)
        purchases.metric(f"Purchases, {currency}", money.purchases.text())
        refunds.metric(f"Refunds, {currency}", money.refunds.text())
        st.altair_chart(charts.money(money.times, seen.span, currency), width="stretch")
    with right:
        st.subheader(f"Merchants with the most purchases, {currency}", anchor=False)
        shape, table = st.tabs(["Chart", "Table"])
        shape.altair_chart(charts.merchants(money.merchants), width="stretch")
        table.dataframe(
            money.merchants.select("merchant", "purchases", "refunds", "transactions"),
            hide_index=True,
            width="stretch",
            column_config={
                name: st.column_config.TextColumn(f"{name}, {currency}", alignment="right")
                for name in ("purchases", "refunds")
            },
        )
