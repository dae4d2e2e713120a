"""The page in every state, as Streamlit runs it, without a browser."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import sample_lake
from answers import FOLDER, Answers
from conftest import CLOSED
from figures import amount
from millrace_lake import TABLES
from totals import ago

PAGE = Path(__file__).parents[1] / "live" / "page.py"


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Opens the page over a server and a lake."""
    st.cache_data.clear()

    def open_page(server: str, lake: Path | str, **settings: str) -> AppTest:
        monkeypatch.setenv("MILLRACE__ELASTICSEARCH__URL", server)
        monkeypatch.setenv("MILLRACE__LAKE_SINK__URL", str(lake))
        for name, value in settings.items():
            monkeypatch.setenv(f"MILLRACE__ELASTICSEARCH__{name}", value)
        app = AppTest.from_file(str(PAGE), default_timeout=60).run()
        assert not app.exception, app.exception
        return app

    return open_page


def metrics(app: AppTest) -> dict[str, str]:
    """By their labels; where both halves of the page have one, that of the upper half."""
    return {metric.label: metric.value for metric in reversed(app.metric)}


def charts(app: AppTest) -> int:
    return len(app.get("vega_lite_chart"))


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def test_without_elasticsearch_and_lake_it_says_what_to_start(page: Any, tmp_path: Path) -> None:
    app = page(CLOSED, tmp_path)
    [error] = app.error
    assert "does not answer at `http://127.0.0.1:9` (Connection refused)" in error.value
    assert "millrace up" in error.value
    assert [info.value for info in app.info] == [TABLES["transaction_aggregates"].how_to_start()]
    assert charts(app) == 0


def test_of_an_elasticsearch_without_documents_it_says_so(page: Any, answers: Answers, tmp_path: Path) -> None:
    answers.is_empty = True
    app = page(answers.url, tmp_path)
    assert not app.error
    assert app.info[0].value.startswith("No aggregate yet.")


def test_the_figures_are_those_that_elasticsearch_gave(page: Any, answers: Answers, sample: Path) -> None:
    app = page(answers.url, sample)
    assert not app.error
    shown = metrics(app)
    times = recorded("volume")["aggregations"]["times"]["buckets"]
    total = sum(bucket["purchaseCount"]["value"] + bucket["refundCount"]["value"] for bucket in times)
    assert total > 0
    assert shown["Transactions in the range"] == f"{total:,.0f}"
    assert shown["Fraud alerts in the range"] == f"{recorded('alerts')['hits']['total']['value']:,}"
    currency = recorded("volume")["aggregations"]["currencies"]["buckets"][0]["key"]
    money = recorded(f"money-{currency}")["aggregations"]
    assert shown[f"Purchases, {currency}"] == amount(money["purchaseSumUnits"]["value"], currency).text()
    assert charts(app) == 7


def test_another_currency_is_another_sum(page: Any, answers: Answers, tmp_path: Path) -> None:
    app = page(answers.url, tmp_path)
    first, second = [bucket["key"] for bucket in recorded("volume")["aggregations"]["currencies"]["buckets"]][:2]
    assert app.selectbox(key="currency").value == first
    app = app.selectbox(key="currency").select(second).run()
    assert not app.exception
    shown = metrics(app)
    money = recorded(f"money-{second}")["aggregations"]
    assert shown[f"Refunds, {second}"] == amount(money["refundSumUnits"]["value"], second).text()
    assert f"Refunds, {first}" not in shown


def test_a_range_that_is_chosen_is_asked_for(page: Any, answers: Answers, tmp_path: Path) -> None:
    app = page(answers.url, tmp_path)
    asked = len(answers.searches)
    app.segmented_control(key="range").set_value("6 h").run()
    spans = [body["query"]["bool"]["filter"][0]["range"]["@timestamp"] for _, body in answers.searches[asked + 1 :]]
    assert {span["lt"] - span["gte"] for span in spans} == {6 * 3_600_000}


def test_what_the_lake_has_is_shown_without_elasticsearch(page: Any, sample: Path) -> None:
    app = page(CLOSED, sample)
    assert len(app.error) == 1
    final = [row for row in sample_lake.aggregates() if row["revision"] == 0 and row["currency"] == "EUR"]
    assert metrics(app)["Purchases, EUR"] == f"{sum(row['purchase_sum'] for row in final):,.4f}"
    assert charts(app) == 2
    [table] = app.dataframe
    assert "purchases" in table.value.columns


def test_an_amount_that_no_float_holds_is_shown_exact(page: Any, sample: Path) -> None:
    app = page(CLOSED, sample)
    app = app.selectbox(key="lake_currency").select("USD").run()
    final = [row for row in sample_lake.aggregates() if row["revision"] == 0 and row["currency"] == "USD"]
    assert metrics(app)["Purchases, USD"] == f"{sum(row['purchase_sum'] for row in final):,.4f}"


def test_a_login_that_is_refused_is_told_without_the_password(page: Any, answers: Answers, tmp_path: Path) -> None:
    answers.status = 401
    app = page(answers.url, tmp_path, USERNAME="reader", PASSWORD="very-secret")
    [error] = app.error
    assert "refuses the login (401)" in error.value
    assert "very-secret" not in error.value
    assert answers.logins == ["Basic cmVhZGVyOnZlcnktc2VjcmV0"]


def test_part_of_an_answer_is_no_answer(page: Any, answers: Answers, tmp_path: Path) -> None:
    answers.changes = {"timed_out": True}
    app = page(answers.url, tmp_path)
    assert "choose a shorter range" in app.error[0].value


def test_a_lake_in_a_bucket_is_refused_by_name(page: Any) -> None:
    app = page(CLOSED, "s3://bucket/lake")
    assert "s3://bucket/lake" in app.error[1].value


def test_a_file_that_cannot_be_read_is_named(page: Any, tmp_path: Path) -> None:
    day = tmp_path / "transaction_aggregates" / "dt=2026-01-31"
    day.mkdir(parents=True)
    (day / "transaction_aggregates-0000-0-1.parquet").write_bytes(b"not Parquet")
    app = page(CLOSED, tmp_path)
    assert "could not be read" in app.error[1].value


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s ago"), (119, "119 s ago"), (120, "2 min ago"), (7_199, "119 min ago"), (7_200, "2 h ago")],
)
def test_how_long_ago_is_told_in_a_unit_that_fits(seconds: int, text: str) -> None:
    assert ago(dt.timedelta(seconds=seconds)) == text


def test_above_what_a_double_holds_a_sum_is_marked() -> None:
    assert amount(2.0**53 - 1, "EUR").text() == "900,719,925,474.0991"
    assert amount(2.0**53, "EUR").text().startswith("≈ ")
