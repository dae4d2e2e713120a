"""Asks Elasticsearch: one bounded request for several searches, and errors that say what to do."""

import base64
import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

TIMEOUT_S = 5.0
"""Of a request; each search is told to give up after a little less."""

Answer = dict[str, Any]


class ElasticError(Exception):
    """Why there is no answer, and what to do."""


@dataclass(frozen=True)
class Search:
    """A search of one stream's indices."""

    index: str
    """Before any prefix, and before the month, as `millrace-aggregates`."""
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Elasticsearch:
    """A server, by the settings that the services have."""

    url: str
    prefix: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: str | None = None

    @classmethod
    def configured(cls, variables: Mapping[str, str] = os.environ) -> Self:
        """By `MILLRACE__ELASTICSEARCH__URL`, `__INDEX_PREFIX`, `__API_KEY` and so on."""

        def setting(name: str) -> str | None:
            value = variables.get(f"MILLRACE__ELASTICSEARCH__{name}", "")
            return value if value not in ("", "null") else None

        headers = {"Content-Type": "application/x-ndjson", "Accept": "application/json"}
        if key := setting("API_KEY"):
            headers["Authorization"] = f"ApiKey {key}"
        elif user := setting("USERNAME"):
            login = f"{user}:{setting('PASSWORD') or ''}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(login).decode()}"
        url = (setting("URL") or "http://127.0.0.1:9200").rstrip("/")
        return cls(url, setting("INDEX_PREFIX") or "", headers, setting("TLS__CA_FILE"))

    def search(self, searches: Sequence[Search]) -> list[Answer]:
        """Their answers, in their order; of a stream without an index, one without hits."""
        lines = []
        for search in searches:
            lines.append({"index": f"{self.prefix}{search.index}-*", "ignore_unavailable": True})
            lines.append({"timeout": f"{TIMEOUT_S - 1:.0f}s", **search.body})
        body = "".join(json.dumps(line) + "\n" for line in lines)
        answers = self._post("/_msearch", body.encode())["responses"]
        for search, answer in zip(searches, answers, strict=True):
            if "error" in answer:
                raise ElasticError(f"Elasticsearch refuses a search of {search.index}: {_reason(answer['error'])}")
            if answer["timed_out"] or answer["_shards"]["failed"]:
                raise ElasticError(
                    f"Elasticsearch could not search all of {search.index} within {TIMEOUT_S:.0f} s: choose a "
                    "shorter range, or look at its load."
                )
        return list(answers)

    def _post(self, path: str, body: bytes) -> Answer:
        # What is in the address of a login is not shown.
        place = urlsplit(self.url)
        shown = f"{place.scheme}://{place.hostname}:{place.port or ''}".rstrip(":")
        request = urllib.request.Request(self.url + path, body, dict(self.headers))
        context = ssl.create_default_context(cafile=self.ca_file) if place.scheme == "https" else None
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=context) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            raise ElasticError(_refused(shown, error.code)) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            reason = getattr(reason, "strerror", None) or reason
            raise ElasticError(
                f"Elasticsearch does not answer at `{shown}` ({reason}). Start it by `millrace up`, or name another "
                "by `MILLRACE__ELASTICSEARCH__URL`."
            ) from error
        if not isinstance(answer, dict):
            raise ElasticError(f"What answers at `{shown}` is not Elasticsearch.")
        return answer


def _refused(place: str, status: int) -> str:
    if status in (401, 403):
        return (
            f"Elasticsearch at `{place}` refuses the login ({status}): set `MILLRACE__ELASTICSEARCH__API_KEY`, or "
            "`…__USERNAME` and `…__PASSWORD`, of one who may read `millrace-*`."
        )
    if status == 429:
        return f"Elasticsearch at `{place}` is busy (429): wait a moment, or choose a shorter range."
    return f"Elasticsearch at `{place}` answers {status}: look at its log."


def _reason(error: Any) -> str:
    return str(error.get("reason", error)) if isinstance(error, dict) else str(error)
