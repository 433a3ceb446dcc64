"""What the tests of the results of `apply` share: a dataset on the disk, and a node over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets

from hyped_beam import DataFlow, Processor


def saved(folder: Path, values: list[int] | None = None) -> datasets.Dataset:
    values = list(range(100)) if values is None else values
    made = datasets.Dataset.from_dict({"n": values, "text": [f"t{value}" for value in values]})
    made.save_to_disk(folder)
    return datasets.load_from_disk(folder)


class Times(Processor):
    factor: int = 2

    def process_row(self, n: int) -> int:
        return self.factor * n


def applied(data: Any, node: Any = None, **options: Any) -> datasets.Dataset:
    flow = DataFlow(features=data.features)
    made = (node or Times()).call(flow.src_features.n)
    return flow.apply(data, collect={"m": made}, **options)[0]
