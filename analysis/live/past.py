"""The part of the page over the lake."""

import datetime as dt

import polars as pl
import streamlit as st

import charts
import sources
from choice import choose
from millrace_lake import TABLES, Lake, money

DAYS_AT_FIRST = 7
MOST_DAYS = 31


def show(lake: Lake) -> None:
    """Whole days; or what to do for there to be any."""
    st.header("Whole days, from the lake", anchor=False)
    days = lake.days("transaction_aggregates")
    if not days:
        st.info(TABLES["transaction_aggregates"].how_to_start())
        return
    try:
        _show(lake, days)
    except (FileNotFoundError, pl.exceptions.ComputeError) as error:
        st.error(
            f"A file of the lake could not be read ({str(error).splitlines()[0]}). Where `millrace lake compact` or "
            "`expire` ran meanwhile, choose the days again."
        )


def _show(lake: Lake, days: list[dt.date]) -> None:
    when, which = st.columns([2, 1])
    with when:
        since, until = _between(days)
    currencies = sources.currencies(lake, since, until)
    if not currencies:
        st.info(f"No window between {since} and {until}: choose other days.")
        return
    with which:
        currency = choose("Currency", currencies, "lake_currency")
    seen = sources.days(lake, since, until, currency)
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Transactions by hour", anchor=False)
        st.altair_chart(charts.hours(seen.hours), width="stretch")
    with right:
        st.subheader("Fraud by hour of the day", anchor=False)
        fraud = sources.fraud_by_hour(lake, since, until)
        if fraud.height:
            st.altair_chart(charts.fraud_by_hour(fraud), width="stretch")
        else:
            st.info("No alert on these days.")
    left, right = st.columns(2, gap="large")
    with left:
        purchases, refunds = st.columns([3, 2])
        purchases.metric(f"Purchases, {currency}", money(seen.purchases))
        refunds.metric(f"Refunds, {currency}", money(seen.refunds))
        st.caption(f"Of windows that are closed, the newest result of each; {seen.open_windows:,} are still open.")
    with right:
        st.markdown(f"**Merchants with the most purchases, {currency}**")
        shown = seen.merchants.select(
            merchant="merchant_id",
            purchases=pl.col("purchase_sum").map_elements(money, return_dtype=pl.String),
            refunds=pl.col("refund_sum").map_elements(money, return_dtype=pl.String),
            count="purchase_count",
        )
        st.dataframe(shown, hide_index=True, width="stretch")


def _between(days: list[dt.date]) -> tuple[dt.date, dt.date]:
    """The days that are chosen: at first the last week that the lake has."""
    first, last = days[0], days[-1]
    start = max(first, last - dt.timedelta(days=DAYS_AT_FIRST - 1))
    chosen = st.date_input("Days (UTC)", (start, last), first, last, key="days", format="YYYY-MM-DD")
    # Between the first click and the second there is one day.
    since, until = (chosen[0], chosen[-1]) if isinstance(chosen, tuple) and chosen else (start, last)
    if (until - since).days >= MOST_DAYS:
        st.warning(f"Shown are the last {MOST_DAYS} days of these: more are for the notebook.")
        since = until - dt.timedelta(days=MOST_DAYS - 1)
    return since, until
