"""Putting together, repeating and padding against `str`."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.errors import DefinitionError
from hyped_beam.nodes.refs import feature_of
from hyped_beam.processors.strings.formatting import Format, Repeat
from hyped_beam.testing import evaluate, flow_of

TABLE = pa.table(
    {
        "name": ["Ann", "É", None],
        "wide": pa.array(["x", None, "z"], pa.large_string()),
        "age": pa.array([-7, 2**40, 3]),
        "score": [0.5, 1.0, 2.0],
    }
)


def value_of(operate):
    return evaluate(operate(flow_of(TABLE.schema)), TABLE)


@given(st.data(), st.text(max_size=3))
def test_add_text(texts, same_as_python, data, other):
    values = data.draw(texts)
    same_as_python(lambda text: text + other, lambda value: value + other, values)
    same_as_python(lambda text: other + text, lambda value: other + value, values)
    same_as_python(lambda text: text + text, lambda value: value + value, values)


def test_add_null():
    assert value_of(lambda src: src.name + src.wide).to_pylist() == ["Annx", None, None]
    assert value_of(lambda src: src.name + None).to_pylist() == [None, None, None]


def test_add_a_number_is_refused():
    with pytest.raises(DefinitionError, match="string and int64"):
        value_of(lambda src: src.name + src.age)


@given(st.data(), st.integers(-2, 3))
def test_repeat(texts, same_as_python, data, count):
    same_as_python(lambda text: text.repeat(count), lambda value: value * count, data.draw(texts))


def test_repeat_by_a_column():
    counts = pa.table({"text": ["a", "b", None, "d"], "count": pa.array([2, -1, 1, None], pa.int8())})
    src = flow_of(counts.schema)

    assert evaluate(src.text.repeat(src["count"]), counts).to_pylist() == ["aa", "", None, None]
    repeated = Repeat().call(text="é", count=src["count"])
    assert evaluate(repeated, counts).to_pylist() == ["éé", "", "é", None]


@pytest.mark.parametrize(("side", "method"), [("left", "rjust"), ("right", "ljust"), ("both", "center")])
@given(data=st.data(), width=st.integers(-1, 12), fill=st.sampled_from(" 0é😀"))
def test_pad(side, method, texts, same_as_python, data, width, fill):
    same_as_python(
        lambda text: text.pad(width, side, fill),
        lambda value: getattr(value, method)(width, fill),
        data.draw(texts),
    )


def test_wrong_padding_is_refused():
    text = flow_of(TABLE.schema).name

    with pytest.raises(DefinitionError, match="one character"):
        text.pad(3, fill="ab")
    with pytest.raises(DefinitionError, match="'left', 'right' or 'both'"):
        text.pad(3, side="middle")


def test_format():
    def by_name(src):
        return Format(template="{name} {{is}} {age}").call(name=src.name, age=src.age)

    assert value_of(by_name).to_pylist() == ["Ann {is} -7", "É {is} 1099511627776", None]
    positional = Format(template="{}{}: {}")
    assert value_of(lambda src: positional.call(**{"0": src.name, "1": "!", "2": src.age})).to_pylist() == [
        "Ann!: -7",
        "É!: 1099511627776",
        None,
    ]
    again = Format(template="{0}{0}")
    assert value_of(lambda src: again.call(**{"0": src.wide})).to_pylist() == ["xx", None, "zz"]


def test_format_of_wide_text_is_wide():
    src = flow_of(TABLE.schema)

    assert feature_of(Format(template="{a}").call(a=src.wide)).dtype == "large_string"
    assert feature_of(Format(template="{a}").call(a=src.age)).dtype == "string"


@pytest.mark.parametrize(
    "template", ["{", "{a:>5}", "{a!r}", "{a.b}", "{a[0]}", "{} {1}", "{0} {}", "no field"]
)
def test_a_wrong_template_is_refused(template):
    with pytest.raises(DefinitionError):
        Format(template=template)


def test_wrong_values_are_refused():
    src = flow_of(TABLE.schema)

    with pytest.raises(DefinitionError, match="float64 for 'a'"):
        Format(template="{a}").call(a=src.score)
    with pytest.raises(DefinitionError, match="no value 'b'"):
        Format(template="{a}{b}").call(a=src.name)
    with pytest.raises(DefinitionError, match="no field 'b'"):
        Format(template="{a}").call(a=src.name, b=src.name)
