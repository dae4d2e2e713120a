"""What several tests need."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import sample_lake
from answers import Answers

CLOSED = "http://127.0.0.1:9"
"""Where nothing listens."""


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample lake; nobody writes to it."""
    folder = tmp_path_factory.mktemp("lake")
    sample_lake.write(folder)
    return folder


@pytest.fixture
def answers() -> Iterator[Answers]:
    """A server that gives the recorded answers of an Elasticsearch."""
    with Answers.serving() as server:
        yield server
