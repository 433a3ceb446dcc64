"""The stable hash, against its definition in plain Python."""

from __future__ import annotations

import datetime
import decimal
import struct
import subprocess
import sys

import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError
from hyped_beam.testing import evaluate, flow_of

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(x):
    x &= MASK
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & MASK
    return x ^ (x >> 31)


def words(parts, tag, length=None):
    total = sum(mix(part + GOLDEN * (number + 1)) for number, part in enumerate(parts))
    return mix(total + GOLDEN * (len(parts) if length is None else length) + tag)


def hash_of(value):
    """The definition at the top of hashing.py."""
    if value is None:
        return mix(0xA0761D6478BD642F)
    if isinstance(value, (bool, int)):
        return mix(value + 1)
    if isinstance(value, float):
        normal = float("nan") if value != value else value + 0.0  # noqa: PLR0124 - NaN
        bits = struct.unpack("<Q", struct.pack("<d", normal))[0] if normal == normal else 0x7FF8000000000000  # noqa: PLR0124
        return mix(bits + 2)
    if isinstance(value, str):
        return hash_of(value.encode())
    if isinstance(value, bytes):
        padded = value + bytes(-len(value) % 8)
        return words(struct.unpack(f"<{len(padded) // 8}Q", padded), 4, len(value))
    if isinstance(value, dict):
        return words([hash_of(item) for _, item in sorted(value.items())], 6)
    return words([hash_of(item) for item in value], 5)


def hashes(values, kind, seed=0):
    table = pa.table({"x": pa.array(values, kind)})
    ref = flow_of(table.schema)["x"]
    from hyped_beam.processors.hashing import Hash

    result = evaluate(Hash(seed=seed).call(ref), table)
    assert result.type == pa.uint64()
    return result.to_pylist()


def finished(value, seed=0):
    return mix(hash_of(value) + mix(seed + GOLDEN))


TYPES = [
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.int8(), st.integers(-128, 127)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.bool_(), st.booleans()),
    (pa.float64(), st.floats()),
    (pa.float16(), st.floats(width=16)),
    (pa.string(), st.text()),
    (pa.large_string(), st.text()),
    (pa.binary(), st.binary()),
    (pa.binary(3), st.binary(min_size=3, max_size=3)),
    (pa.list_(pa.int64()), st.lists(st.none() | st.integers(-9, 9), max_size=3)),
    (pa.large_list(pa.string()), st.lists(st.none() | st.text(max_size=9), max_size=3)),
    (pa.list_(pa.int8(), 2), st.lists(st.none() | st.integers(-9, 9), min_size=2, max_size=2)),
    (
        pa.struct({"a": pa.int64(), "b": pa.list_(pa.string())}),
        st.fixed_dictionaries(
            {"a": st.none() | st.integers(0, 9), "b": st.none() | st.lists(st.text(max_size=9))}
        ),
    ),
]


@pytest.mark.parametrize(("kind", "values"), TYPES, ids=lambda value: str(value)[:20])
@settings(max_examples=20)
@given(data=st.data())
def test_the_hash_is_the_one_that_is_defined(kind, values, data):
    rows = data.draw(st.lists(st.none() | values, max_size=6))
    seed = data.draw(st.sampled_from([0, 1, 2**64 - 1]))
    assert hashes(rows, kind, seed) == [finished(value, seed) for value in rows]


def test_the_hash_never_changes():
    assert hashes(["", "a", "mail", "longer than a word", None], pa.string()) == KNOWN_TEXT
    assert hashes([0, 1, -1], pa.int64()) == KNOWN_INTEGERS
    assert hashes(["a"], pa.string(), seed=7) == KNOWN_SEED


KNOWN_TEXT = [
    0xF6E5077B95EC61D4,
    0xACACE3E472021B03,
    0x16883E2EC6A4D81B,
    0x515DA0A8117C7FF2,
    0x214D6F82645F9D03,
]
KNOWN_INTEGERS = [0x9D04F601B5DC885A, 0x1D0E9273513727CE, 0x48218226FF3CD4BF]
KNOWN_SEED = [0x3E087A29E109B50F]


def test_the_width_of_a_type_makes_no_difference():
    assert hashes([-5], pa.int8()) == hashes([-5], pa.int64())
    assert hashes([5], pa.uint16()) == hashes([5], pa.int64())
    assert hashes([0.5], pa.float32()) == hashes([0.5], pa.float64())
    assert hashes([-0.0], pa.float64()) == hashes([0.0], pa.float64())
    assert (
        hashes(["é"], pa.string()) == hashes(["é"], pa.large_string()) == hashes(["é".encode()], pa.binary())
    )
    assert hashes([[1]], pa.list_(pa.int8())) == hashes([[1]], pa.large_list(pa.int64()))
    nans = np.array([0x7FF8000000000001, 0xFFF8000000000000], np.uint64).view(np.float64)
    assert len(set(hashes(nans, pa.float64()))) == 1


