"""Building Prism: it stops where the sources are not those that it was written for."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "runners" / "prism" / "build.py"


@pytest.fixture(scope="module")
def build() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def sources(folder: Path, build: dict[str, Any], times: int) -> None:
    """Files that hold what is to be replaced, the last of it some number of times."""
    *most, last = build["REPLACEMENTS"]
    for file, old, _ in [*most, *[last] * times]:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        with (folder / file).open("a") as made:
            made.write(old)


def test_what_is_there_once_is_replaced(build: dict[str, Any], tmp_path: Path):
    sources(tmp_path, build, times=1)
    build["change"](tmp_path)
    for file, old, new in build["REPLACEMENTS"]:
        text = (tmp_path / file).read_text()
        assert new in text
        assert old not in text or old in new
    assert "127.0.0.1" in next(tmp_path.rglob("listen.go")).read_text()


@pytest.mark.parametrize("times", [0, 2])
def test_what_is_not_there_exactly_once_ends_the_build(build: dict[str, Any], tmp_path: Path, times: int):
    sources(tmp_path, build, times)
    (tmp_path / build["REPLACEMENTS"][-1].file).touch()
    with pytest.raises(
        SystemExit, match=rf"environments\.go of Beam .* has these lines {times} times, not once"
    ):
        build["change"](tmp_path)
