"""A dataset with every Hugging Face feature that a file can hold, with nulls."""

from __future__ import annotations

import datetime
import decimal

import datasets
import numpy as np
import pyarrow as pa
from datasets import Array2D, Array3D, Audio, ClassLabel, Image, LargeList, List, Translation, Value

DAY = datetime.datetime(2024, 2, 29, 23, 59, 58, 123_000)  # noqa: DTZ001 - a time without a zone

JSON_CASES = {
    "text": (Value("string"), ["a", None, 'q"u\\o\nte\té😀\x01']),
    "large_text": (Value("large_string"), ["a", None, ""]),
    "flag": (Value("bool"), [True, None, False]),
    "small": (Value("int8"), [-128, None, 127]),
    "big": (Value("int64"), [2**63 - 1, None, -(2**63)]),
    "unsigned": (Value("uint32"), [2**32 - 1, None, 0]),
    "single": (Value("float32"), [0.5, None, -3.0]),
    "double": (Value("float64"), [0.1, None, 1e300]),
    "label": (ClassLabel(names=["ham", "spam"]), [1, None, 0]),
    "list": (List(Value("int32")), [[1, None], None, []]),
    "fixed": (List(Value("int32"), length=2), [[1, 2], [3, 4], [5, 6]]),
    "nested": (
        List({"a": Value("string"), "b": List(Value("float64"))}),
        [[{"a": "x", "b": [1.0]}], None, []],
    ),
    "struct": (
        {"x": Value("int64"), "y": {"z": Value("string")}},
        [{"x": 1, "y": {"z": "q"}}, None, {"x": None, "y": None}],
    ),
    "date": (Value("date32"), [DAY.date(), None, datetime.date(1969, 12, 31)]),
    "naive": (Value("timestamp[us]"), [DAY, None, DAY]),
    "zoned": (Value("timestamp[ms, tz=UTC]"), [DAY, None, DAY]),
    "pair": (
        Translation(languages=["de", "en"]),
        [{"de": "Haus", "en": "house"}, None, {"de": None, "en": ""}],
    ),
}

BINARY_CASES = {
    **JSON_CASES,
    "bytes": (Value("binary"), [b"\x00\xff", None, b""]),
    "large_list": (LargeList(Value("string")), [["a"], None, []]),
    "decimal": (Value("decimal128(10, 2)"), [decimal.Decimal("1.10"), None, decimal.Decimal(-2)]),
    "time": (Value("time64[us]"), [DAY.time(), None, DAY.time()]),
    "duration": (Value("duration[us]"), [datetime.timedelta(days=1), None, datetime.timedelta(0)]),
    "half": (Value("float16"), [np.float16(1.5), None, np.float16(0)]),
    "matrix": (Array2D(shape=(2, 2), dtype="float32"), [[[1, 2], [3, 4]], None, [[5, 6], [7, 8]]]),
    "cube": (Array3D(shape=(1, 1, 2), dtype="int64"), [[[[1, 2]]], [[[3, 4]]], None]),
    "image": (Image(decode=False), [{"bytes": b"png", "path": None}, None, {"bytes": None, "path": "a.png"}]),
    "audio": (Audio(decode=False), [{"bytes": b"wav", "path": None}, None, {"bytes": None, "path": "a.wav"}]),
}


def table_of(cases: dict) -> pa.Table:
    """The cases as a table of three rows, in exactly the types that `datasets` stores."""
    from hyped_beam.types.arrays import from_values

    features = datasets.Features({name: feature for name, (feature, _) in cases.items()})
    schema = features.arrow_schema
    columns = [
        from_values(values, field.type) for (_, values), field in zip(cases.values(), schema, strict=True)
    ]
    return pa.table(columns, schema=schema)
