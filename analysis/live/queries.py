"""The searches of the page: each of one stream, bounded in documents, buckets and time.

Elasticsearch has one document of each window, its newest result, so that sums need no choice of
versions; those of windows that are still open have a negative revision, and are told of.
"""

from typing import Any

from elastic import Search
from span import Span

CURRENCIES = 50
MERCHANTS = 10
MERCHANTS_A_SHARD = 5_000
"""So many of each month are compared, so that a merchant of two months is ranked by both."""
RULES = 20
ALERTS = 20
DEVICES = 2_000


def newest() -> Search:
    """The newest window: the index alone answers that, without a look at documents."""
    return Search("millrace-aggregates", {"size": 0, "aggs": {"newest": {"max": {"field": "@timestamp"}}}})


def volume(span: Span) -> Search:
    """Transactions by time, of all currencies, which counts may be; and which currencies there are."""
    counts = {name: {"sum": {"field": name}} for name in ("purchaseCount", "refundCount")}
    return _within(
        span,
        "millrace-aggregates",
        {
            "times": {"date_histogram": span.histogram(), "aggs": counts},
            "currencies": {
                "terms": {"field": "currency", "size": CURRENCIES, "order": {"purchaseCount": "desc"}},
                "aggs": {"purchaseCount": counts["purchaseCount"]},
            },
            "open": {"filter": {"range": {"revision": {"lt": 0}}}},
            "closed": {
                "filter": {"term": {"revision": 0}},
                "aggs": {"windowEnd": {"max": {"field": "windowEnd"}}},
            },
        },
    )


def money(span: Span, currency: str) -> Search:
    """Purchases and refunds of one currency: by time, in all, and of the merchants with the most."""
    sums = {name: {"sum": {"field": name}} for name in ("purchaseSumUnits", "refundSumUnits")}
    counts = {name: {"sum": {"field": name}} for name in ("purchaseCount", "refundCount")}
    merchants = {
        "field": "merchantId",
        "size": MERCHANTS,
        "shard_size": MERCHANTS_A_SHARD,
        "order": {"purchaseSumUnits": "desc"},
    }
    return _within(
        span,
        "millrace-aggregates",
        {
            "times": {"date_histogram": span.histogram(), "aggs": sums},
            "merchants": {"terms": merchants, "aggs": sums | counts},
            **sums,
        },
        {"term": {"currency": currency}},
    )


def alerts(span: Span) -> Search:
    """Alerts by time and rule and by severity, and the newest of them."""
    rules = {"terms": {"field": "rule", "size": RULES}}
    body = _within(
        span,
        "millrace-anomalies",
        {
            "times": {"date_histogram": span.histogram(), "aggs": {"rules": rules}},
            "severities": {"terms": {"field": "severity", "size": 4}},
        },
    ).body
    shown = ["@timestamp", "rule", "severity", "entityType", "entity", "score"]
    newest_first = [{"@timestamp": "desc"}]
    return Search("millrace-anomalies", {**body, "size": ALERTS, "sort": newest_first, "_source": shown})


def funnel(span: Span) -> Search:
    """How far sessions that began in the span came, and what they paid."""
    return _within(
        span,
        "millrace-funnels",
        {
            "reached": {"terms": {"field": "reached", "size": 5}},
            "revenueUnits": {"sum": {"field": "revenueUnits"}},
        },
    )


def devices(span: Span) -> Search:
    """What is known last of each device heard in the span: a month's index has one document of it."""
    return Search(
        "millrace-devices",
        {
            "size": DEVICES,
            "track_total_hits": True,
            "query": {"bool": {"filter": [span.filter()]}},
            "collapse": {"field": "deviceId"},
            "sort": [{"@timestamp": "desc"}],
            "_source": ["@timestamp", "deviceId", "temp", "humidity", "openAlerts", "silent"],
        },
    )


def _within(span: Span, index: str, aggs: dict[str, Any], *filters: dict[str, Any]) -> Search:
    query = {"bool": {"filter": [span.filter(), *filters]}}
    return Search(index, {"size": 0, "track_total_hits": True, "query": query, "aggs": aggs})
