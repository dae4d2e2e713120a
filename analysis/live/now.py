"""The part of the page over Elasticsearch."""

import datetime as dt

import streamlit as st

import charts
import figures
import sources
from choice import choose
from elastic import ElasticError, Elasticsearch
from span import RANGES

START = (
    "No aggregate yet. Start the stream by `millrace up`: a window of a minute closes, and is here, about a minute "
    "after that."
)


def show(server: Elasticsearch) -> None:
    """What happens now; or why that cannot be told, and what to do."""
    st.header("Now, from Elasticsearch", anchor=False)
    try:
        _show(server)
    except ElasticError as error:
        st.error(str(error))


def _show(server: Elasticsearch) -> None:
    of = st.segmented_control("Range", list(RANGES), default="1 h", key="range", label_visibility="collapsed")
    seen = sources.now(server, of or "1 h")
    if seen is None:
        st.info(START)
        return
    if not seen.is_live:
        st.info(
            f"The data ends at {_moment(seen.span.end)}: this is the last {of or '1 h'} of it. "
            "While a stream runs, the page follows it."
        )
    _totals(seen)
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Transactions", anchor=False)
        st.altair_chart(charts.volume(seen.volume.times, seen.span.step), width="stretch")
    with right:
        st.subheader("Fraud alerts by rule", anchor=False)
        if seen.alerts.times.height:
            st.altair_chart(charts.alerts(seen.alerts.times, seen.span.step), width="stretch")
        else:
            st.info("No alert in this range.")
    _money(server, seen)
    _newest_alerts(seen.alerts)
    _streams(seen)


def _totals(seen: sources.Now) -> None:
    volume, alerts = seen.volume, seen.alerts
    columns = st.columns(4)
    rate = figures.rate(volume, seen.span.step)
    if rate is None:
        columns[0].metric("Transactions a minute", "–", help="No step of the range has closed yet.")
    else:
        columns[0].metric("Transactions a minute", f"{rate.newest:,.0f}", rate.change, help=rate.of)
    columns[1].metric("Transactions in the range", f"{volume.total:,}", help="Of all currencies, each once.")
    high = sum(alerts.severities.get(name, 0) for name in ("high", "critical"))
    columns[2].metric(
        "Fraud alerts in the range", f"{alerts.total:,}", f"{high:,} high or critical", "off", delta_arrow="off"
    )
    _closed(columns[3], volume, seen.is_live)
    if volume.open_windows:
        st.caption(
            f"{volume.open_windows:,} windows are still open: what is shown of them are early results, which grow."
        )


def _closed(place: st.delta_generator.DeltaGenerator, volume: figures.Volume, is_live: bool) -> None:
    end = volume.newest_end
    if end is None:
        place.metric("Closed up to (UTC)", "–")
        return
    ago = dt.datetime.now(dt.UTC) - end
    note = f"{max(0, ago.total_seconds()):.0f} s ago" if is_live else f"{end:%Y-%m-%d}"
    place.metric(
        "Closed up to (UTC)", f"{end:%H:%M:%S}", note, "off", delta_arrow="off", help="What is before is final."
    )


def _money(server: Elasticsearch, seen: sources.Now) -> None:
    if not seen.volume.currencies:
        return
    st.subheader("Money", anchor=False, help="Exact; of one currency, as two are never added together.")
    currency = choose("Currency", seen.volume.currencies, "currency")
    money = sources.money(server, seen.span, currency)
    left, right = st.columns(2, gap="large")
    with left:
        purchases, refunds = st.columns([3, 2])
        purchases.metric(f"Purchases, {currency}", money.purchases.text())
        refunds.metric(f"Refunds, {currency}", money.refunds.text())
        st.altair_chart(charts.money(money.times, currency), width="stretch")
    with right:
        st.markdown(f"**Merchants with the most purchases, {currency}**")
        st.altair_chart(charts.merchants(money.merchants), width="stretch")
        with st.expander("As a table"):
            shown = money.merchants.select("merchant", "purchases", "refunds", "transactions")
            st.dataframe(shown, hide_index=True, width="stretch")


def _newest_alerts(alerts: figures.Alerts) -> None:
    if not alerts.newest.height:
        return
    st.subheader("Newest alerts", anchor=False)
    st.dataframe(
        alerts.newest,
        hide_index=True,
        width="stretch",
        height=280,
        column_config={
            "time": st.column_config.DatetimeColumn("time (UTC)", format="YYYY-MM-DD HH:mm:ss", timezone="UTC"),
            "score": st.column_config.ProgressColumn("score", min_value=0.0, max_value=1.0, format="%.2f"),
        },
    )


def _streams(seen: sources.Now) -> None:
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Shop: search to purchase", anchor=False)
        if seen.funnel is None:
            st.info("No session in this range. Start the stream by `millrace up` with `commerce.enabled: true`.")
        else:
            came = seen.funnel
            st.altair_chart(charts.funnel(came.steps), width="stretch")
            bought = came.steps["share"][-1]
            st.caption(
                f"Of {came.sessions:,} sessions {bought:.1%} came to a purchase, and paid {came.revenue.text()}."
            )
    with right:
        st.subheader("Devices", anchor=False)
        _devices(seen)


def _devices(seen: sources.Now) -> None:
    devices = seen.devices
    if not devices.height:
        st.info("No device in this range. Start the stream by `millrace up` with `iot.enabled: true`.")
        return
    heard, alarmed, silent = st.columns(3)
    heard.metric("Heard", f"{devices.height:,}")
    alarmed.metric("With alerts", f"{devices.filter(devices['open alerts'] > 0).height:,}")
    silent.metric("Silent", f"{devices['silent'].sum():,}")
    st.dataframe(
        devices.head(100),
        hide_index=True,
        width="stretch",
        height=212,
        column_config={
            "last reading": st.column_config.DatetimeColumn("last reading (UTC)", format="HH:mm:ss", timezone="UTC"),
            "temp": st.column_config.NumberColumn("°C", format="%.1f"),
            "humidity": st.column_config.NumberColumn("humidity, %", format="%.1f"),
        },
    )


def _moment(time: dt.datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
