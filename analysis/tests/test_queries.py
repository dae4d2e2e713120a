"""The page's searches ask for what the index templates have, and are bounded."""

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import queries
from elastic import Search
from span import RANGES, Span, millis, span

MAPPINGS = Path(__file__).parents[2] / "crates" / "catalog" / "mappings"
FILES = {
    "millrace-aggregates": "aggregates.json",
    "millrace-anomalies": "anomalies.json",
    "millrace-funnels": "funnels.json",
    "millrace-devices": "devices.json",
}
OF_NUMBERS = {"sum", "max"}
OF_WORDS = {"terms", "term", "collapse"}
NOW = dt.datetime(2026, 1, 31, 12, 7, 30, tzinfo=dt.UTC)
SPAN = span("1 h", NOW, NOW)
SEARCHES = [
    queries.newest(),
    queries.volume(SPAN),
    queries.money(SPAN, "EUR"),
    queries.alerts(SPAN),
    queries.funnel(SPAN),
    queries.devices(SPAN),
]


def fields(part: Any, by: str = "") -> Iterator[tuple[str, str]]:
    """Each field that a search names, with what is done with it."""
    if isinstance(part, list):
        for inner in part:
            yield from fields(inner, by)
    if not isinstance(part, dict):
        return
    for key, value in part.items():
        if key == "field":
            yield by, value
        elif key in ("term", "range"):
            yield from ((key, name) for name in value)
        elif key == "sort":
            yield from (("sort", name) for order in value for name in order)
        elif key == "_source":
            yield from (("source", name) for name in value)
        else:
            yield from fields(value, key)


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.index)
def test_every_field_is_in_the_template_and_of_a_fitting_type(search: Search) -> None:
    types = json.loads((MAPPINGS / FILES[search.index]).read_text())["properties"]
    asked = list(fields(search.body))
    assert asked
    for by, name in asked:
        assert name in types, f"{search.index} has no {name}"
        kind = types[name]["type"]
        if by in OF_NUMBERS:
            assert kind in ("long", "double", "date"), (by, name, kind)
        if by in OF_WORDS:
            assert kind in ("keyword", "long"), (by, name, kind)
        if by in ("date_histogram", "sort"):
            assert kind == "date", (by, name, kind)


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.index)
def test_searches_are_bounded(search: Search) -> None:
    assert search.body["size"] <= queries.DEVICES
    # The newest window is known without a look at documents.
    assert search == queries.newest() or "range" in json.dumps(search.body["query"])


@pytest.mark.parametrize("name", RANGES)
def test_a_range_has_a_hundred_steps_or_so_and_ends_with_that_of_now(name: str) -> None:
    length, step = RANGES[name]
    shown = span(name, NOW, NOW)
    assert 10 <= length / step <= 120
    assert shown.start < NOW < shown.end <= NOW + step
    assert millis(shown.start) % millis(dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + step) == 0


def test_of_data_that_has_ended_its_end_is_shown() -> None:
    ended = NOW - dt.timedelta(days=300)
    shown = span("1 h", NOW, ended)
    assert shown == Span(
        dt.datetime(2025, 4, 6, 11, 8, tzinfo=dt.UTC), dt.datetime(2025, 4, 6, 12, 8, tzinfo=dt.UTC), SPAN.step
    )
