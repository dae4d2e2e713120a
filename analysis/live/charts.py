"""The charts: times in UTC whatever the reader's clock, exact figures in the tooltips.

Colours are of Okabe and Ito's set, which people of all kinds of colour vision tell apart, changed
until each has a contrast of three to one at least on the light page and on the dark one.
"""

import datetime as dt

import altair as alt
import polars as pl

from span import Span

BLUE, VERMILION, GREEN, PURPLE, OCHRE, GREY = "#2F7FC1", "#D55E00", "#009E73", "#B8609A", "#A67C00", "#75808C"
PALETTE = [BLUE, VERMILION, GREEN, PURPLE, OCHRE, GREY]
HEIGHT = 260
SHADES = ["#86BAE6", "#1F66A8"]
"""From few to many: both differ from the light page and from the dark one."""
KINDS = alt.Scale(domain=["purchases", "refunds"], range=[BLUE, VERMILION])


def volume(times: pl.DataFrame, span: Span) -> alt.Chart:
    """Transactions by time, refunds on top of purchases."""
    long = times.unpivot(["purchases", "refunds"], index="time", variable_name="kind", value_name="count")
    count = alt.Y("count:Q", title="transactions", stack="zero", axis=alt.Axis(format="~s"))
    return _bars(long, span, "kind", count, KINDS)


def alerts(times: pl.DataFrame, span: Span) -> alt.Chart:
    """Alerts by time, a colour for each rule."""
    rules = times["rule"].unique().sort().to_list()
    colours = [PALETTE[at % len(PALETTE)] for at in range(len(rules))]
    count = alt.Y("alerts:Q", title="alerts", stack="zero", axis=alt.Axis(tickMinStep=1, format="d"))
    return _bars(times, span, "rule", count, alt.Scale(domain=rules, range=colours))


def _bars(frame: pl.DataFrame, span: Span, by: str, y: alt.Y, colours: alt.Scale) -> alt.Chart:
    """A bar for each step; a click in the legend leaves one kind."""
    chosen = alt.selection_point(fields=[by], bind="legend")
    minutes = span.step // dt.timedelta(minutes=1)
    # A bar is as wide as its step; of hours, Vega counts no minutes.
    if minutes < 60:
        of_step = alt.TimeUnitParams(unit="yearmonthdatehoursminutes", step=minutes, utc=True)
    else:
        of_step = alt.TimeUnitParams(unit="yearmonthdatehours", step=minutes // 60, utc=True)
    return (
        alt.Chart(frame.with_columns(at=_text(pl.col("time"))), height=HEIGHT)
        .mark_bar()
        .encode(
            x=_x(span).timeUnit(of_step),
            y=y,
            color=alt.Color(by, type="nominal", scale=colours, legend=_legend()),
            order=alt.Order(by, type="nominal", sort="ascending"),
            opacity=alt.when(chosen).then(alt.value(1)).otherwise(alt.value(0.12)),
            tooltip=[alt.Tooltip("at:N", title="from"), alt.Tooltip(by), alt.Tooltip(y.shorthand, format=",")],
        )
        .add_params(chosen)
    )


def money(times: pl.DataFrame, span: Span, currency: str) -> alt.Chart:
    """Purchases and refunds by time."""
    frame = times.with_columns(at=_text(pl.col("time")))
    chosen = alt.selection_point(fields=["kind"], bind="legend")
    return (
        alt.Chart(frame, height=HEIGHT)
        .mark_line(point=alt.OverlayMarkDef(size=20), strokeWidth=2)
        .encode(
            x=_x(span),
            y=alt.Y("sum:Q", title=currency, axis=alt.Axis(format="~s")),
            color=alt.Color("kind:N", scale=KINDS, legend=_legend()),
            opacity=alt.when(chosen).then(alt.value(1)).otherwise(alt.value(0.12)),
            tooltip=[alt.Tooltip("at:N", title="from"), "kind:N", alt.Tooltip("exact:N", title="sum")],
        )
        .add_params(chosen)
    )


def hours(frame: pl.DataFrame) -> alt.Chart:
    """Transactions of each hour of some days."""
    hour = dt.timedelta(hours=1)
    times = frame.rename({"hour": "time"})
    return volume(times, Span(times["time"][0], times["time"][-1] + hour, hour))


def fraud_by_hour(frame: pl.DataFrame) -> alt.Chart:
    """Alerts of each hour of the day, a row for each rule."""
    return (
        alt.Chart(frame, height=HEIGHT)
        .mark_rect(cornerRadius=2)
        .encode(
            x=alt.X("hour:O", title="hour of the day, UTC", scale=alt.Scale(domain=list(range(24))), axis=_flat()),
            y=alt.Y("rule:N", title=None, axis=alt.Axis(labelLimit=180)),
            color=alt.Color("alerts:Q", scale=alt.Scale(range=SHADES), legend=_whole()),
            tooltip=["rule:N", "hour:O", alt.Tooltip("alerts:Q", format=",")],
        )
    )


def merchants(frame: pl.DataFrame) -> alt.Chart:
    """Merchants by their purchases: `merchant`, `sum` for the length, `exact` as text."""
    return (
        alt.Chart(frame, height=HEIGHT)
        .mark_bar(color=BLUE, cornerRadiusEnd=2)
        .encode(
            x=alt.X("sum:Q", title=None, axis=alt.Axis(format="~s", tickCount=4)),
            y=alt.Y("merchant:N", sort=None, title=None, axis=alt.Axis(labelLimit=140)),
            tooltip=["merchant:N", alt.Tooltip("exact:N", title="purchases")],
        )
    )


def funnel(steps: pl.DataFrame) -> alt.Chart:
    """How many sessions came at least so far."""
    return (
        alt.Chart(steps, height=HEIGHT)
        .mark_bar(color=GREEN, cornerRadiusEnd=2)
        .encode(
            x=alt.X("sessions:Q", title="sessions", axis=alt.Axis(format="~s", tickMinStep=1)),
            y=alt.Y("step:N", sort=None, title=None),
            tooltip=["step:N", alt.Tooltip("sessions:Q", format=","), alt.Tooltip("share:Q", format=".1%")],
        )
    )


def _x(span: Span) -> alt.X:
    axis = alt.Axis(format="%H:%M", labelOverlap="greedy", labelSeparation=10, tickCount=8, grid=False, labelAngle=0)
    whole = alt.Scale(type="utc", domain=[_moment(span.start), _moment(span.end)])
    return alt.X("time:T", title=None, scale=whole, axis=axis)


def _moment(time: dt.datetime) -> alt.DateTime:
    """Vega takes a plain number for a year."""
    return alt.DateTime(year=time.year, month=time.month, date=time.day, hours=time.hour, minutes=time.minute, utc=True)


def _flat() -> alt.Axis:
    return alt.Axis(labelAngle=0, labelOverlap=True)


def _legend() -> alt.Legend:
    return alt.Legend(title=None, orient="top", columns=2, labelLimit=150, offset=6)


def _whole() -> alt.Legend:
    """Of shades, with whole numbers alone."""
    whole = "datum.value % 1 ? '' : format(datum.value, ',')"
    return alt.Legend(title=None, orient="top", offset=6, labelExpr=whole)


def _text(time: pl.Expr) -> pl.Expr:
    """As tooltips would show it in the reader's own zone."""
    return time.dt.strftime("%Y-%m-%d %H:%M UTC")
