import datetime as dt
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from millrace_lake import TABLES, Lake, LakeError, first_of_each, money, newest_of_each
from sample_lake import BEYOND_FLOAT, COUNT, aggregates, transactions


def test_a_transaction_that_was_sent_again_is_its_first_row(sample: Path) -> None:
    once = first_of_each(Lake(sample).scan("transactions"), ["transaction_id"]).collect()
    expected = {row["transaction_id"]: row["amount"] for row in reversed(transactions())}
    assert dict(once.select("transaction_id", "amount").iter_rows()) == expected
    assert once.height == COUNT + 1


def test_a_window_is_its_newest_version(sample: Path) -> None:
    windows = newest_of_each(
        Lake(sample).scan("transaction_aggregates"), ["merchant_id", "currency", "window_start"]
    ).collect()
    assert windows["revision"].value_counts().sort("revision").rows() == [(-30_000, 1), (0, COUNT)]
    final = windows.filter(pl.col("revision") == 0)
    expected = sum((row["purchase_sum"] for row in aggregates() if row["revision"] == 0), Decimal(0))
    assert final["purchase_sum"].sum() == expected


def test_the_order_of_rows_does_not_decide_which_is_the_newest() -> None:
    rows = pl.LazyFrame({"id": [1, 1, 1, 2], "revision": [-10, 0, -20, -5], "kafka_offset": [9, 3, 12, 1]})
    assert sorted(newest_of_each(rows, ["id"]).collect().rows()) == [(1, 0, 3), (2, -5, 1)]


def test_an_amount_that_no_float_holds_is_exact(sample: Path) -> None:
    largest = Lake(sample).scan("transactions").select(pl.col("amount").max()).collect().item()
    assert largest == BEYOND_FLOAT
    assert Decimal(float(BEYOND_FLOAT)) != BEYOND_FLOAT
    assert money(largest, "USD") == "12,345,678,901,234.5678 USD"


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0.00"),
        ("7", "7.00"),
        ("1234.5", "1,234.50"),
        ("1234.5000", "1,234.50"),
        ("0.1234", "0.1234"),
        ("0.1230", "0.1230"),
        ("-1234567.8900", "-1,234,567.89"),
        ("1E+3", "1,000.00"),
    ],
)
def test_money_has_two_decimals_or_all_four(amount: str, text: str) -> None:
    assert money(Decimal(amount)) == text


def test_days_are_those_of_the_rows_and_may_be_chosen(sample: Path) -> None:
    lake = Lake(sample)
    first, second = dt.date(2026, 1, 30), dt.date(2026, 1, 31)
    assert lake.days("transactions") == [first, second]
    late = lake.scan("transactions", until=first).filter(pl.col("kafka_offset") >= COUNT).collect()
    # What came a day late is in the folder of its own day; the copies are of the same day.
    assert late.height == 3
    of_second = lake.scan("transactions", since=second).select(pl.len()).collect().item()
    assert of_second == COUNT - 360


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake(tmp_path)
    assert not lake.has("transactions")
    assert lake.files("transactions") is None
    with pytest.raises(LakeError, match="no file of transactions"):
        lake.scan("transactions")
    assert "`commerce.enabled: true` and `lake_sink.enabled: true`" in TABLES["funnels"].how_to_start()
    monkeypatch.setenv("MILLRACE__LAKE_SINK__URL", "s3://bucket/lake")
    with pytest.raises(LakeError, match="s3://bucket/lake"):
        Lake.configured()
