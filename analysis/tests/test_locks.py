"""What is checked here is what the images have."""

import re
from pathlib import Path

import pytest

ANALYSIS = Path(__file__).parents[1]


def locked(path: str) -> dict[str, str]:
    found = re.findall(r"^([\w.-]+)==(\S+)", (ANALYSIS / path).read_text(), re.MULTILINE)
    return dict(found)


@pytest.mark.parametrize("image", ["notebook", "live"])
def test_an_image_has_the_versions_that_are_checked(image: str) -> None:
    checked, has = locked("requirements.txt"), locked(f"{image}/requirements.txt")
    both = checked.keys() & has.keys()
    assert {"polars"} < both
    assert {name: has[name] for name in both} == {name: checked[name] for name in both}
