"""Records anew what an Elasticsearch with documents of all streams answers to the page's searches.

cd analysis && PYTHONPATH=.:live:tests python tests/record_answers.py http://127.0.0.1:9200
"""

import datetime as dt
import json
import sys
from typing import Any

import queries
from answers import FOLDER, name
from elastic import Elasticsearch, Search
from figures import newest, volume
from span import span

RANGE = "15 min"
CURRENCIES = 2
DOCUMENTS = 60
"""More of one answer are not kept."""


def main(url: str) -> None:
    """Of the range in which the server's data ends."""
    server = Elasticsearch.configured({"MILLRACE__ELASTICSEARCH__URL": url})

    def keep(search: Search) -> dict[str, Any]:
        [answer] = server.search([search])
        answer["hits"]["hits"] = answer["hits"]["hits"][:DOCUMENTS]
        path = FOLDER / f"{name({'index': f'{search.index}-*'}, dict(search.body))}.json"
        path.write_text(json.dumps(answer, indent=1) + "\n")
        return answer

    FOLDER.mkdir(exist_ok=True)
    end = newest(keep(queries.newest()))
    if end is None:
        sys.exit(f"{url} has no aggregate: start the stream by `millrace up`")
    shown = span(RANGE, dt.datetime.now(dt.UTC), end)
    for query in (queries.alerts, queries.funnel, queries.devices):
        keep(query(shown))
    for currency in volume(keep(queries.volume(shown))).currencies[:CURRENCIES]:
        keep(queries.money(shown, currency))


if __name__ == "__main__":
    main(sys.argv[1])
