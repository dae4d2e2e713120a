"""The part of the page over the lake."""

import datetime as dt

import polars as pl
import streamlit as st

import charts
import history
import sources
from choice import choose
from millrace_lake import TABLES, Lake, money

TITLE = "Whole days, from the lake"
DAYS_AT_FIRST = 7
MOST_DAYS = 31


def show(lake: Lake) -> None:
    """Whole days; or what to do for there to be any."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        st.header(TITLE, anchor=False, width="content")
        days = lake.days("transaction_aggregates")
        chosen = _between(days) if days else None
    if chosen is None:
        st.info(TABLES["transaction_aggregates"].how_to_start())
        return
    since, until = chosen
    if (until - since).days >= MOST_DAYS:
        since = until - dt.timedelta(days=MOST_DAYS - 1)
        st.warning(f"These are the last {MOST_DAYS} of the days: more are for the notebook.")
    try:
        _show(lake, since, until)
    except (FileNotFoundError, pl.exceptions.ComputeError) as error:
        st.error(
            f"A file of the lake could not be read: {str(error).splitlines()[0]}. Where `millrace lake compact` or "
            "`expire` ran meanwhile, choose the days again."
        )


def _show(lake: Lake, since: dt.date, until: dt.date) -> None:
    currencies = sources.currencies(lake, since, until)
    if not currencies:
        st.info(f"No window between {since} and {until}: choose other days.")
        return
    left, right = st.columns(2, gap="large")
    with right:
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.subheader("Money", anchor=False, help="Of one currency: two are never added together.", width="content")
            currency = choose("Currency", currencies, "lake_currency")
        seen = sources.days(lake, since, until, currency)
        _money(seen, currency)
    with left:
        st.subheader("Transactions by hour", anchor=False)
        st.altair_chart(charts.hours(seen.hours), width="stretch")
        st.subheader("Fraud alerts by hour of the day", anchor=False)
        fraud = sources.fraud_by_hour(lake, since, until)
        if fraud.height:
            st.altair_chart(charts.fraud_by_hour(fraud), width="stretch")
        else:
            st.info("No alert on these days.")


def _money(seen: history.Days, currency: str) -> None:
    purchases, refunds = st.columns(2)
    purchases.metric(f"Purchases, {currency}", money(seen.purchases))
    refunds.metric(f"Refunds, {currency}", money(seen.refunds))
    st.markdown(f"**Merchants with the most purchases, {currency}**")
    shown = seen.merchants.select(
        merchant="merchant_id",
        purchases=pl.col("purchase_sum").map_elements(money, return_dtype=pl.String),
        refunds=pl.col("refund_sum").map_elements(money, return_dtype=pl.String),
    )
    amounts = {
        name: st.column_config.TextColumn(f"{name}, {currency}", alignment="right") for name in ("purchases", "refunds")
    }
    st.dataframe(shown, hide_index=True, width="stretch", column_config=amounts)
    st.caption(f"The newest result of each window that is closed. Windows that are still open: {seen.open_windows:,}.")


def _between(days: list[dt.date]) -> tuple[dt.date, dt.date]:
    """The days that are chosen: at first the last week that the lake has."""
    first, last = days[0], days[-1]
    start = max(first, last - dt.timedelta(days=DAYS_AT_FIRST - 1))
    chosen = st.date_input(
        "Days (UTC)",
        (start, last),
        first,
        last,
        key="days",
        format="YYYY-MM-DD",
        label_visibility="collapsed",
        width=260,
    )
    # Between the first click and the second there is one day.
    return (chosen[0], chosen[-1]) if isinstance(chosen, tuple) and chosen else (start, last)
