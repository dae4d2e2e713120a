"""What comes after transactions and money: the newest alerts, the shop and devices."""

import streamlit as st

import charts
import figures
import sources

SHOWN_DEVICES = 100


def newest_alerts(alerts: figures.Alerts) -> None:
    """One a row; nothing where there is none."""
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


def streams(seen: sources.Now) -> None:
    """Those beside payments."""
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Shop: from search to purchase", anchor=False)
        _funnel(seen.funnel)
    with right:
        st.subheader("Devices", anchor=False)
        _devices(seen)


def _funnel(funnel: figures.Funnel | None) -> None:
    if funnel is None:
        st.info("No session in this range. Start the stream by `millrace up` with `commerce.enabled: true`.")
        return
    st.altair_chart(charts.funnel(funnel.steps), width="stretch")
    bought = funnel.steps["share"][-1]
    st.caption(
        f"{funnel.sessions:,} sessions are over; {bought:.1%} of them came to a purchase. All together paid "
        f"{funnel.revenue.text()} in the shop's currency."
    )


def _devices(seen: sources.Now) -> None:
    devices = seen.devices
    if not devices.height:
        st.info("No device in this range. Start the stream by `millrace up` with `iot.enabled: true`.")
        return
    heard, alarmed, silent = st.columns(3)
    heard.metric("Heard", f"{devices.height:,}")
    alarmed.metric("With open alerts", f"{devices.filter(devices['open alerts'] > 0).height:,}")
    silent.metric("Silent", f"{devices['silent'].sum():,}")
    st.dataframe(
        devices.head(SHOWN_DEVICES),
        hide_index=True,
        width="stretch",
        height=212,
        column_config={
            "last reading": st.column_config.DatetimeColumn("last reading (UTC)", format="HH:mm:ss", timezone="UTC"),
            "temp": st.column_config.NumberColumn("°C", format="%.1f"),
            "humidity": st.column_config.NumberColumn("humidity, %", format="%.1f"),
        },
    )