def test_times_and_decimals_have_hashes():
    day = datetime.date(2024, 1, 1)
    assert hashes([day, None], pa.date32()) == [finished(19723), finished(None)]
    assert hashes([datetime.timedelta(seconds=3)], pa.duration("s")) == [finished(3)]
    prices = [decimal.Decimal("-1.25"), decimal.Decimal("1.25"), None]
    found = hashes(prices, pa.decimal128(10, 2))
    assert found[0] == mix(words([-125 & MASK, MASK], 3) + mix(GOLDEN))
    assert found[1] == mix(words([125, 0], 3) + mix(GOLDEN))
    assert found[2] == finished(None)
    assert len(set(hashes(prices, pa.decimal256(40, 2)))) == 3


def test_different_shapes_have_different_hashes():
    lists = [[], [None], [1], [1, 2], [2, 1], [1, None], [0], None]
    assert len(set(hashes(lists, pa.list_(pa.int64())))) == len(lists)
    texts = ["", "\0", "\0\0", "a", "a\0", "ab" * 4, "ab" * 5, "b" * 8 + "a" * 8, "a" * 8 + "b" * 8]
    assert len(set(hashes(texts, pa.string()))) == len(texts)


def test_hashes_spread_evenly():
    numbers = np.array(hashes(range(20_000), pa.int64()), np.uint64)
    texts = np.array(hashes([f"mail-{number}" for number in range(20_000)], pa.string()), np.uint64)
    for found in (numbers, texts, numbers >> np.uint64(32), texts >> np.uint64(40)):
        counts = np.bincount((found % np.uint64(10)).astype(int), minlength=10)
        assert counts.min() > 1_800
        assert counts.max() < 2_200


def test_seeds_give_unrelated_hashes():
    one, two = (
        np.array(hashes(range(20_000), pa.int64(), seed), np.uint64) % np.uint64(2) for seed in (0, 1)
    )
    assert 9_500 < int((one == two).sum()) < 10_500


def test_slices_hash_as_the_whole():
    for values, kind in [
        (["a", None, "b" * 20, ""], pa.string()),
        ([[1], None, [], [2, 3]], pa.list_(pa.int64())),
        ([1.5, None, 2.0, 3.0], pa.float64()),
        ([True, None, False, True], pa.bool_()),
        ([{"a": "x"}, None, {"a": None}, {"a": "y"}], pa.struct({"a": pa.string()})),
        ([decimal.Decimal(1), None, decimal.Decimal(2), decimal.Decimal(3)], pa.decimal128(5, 0)),
    ]:
        from hyped_beam.processors.hashing import Hash

        table = pa.table({"x": pa.array(values, kind)})
        ref = Hash().call(flow_of(table.schema)["x"])
        whole = evaluate(ref, table).to_pylist()
        assert evaluate(ref, table.slice(2, 2)).to_pylist() == whole[2:]
        assert evaluate(ref, table.slice(1, 1)).to_pylist() == whole[1:2]
        assert evaluate(ref, table.slice(4)).to_pylist() == []


def test_a_null_has_the_hash_of_no_common_number():
    some = [None, *range(-1000, 1000)]
    assert len(set(hashes(some, pa.int64()))) == len(some)


def test_arrays_and_nulls_have_hashes():
    feature = datasets.Array2D((1, 2), "int32")
    kind = datasets.Features({"x": feature}).arrow_schema.field("x").type
    storage = pa.array([[[1, 2]]], kind.storage_type)
    table = pa.table({"x": pa.ExtensionArray.from_storage(kind, storage)})
    assert evaluate(flow_of({"x": feature}).x.hash(), table).to_pylist() == [finished([[1, 2]])]
    assert hashes([None, None], pa.null()) == [finished(None)] * 2


def test_another_process_gives_the_same():
    program = (
        "import pyarrow as pa; from hyped_beam.testing import evaluate, flow_of;"
        "t = pa.table({'x': ['a', None]}); print(evaluate(flow_of(t.schema).x.hash(), t).to_pylist())"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == str(hashes(["a", None], pa.string()))


def test_wrong_seeds_are_refused():
    src = flow_of({"x": datasets.Value("int64")})
    with pytest.raises(DefinitionError, match="seed"):
        src.x.hash(seed=-1)
    with pytest.raises(DefinitionError, match="cannot be a ref"):
        src.x.hash(src.x)
