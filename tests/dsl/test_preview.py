"""The first rows of whatever holds rows."""

from __future__ import annotations

from typing import Any

import datasets
import pandas as pd
import pyarrow as pa
import pytest

from hyped_beam import DataFlow, processor
from hyped_beam.errors import DefinitionError, DefinitionTypeError, InputError

ROWS = {"n": list(range(8)), "t": [str(n) for n in range(8)]}
DATASET = datasets.Dataset.from_dict(ROWS)
FLOW = DataFlow(features=DATASET)
SRC = FLOW.src_features


SOURCES: dict[str, Any] = {
    "dataset": DATASET,
    "shuffled and back": DATASET.select(range(8)),
    "dict": datasets.DatasetDict({"train": DATASET, "test": DATASET.select([0])}),
    "iterable": DATASET.to_iterable_dataset(),
    "iterable dict": datasets.IterableDatasetDict({"train": DATASET.to_iterable_dataset()}),
    "lists": ROWS,
    "table": pa.table(ROWS),
    "record batch": pa.table(ROWS).to_batches()[0],
    "numpy": DATASET.with_format("numpy"),
}


@pytest.mark.parametrize("source", SOURCES)
def test_the_first_rows_as_a_frame(source: str):
    frame = FLOW.preview(SOURCES[source], collect={"m": SRC.n + 1, "u": SRC.t}, n=3)
    assert list(frame.columns) == ["m", "u"]
    assert frame["m"].tolist() == [1, 2, 3]
    assert "<table" in frame._repr_html_()


def test_all_columns_are_shown_in_a_terminal_and_in_a_notebook(monkeypatch: pytest.MonkeyPatch):
    names = [f"column_{number:02}" for number in range(30)]
    frame = FLOW.preview(DATASET, collect={name: SRC.n + at for at, name in enumerate(names)}, n=2)
    for columns in ("40", "80", "500"):
        monkeypatch.setenv("COLUMNS", columns)
        shown = repr(frame)
        assert str(frame) == shown
        assert all(name in shown for name in names)
        assert "..." not in shown
        assert max(map(len, shown.splitlines())) <= int(columns)
    assert all(name in frame._repr_html_() for name in names)


def test_a_preview_is_a_frame_like_any_other():
    frame = FLOW.preview(DATASET, collect={"m": SRC.n, "t": SRC.t.repeat(99)}, n=3)
    assert isinstance(frame, pd.DataFrame)
    assert type(frame[["m"]]) is pd.DataFrame
    assert frame["m"].sum() == 3
    assert max(map(len, repr(frame).splitlines())) < 80


def test_no_more_rows_than_there_are_and_five_by_default():
    assert len(FLOW.preview(DATASET, collect=SRC)) == 5
    assert len(FLOW.preview(DATASET, collect=SRC, n=100)) == 8
    assert len(FLOW.preview(DATASET.select([]), collect=SRC)) == 0
    built, _ = FLOW.build(collect={"m": SRC.n})
    assert built.preview(DATASET)["m"].tolist() == [0, 1, 2, 3, 4]


def test_only_the_rows_that_are_shown_are_computed():
    seen: list[int] = []

    @processor
    def note(n: int) -> int:
        seen.append(n)
        return n

    FLOW.preview(DATASET, collect={"n": note.call(SRC.n)}, n=2)
    assert seen == [0, 1]


def test_what_is_wrong_is_said():
    with pytest.raises(DefinitionTypeError, match=r"preview\(\) takes a dataset or a batch, got int"):
        FLOW.preview(3, collect=SRC)
    with pytest.raises(InputError, match="no column 't'"):
        FLOW.preview({"n": [1]}, collect=SRC)
    with pytest.raises(DefinitionError, match="n= is"):
        FLOW.preview(DATASET, collect=SRC, n=-1)
