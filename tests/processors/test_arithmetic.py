"""Arithmetic against plain Python."""

from __future__ import annotations

import decimal
import math
import operator

import datasets
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError, NodeError
from hyped_beam.nodes.refs import feature_of
from hyped_beam.testing import evaluate, flow_of
from hyped_beam.types import features

INTEGERS = st.one_of(st.none(), st.integers(-(2**31), 2**31 - 1))
SMALL = st.one_of(st.none(), st.integers(-128, 127))
FLOATS = st.one_of(st.none(), st.floats())


def table_of(**columns):
    return pa.table({name: pa.array(values, kind) for name, (values, kind) in columns.items()})


def binary(symbol, left, right, kind, right_kind=None):
    table = table_of(a=(left, kind), b=(right, right_kind or kind))
    src = flow_of(table.schema)
    return evaluate(symbol(src.a, src.b), table)


def same(left, right):
    if left is None or right is None:
        return left is right
    return (math.isnan(left) and math.isnan(right)) or left == right


@given(st.lists(st.tuples(INTEGERS, INTEGERS)))
def test_sums_differences_and_products_of_integers_are_those_of_python(pairs):
    left, right = [list(side) for side in zip(*pairs, strict=True)] if pairs else ([], [])
    for symbol in (operator.add, operator.sub, operator.mul):
        expected = [None if a is None or b is None else symbol(a, b) for a, b in pairs]
        assert binary(symbol, left, right, pa.int64()).to_pylist() == expected


@given(st.lists(st.tuples(SMALL, SMALL)), st.sampled_from([pa.int8(), pa.int64()]))
def test_integer_floor_division_and_modulo_are_those_of_python(pairs, kind):
    pairs = [(a, b) for a, b in pairs if b != 0 and (a, b) != (-128, -1)]
    left, right = [list(side) for side in zip(*pairs, strict=True)] if pairs else ([], [])
    for symbol in (operator.floordiv, operator.mod):
        expected = [None if a is None or b is None else symbol(a, b) for a, b in pairs]
        assert binary(symbol, left, right, kind).to_pylist() == expected


@given(st.lists(INTEGERS, min_size=1), st.integers(-(2**31), 2**31 - 1).filter(bool))
@example([-(2**31), 7, None], -1)
def test_integer_floor_division_and_modulo_by_a_constant(values, divisor):
    table = table_of(a=(values, pa.int64()))
    src = flow_of(table.schema)
    for symbol in (operator.floordiv, operator.mod):
        expected = [None if value is None else symbol(value, divisor) for value in values]
        assert evaluate(symbol(src.a, divisor), table).to_pylist() == expected


def test_the_remainder_of_the_smallest_integer_by_minus_one_is_zero():
    table = table_of(a=([-(2**63), None], pa.int64()), b=([-1, -1], pa.int64()))
    src = flow_of(table.schema)
    assert evaluate(src.a % -1, table).to_pylist() == [0, None]
    assert evaluate(src.a % src.b, table).to_pylist() == [0, None]


@given(st.lists(st.tuples(FLOATS, FLOATS)))
def test_floats_are_those_of_python_and_never_raise(pairs):
    left, right = [list(side) for side in zip(*pairs, strict=True)] if pairs else ([], [])
    for symbol in (
        operator.add,
        operator.sub,
        operator.mul,
        operator.truediv,
        operator.floordiv,
        operator.mod,
    ):
        results = binary(symbol, left, right, pa.float64()).to_pylist()
        for (a, b), result in zip(pairs, results, strict=True):
            if a is None or b is None:
                assert result is None
            elif b != 0 or symbol in (operator.add, operator.sub, operator.mul):
                assert same(symbol(a, b), result), (symbol, a, b, result)
            else:
                assert math.isinf(result) or math.isnan(result)


