"""Integers beyond what 64 bits or float64 hold, in CSV and JSON: none is rounded without a word."""

from __future__ import annotations

import gzip
import itertools
import json
import warnings
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyped_beam import DataFlow
from hyped_beam.aggregators import CountDistinct
from hyped_beam.errors import InputError
from hyped_beam.io.readers.csv import CsvReader
from hyped_beam.io.readers.json import JsonReader

EXACT = 1 << 53
IDS = [12345678901234567890123 + n for n in range(3)]


def write(folder, kind, parts):
    """Files of one column with values as they are to stand there."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(parts):
        if kind == "csv":
            (folder / f"{number}.csv").write_text("a\n" + "".join(f"{text}\n" for text in part))
        elif kind == "packed":
            text = "".join(f'{{"a": {text}}}\n' for text in part)
            (folder / f"{number}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
        elif kind == "nested":
            text = "".join(f'{{"a": [{{"b": {text}, "c": "x"}}], "d": 0.5}}\n' for text in part)
            (folder / f"{number}.jsonl").write_text(text)
        else:
            (folder / f"{number}.jsonl").write_text("".join(f'{{"a": {text}}}\n' for text in part))
    return CsvReader(folder) if kind == "csv" else JsonReader(folder)


def values_of(reader, kind):
    """The type that was found, the values, and what was said."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        feature = reader.features["a"]
    found = [
        value
        for part in reader.ranges()
        for batch in reader.read(part, ["a"])
        for value in batch["a"].to_pylist()
    ]
    if kind == "nested":
        feature = feature.feature["b"]
        found = [value[0]["b"] for value in found]
    return feature.dtype, found, [str(warning.message) for warning in said]


KINDS = ["csv", "json", "packed", "nested"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("parts", "dtype"),
    [
        ([[str(2**63)], ["1"]], "uint64"),
        ([["1"], [str(2**64 - 1)]], "uint64"),
        ([[str(2**63 - 1), str(-(2**63))]], "int64"),
        ([[str(2**63), "-1"]], "string"),
        ([["-1"], [str(2**63)]], "string"),
        ([[str(2**64)]], "string"),
        ([[str(-(2**63) - 1)]], "string"),
        ([["1"], [str(number) for number in IDS]], "string"),
        ([["0.5", str(EXACT)]], "float64"),
        ([["0.5", str(EXACT + 1)]], "string"),
        ([["0.5"], [str(-EXACT - 1)]], "string"),
        ([[str(EXACT + 1)], ["1e3"]], "string"),
        ([["1.0", "100000000000000000000"]], "float64"),
        ([["9" * 400]], "string"),
    ],
)
def test_what_numbers_become(tmp_path, kind, parts, dtype):
    found, values, said = values_of(write(tmp_path / "in", kind, parts), kind)
    texts = list(itertools.chain(*parts))
    assert found == dtype
    if dtype == "string":
        assert values == texts
        assert len(said) == 1
        assert "\n" not in said[0]
        assert "'a" in said[0]
        assert 'features={"a":' in said[0]
        assert str(tmp_path) in said[0]
    else:
        assert values == [float(text) if dtype == "float64" else int(text) for text in texts]
        assert said == []


@pytest.mark.filterwarnings("ignore:.*read as text")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(KINDS),
    parts=st.lists(
        st.lists(
            st.one_of(
                st.integers(-5, 5).map(str),
                st.integers(-(2**70), 2**70).map(str),
                st.sampled_from([2**53, 2**53 + 1, 2**63, 2**63 - 1, 2**64, 2**64 - 1, -(2**63), 10**20]).map(
                    str
                ),
                st.floats(allow_nan=False, allow_infinity=False).map(repr),
            ),
            min_size=1,
            max_size=4,
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_no_integer_is_another_one_when_it_is_read(tmp_path_factory, kind, parts):
    dtype, values, said = values_of(write(tmp_path_factory.mktemp("in"), kind, parts), kind)
    texts = list(itertools.chain(*parts))
    assert bool(said) == (dtype == "string")
    for text, value in zip(texts, values, strict=True):
        is_integer = text.lstrip("-").isdecimal()
        if dtype == "string":
            assert value == text
        elif is_integer:
            assert int(value) == int(text)
            assert float(text) == int(text) or dtype != "float64"
        else:
            assert value == float(text)


@pytest.mark.parametrize("kind", ["csv", "json"])
@pytest.mark.filterwarnings("ignore:.*read as text")
def test_ids_of_twenty_digits_stay_different(tmp_path, kind):
    reader = write(tmp_path / "in", kind, [[str(number) for number in IDS]])
    flow = DataFlow(features=reader)
    job = flow.job(source=reader).aggregate({"ids": CountDistinct().call(flow.src_features.a)})
    assert job.run(runner="local").aggregates == {"ids": 3}


@pytest.mark.parametrize("kind", ["csv", "json"])
@pytest.mark.parametrize(
    ("declared", "wanted"),
    [("string", str(IDS[0])), ("decimal128(38, 0)", IDS[0]), ("float64", float(IDS[0]))],
)
def test_what_is_declared_is_taken(tmp_path, kind, declared, wanted):
    reader = write(tmp_path / "in", kind, [[str(IDS[0])]])
    dtype, values, said = values_of(type(reader)(tmp_path / "in", features={"a": declared}), kind)
    assert (dtype, values, said) == (declared, [wanted], [])


def test_text_may_be_declared_for_numbers_in_json_and_for_nothing_else(tmp_path):
    path = tmp_path / "x.jsonl"
    row = {
        "a": [{"b": 5, "t": "2026-01-01", "n": 7, "f": 0.5, "y": True, "z": "text"}, None],
        "d": "2026-01-02",
    }
    path.write_text(json.dumps(row) + '\n{"a": null}\n')
    inner = {"b": "string", "t": "timestamp[s]", "n": "int32", "f": "float32", "y": "bool", "z": "string"}
    reader = JsonReader(path, features={"a": [inner], "d": "date32"})
    table = pa.Table.from_batches(
        [batch for part in reader.ranges() for batch in reader.read(part, ["a", "d"])]
    )
    (first, _), nothing = table["a"].to_pylist()
    assert (first["b"], first["n"], first["f"], first["y"], first["z"]) == ("5", 7, 0.5, True, "text")
    assert str(first["t"]) == "2026-01-01 00:00:00"
    assert nothing is None
    assert str(table["d"][0]) == "2026-01-02"
    path.write_text('{"a": 5}\n{"a": true}\n')
    with pytest.raises(InputError, match=r"x\.jsonl:2: column 'a' takes text or a number, not True"):
        values_of(JsonReader(path, features={"a": "string"}), "json")
    path.write_text('{"a": 5}\n')
    with pytest.raises(InputError, match=r"x\.jsonl"):
        values_of(JsonReader(path, features={"a": "binary"}), "json")


def test_floats_of_many_digits_stay_floats_beside_texts_of_digits(tmp_path):
    path = Path(tmp_path / "x.jsonl")
    path.write_text('{"a": 0.12345678901234567, "s": "12345678901234567890"}\n{"a": 12345678901234567.5}\n')
    assert values_of(JsonReader(path), "json")[0] == "float64"
