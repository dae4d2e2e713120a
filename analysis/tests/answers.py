"""What a real Elasticsearch answered to the page's searches, given again."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

FOLDER = Path(__file__).with_name("answers")
NO_INDEX = {
    "took": 0,
    "timed_out": False,
    "_shards": {"total": 0, "successful": 0, "skipped": 0, "failed": 0},
    "hits": {"total": {"value": 0, "relation": "eq"}, "max_score": 0.0, "hits": []},
    "status": 200,
}
"""What Elasticsearch answers where no index is of the pattern."""


@dataclass
class Answers:
    """A server of recorded answers, and the searches that it was sent."""

    url: str = ""
    status: int = 200
    is_empty: bool = False
    """Whether it has no index."""
    changes: dict[str, Any] = field(default_factory=dict)
    """What is put over every answer."""
    searches: list[tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    """Headers and bodies."""
    logins: list[str | None] = field(default_factory=list)

    @classmethod
    @contextmanager
    def serving(cls) -> Iterator[Self]:
        """While the block runs, on a free port."""
        answers = cls()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = self.rfile.read(int(self.headers["Content-Length"]))
                answers.logins.append(self.headers["Authorization"])
                body = json.dumps({"responses": answers.to(sent)}).encode()
                self.send_response(answers.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Nothing is logged."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        answers.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield answers
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def to(self, sent: bytes) -> list[dict[str, Any]]:
        """The answers to the lines of a multi-search."""
        lines = [json.loads(line) for line in sent.splitlines()]
        pairs = list(zip(lines[::2], lines[1::2], strict=True))
        self.searches += pairs
        return [self._to(header, body) | self.changes for header, body in pairs]

    def _to(self, header: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        if self.is_empty:
            return NO_INDEX
        found: dict[str, Any] = json.loads((FOLDER / f"{name(header, body)}.json").read_text())
        return found


def name(header: dict[str, Any], body: dict[str, Any]) -> str:
    """Which search that is: the page's name of its query."""
    if "newest" in body.get("aggs", {}):
        return "newest"
    stream = header["index"].removeprefix("millrace-").removesuffix("-*")
    if stream != "aggregates":
        return {"anomalies": "alerts", "funnels": "funnel", "devices": "devices"}[stream]
    terms = [filter_["term"] for filter_ in body["query"]["bool"]["filter"] if "term" in filter_]
    return f"money-{terms[0]['currency']}" if terms else "volume"