def test_floats_by_zero_are_inf_and_nan():
    result = binary(operator.truediv, [1.0, -1.0, 0.0], [0.0, 0.0, 0.0], pa.float64()).to_pylist()
    assert result[:2] == [math.inf, -math.inf]
    assert math.isnan(result[2])


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint64(), pa.float32(), pa.float16(), pa.decimal128(5, 2)])
def test_the_quotient_is_float64_for_all_numbers(kind):
    table = table_of(a=([1, 3, None], pa.float64())).cast(pa.schema({"a": kind}))
    result = evaluate(flow_of(table.schema).a / 2, table)
    assert result.type == pa.float64()
    assert result.to_pylist() == [0.5, 1.5, None]


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 9))))
def test_powers_of_integers_are_those_of_python(pairs):
    left, right = [list(side) for side in zip(*pairs, strict=True)] if pairs else ([], [])
    assert binary(operator.pow, left, right, pa.int64()).to_pylist() == [a**b for a, b in pairs]


def test_powers_by_constants():
    table = table_of(i=([3, -2, None], pa.int32()), f=([4.0, 0.0, math.nan], pa.float64()))
    src = flow_of(table.schema)
    assert evaluate(src.i**2, table).to_pylist() == [9, 4, None]
    assert evaluate(2 ** src.i.clip(0, 5), table).to_pylist() == [8, 1, None]
    assert evaluate(src.f**0.5, table).to_pylist()[:2] == [2.0, 0.0]
    assert evaluate(src.f**-1, table).to_pylist()[:2] == [0.25, math.inf]


OVERFLOWS = [
    ("+", lambda src: src.a + src.b, [1, 127], [1, 1], pa.int8()),
    ("-", lambda src: src.a - src.b, [1, 1], [1, 2], pa.uint16()),
    ("*", lambda src: src.a * src.b, [1, 2**62], [1, 2], pa.int64()),
    ("**", lambda src: src.a**2, [1, 2**32], [1, 1], pa.int64()),
    ("**", lambda src: src.a**src.b, [1, 3], [1, 63], pa.int64()),
    ("//", lambda src: src.a // src.b, [1, -(2**63)], [1, -1], pa.int64()),
    ("//", lambda src: src.a // -1, [1, -128], [1, 1], pa.int8()),
    ("-", lambda src: -src.a, [1, -(2**31)], [1, 1], pa.int32()),
    ("-", lambda src: -src.a, [1, 2**63 + 1], [1, 1], pa.uint64()),
    ("abs", lambda src: abs(src.a), [1, -(2**31)], [1, 1], pa.int32()),
]


@pytest.mark.parametrize(
    ("symbol", "compute", "left", "right", "kind"),
    OVERFLOWS,
    ids=[str(number) for number in range(len(OVERFLOWS))],
)
def test_integer_overflow_is_an_error_that_names_the_row(symbol, compute, left, right, kind):
    table = table_of(a=(left, kind), b=(right, kind))
    with pytest.raises(NodeError) as raised:
        evaluate(compute(flow_of(table.schema)), table)
    assert raised.value.row == 1
    assert f"the result of {symbol!r} does not fit into " in raised.value.message
    assert f"={left[1]}" in raised.value.message
    assert 'write .cast("' in str(raised.value)


@pytest.mark.parametrize("symbol", [operator.floordiv, operator.mod])
@pytest.mark.parametrize("constant", [False, True])
def test_an_integer_by_zero_is_an_error_with_a_way_out(symbol, constant):
    table = table_of(a=([None, 5, 6], pa.int32()), b=([0, 1, 0], pa.int32()))
    src = flow_of(table.schema)
    with pytest.raises(NodeError, match="by zero") as raised:
        evaluate(symbol(src.a, 0 if constant else src.b), table)
    assert raised.value.row == (1 if constant else 2)
    assert "if_else" in raised.value.hint


def test_what_lies_under_nulls_raises_nothing():
    hidden = pa.array([0, 0], pa.int64())
    masked = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\x00"), hidden.buffers()[1]])
    table = pa.table({"a": masked, "b": masked})
    src = flow_of(table.schema)
    assert evaluate(src.a // src.b, table).to_pylist() == [None, None]
    assert evaluate(1 % src.b, table).to_pylist() == [None, None]


def test_a_negative_integer_power_says_how_to_get_a_float():
    table = table_of(a=([2], pa.int64()))
    with pytest.raises(NodeError, match="negative power is no integer") as raised:
        evaluate(flow_of(table.schema).a ** -1, table)
    assert '.cast("float64")' in raised.value.hint


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("int32", "int64", "int64"),
        ("uint8", "int8", "int16"),
        ("int64", "float32", "float64"),
        ("int16", "float32", "float32"),
        ("int32", "decimal128(10, 2)", "decimal128(13, 2)"),
        ("float32", "decimal128(10, 2)", "float64"),
    ],
)
def test_a_sum_has_the_common_type(left, right, expected):
    src = flow_of({"a": datasets.Value(left), "b": datasets.Value(right)})
    assert feature_of(src.a + src.b).dtype == expected
    assert feature_of(src.b + src.a).dtype == expected


@pytest.mark.parametrize(
    ("dtype", "literal", "expected"),
    [
        ("int32", 1, "int32"),
        ("int8", 300, "int64"),
        ("float32", 0.1, "float32"),
        ("float32", 1e300, "float64"),
        ("int32", 0.5, "float64"),
        ("uint8", -1, "int64"),
        ("uint64", 1, "uint64"),
    ],
)
def test_a_literal_fits_the_type_beside_it(dtype, literal, expected):
    src = flow_of({"a": datasets.Value(dtype)})
    assert feature_of(src.a + literal).dtype == expected
    assert feature_of(literal + src.a).dtype == expected


def test_unsigned_integers_become_signed_when_negated():
    table = table_of(a=([0, 255, None], pa.uint8()))
    result = evaluate(-flow_of(table.schema).a, table)
    assert result.type == pa.int16()
    assert result.to_pylist() == [0, -255, None]


def test_float16_is_computed_with():
    table = table_of(a=([1.5, None, -2.0], pa.float16()))
    src = flow_of(table.schema)
    for value, expected in [
        (src.a + src.a, [3.0, None, -4.0]),
        (src.a * 2, [3.0, None, -4.0]),
        (-src.a, [-1.5, None, 2.0]),
        (abs(src.a), [1.5, None, 2.0]),
        (src.a // 1, [1.0, None, -2.0]),
        (src.a % 1, [0.5, None, 0.0]),
        (src.a**2, [2.25, None, 4.0]),
    ]:
        result = evaluate(value, table)
        assert result.type == pa.float16()
        assert result.to_pylist() == expected


def test_decimals_are_exact():
    price = decimal.Decimal("1.25")
    table = table_of(a=([price, None], pa.decimal128(10, 2)), b=([3, 4], pa.int8()))
    src = flow_of(table.schema)
    assert evaluate(src.a + src.b, table).to_pylist() == [decimal.Decimal("4.25"), None]
    assert evaluate(src.a * src.b, table).to_pylist() == [decimal.Decimal("3.75"), None]
    assert evaluate(src.a - decimal.Decimal("0.005"), table).to_pylist() == [decimal.Decimal("1.245"), None]
    assert evaluate(abs(-src.a), table).to_pylist() == [price, None]


def test_decimals_of_the_greatest_width_overflow_by_row():
    greatest = decimal.Decimal(10**38 - 1)
    table = table_of(a=([decimal.Decimal(1), greatest], pa.decimal128(38, 0)))
    src = flow_of(table.schema)
    assert evaluate(src.a - 1, table).to_pylist() == [decimal.Decimal(0), decimal.Decimal(10**38 - 2)]
    with pytest.raises(NodeError, match="does not fit into decimal128") as raised:
        evaluate(src.a + 1, table)
    assert raised.value.row == 1


@settings(max_examples=60)
@given(st.data(), st.integers(1, 76), st.sampled_from([operator.mul, operator.add, operator.sub]))
def test_decimals_of_any_width_are_exact_and_overflow_only_where_they_must(data, digits, symbol):
    scale = data.draw(st.integers(0, min(digits, 38)))
    kind = (pa.decimal128 if digits <= 38 else pa.decimal256)(digits, scale)
    most = 10**digits - 1
    numbers = st.one_of(st.integers(-most, most), st.integers(-min(most, 99), min(most, 99)))
    with decimal.localcontext(decimal.Context(prec=200)):
        left, right = (decimal.Decimal(data.draw(numbers)).scaleb(-scale) for _ in range(2))
        expected = symbol(left, right)
        table = table_of(a=([left, None], kind), b=([right, right], kind))
        src = flow_of(table.schema)
        ref = symbol(src.a, src.b)
        found = features.to_arrow(feature_of(ref))
        if abs(expected.scaleb(found.scale)) < 10**found.precision:
            assert evaluate(ref, table).to_pylist() == [expected, None]
            assert evaluate(symbol(src.a, right), table).to_pylist() == [expected, None]
            assert evaluate(-src.a, table).to_pylist() == [-left, None]
        else:
            assert found.precision in (38, 76)
            with pytest.raises(NodeError, match="does not fit into decimal"):
                evaluate(ref, table)


@pytest.mark.parametrize(
    ("factor", "product"),
    [
        ("decimal128(18, 2)", "decimal128(37, 4)"),
        ("decimal128(19, 2)", "decimal256(39, 4)"),
        ("decimal128(37, 2)", "decimal256(75, 4)"),
        ("decimal128(38, 2)", "decimal256(76, 4)"),
        ("decimal256(50, 30)", "decimal256(76, 60)"),
    ],
)
def test_the_type_of_a_product_of_decimals(factor, product):
    src = flow_of({"a": datasets.Value(factor)})
    assert feature_of(src.a * src.a).dtype == product


def test_products_with_more_places_than_there_are_digits_are_refused():
    src = flow_of({"a": datasets.Value("decimal256(76, 40)")})
    with pytest.raises(DefinitionError, match="80 places"):
        src.a * src.a


def test_floor_division_of_decimals_is_refused_with_a_hint():
    src = flow_of({"a": datasets.Value("decimal128(10, 2)")})
    with pytest.raises(DefinitionError, match="takes integers and floats") as raised:
        src.a // 2
    assert "float64" in raised.value.hint
    assert __file__.rsplit("/", 1)[-1] in str(raised.value)


def test_numbers_of_labels_are_integers():
    src = flow_of({"label": datasets.ClassLabel(names=["ham", "spam"])})
    assert feature_of(src.label + 1).dtype == "int64"
    assert feature_of(-src.label).dtype == "int64"
    assert feature_of(abs(src.label)).dtype == "int64"


@pytest.mark.parametrize(
    ("compute", "message", "hint"),
    [
        (lambda src: src.text * 2, "means nothing for string and 2", '.cast("float64")'),
        (lambda src: src.flag + 1, "means nothing for bool and 1", '.cast("int64")'),
        (lambda src: src.number + src.flag, "int64 and bool have no type in common", '.cast("int64")'),
        (lambda src: src.number + src.text, "int64 and string have no type in common", '.cast("float64")'),
        (lambda src: src.number + src.big, "int64 and uint64 have no type in common", '.cast("int64")'),
        (lambda src: -src.text, "means nothing for string", '.cast("float64")'),
    ],
)
def test_what_is_no_number_is_refused_with_a_way_out(compute, message, hint):
    types = {"text": "string", "flag": "bool", "number": "int64", "big": "uint64"}
    src = flow_of({name: datasets.Value(dtype) for name, dtype in types.items()})
    with pytest.raises(DefinitionError, match=message) as raised:
        compute(src)
    assert hint in raised.value.hint


@settings(max_examples=20)
@given(st.integers(0, 3), st.integers(0, 3))
def test_slices_of_columns_compute_as_the_columns(start, rows):
    table = table_of(a=([-7, None, 7, 8], pa.int64()), b=([2, 2, None, -3], pa.int64()))
    src = flow_of(table.schema)
    for symbol in (operator.add, operator.floordiv, operator.mod):
        whole = evaluate(symbol(src.a, src.b), table).to_pylist()
        assert (
            evaluate(symbol(src.a, src.b), table.slice(start, rows)).to_pylist()
            == whole[start : start + rows]
        )


def test_null_beside_a_number_is_null():
    table = table_of(a=([1, 2], pa.int64()))
    src = flow_of(table.schema)
    assert evaluate(src.a + None, table).to_pylist() == [None, None]
    assert evaluate(src.a // None, table).to_pylist() == [None, None]
    assert feature_of(src.a + None).dtype == "int64"
