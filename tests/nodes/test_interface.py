"""Signatures as interfaces."""

from __future__ import annotations

from typing import Any, NamedTuple, TypedDict

import pyarrow as pa
import pytest

from hyped_beam import Augmentor, Processor, Rows, processor
from hyped_beam.errors import DefinitionError, DefinitionTypeError
from hyped_beam.nodes.interface import read_signature
from hyped_beam.nodes.refs import feature_of
from hyped_beam.testing import evaluate, flow_of
from hyped_beam.types import features
from hyped_beam.types.patterns import AnyColumn, Int64Column, NumberColumn, StringColumn

TABLE = pa.table({"text": ["a"], "n": pa.array([1], pa.int32()), "x": [0.5], "words": [["a", "b"]]})
SRC = flow_of(TABLE.schema)


def test_parameters_are_inputs():
    def process(
        self: Any, text: StringColumn, n: Int64Column | None, plus: Int64Column = None
    ) -> Int64Column: ...  # type: ignore[assignment, empty-body]

    read = read_signature(process, row_wise=False, names={})
    assert list(read.inputs) == ["text", "n", "plus"]
    assert [declared.optional for declared in read.inputs.values()] == [False, False, True]
    assert [declared.admits_null for declared in read.inputs.values()] == [False, True, False]


def test_an_output_that_names_several_types_is_that_of_the_first_input_with_its_pattern():
    class Twice(Processor):
        def process(self, value: NumberColumn) -> NumberColumn:
            return value

    assert features.describe(feature_of(Twice().call(SRC.n))) == "int32"
    assert features.describe(feature_of(Twice().call(SRC.x))) == "double" or (
        features.describe(feature_of(Twice().call(SRC.x))) == "float64"
    )


def test_an_output_that_says_too_little_is_refused():
    class Open(Processor):
        def process(self, text: StringColumn) -> AnyColumn:
            return text

    with pytest.raises(DefinitionTypeError, match="the output is any type"):
        Open().call(SRC.text)


class Point(TypedDict):
    x: float
    y: int


def test_a_typed_dict_is_a_struct():
    @processor
    def point(n: int) -> Point:
        return {"x": n / 2, "y": n}

    made = point.call(SRC.n)
    assert evaluate(made.x, TABLE).to_pylist() == [0.5]
    assert evaluate(made.y, TABLE).to_pylist() == [1]


def test_lists_and_structs_of_rows_are_python_values():
    @processor
    def joined(words: list[str]) -> str:
        return "+".join(words)

    @processor
    def doubled(words: list[str]) -> list[str]:
        return [*words, *words]

    assert evaluate(joined.call(SRC.words), TABLE).to_pylist() == ["a+b"]
    assert evaluate(doubled.call(SRC.words), TABLE).to_pylist() == [["a", "b", "a", "b"]]
    with pytest.raises(DefinitionTypeError, match="takes a list of a string as 'words', got string"):
        joined.call(SRC.text)


def test_inputs_of_any_name_are_taken_where_the_signature_says_so():
    class Row(Processor):
        def process_row(self, **columns: str) -> str:
            return ", ".join(f"{name}={value}" for name, value in columns.items())

    assert evaluate(Row().call(a=SRC.text, b="z"), TABLE).to_pylist() == ["a=a, b=z"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def f(self, text) -> str: ...", "parameter 'text' has no annotation"),
        ("def f(self, text: complex) -> str: ...", "text: <class 'complex'> is no feature pattern"),
        ("def f(self, *text: str) -> str: ...", r"inputs have names, so \*text cannot be one"),
        ("def f(self, text: str, n: int = 3) -> str: ...", "'n' has a default, 3"),
        ("def f(self, text: str) -> complex: ...", "return: <class 'complex'> is no feature pattern"),
    ],
)
def test_a_signature_that_is_no_interface_is_refused(source: str, message: str):
    made: dict[str, Any] = {}
    exec(source, made)  # noqa: S102 - the shortest way to many signatures
    with pytest.raises(TypeError, match=message):
        read_signature(made["f"], row_wise=True)


def test_an_annotation_that_is_missing_is_shown_how_to_write():
    class Same(Augmentor):
        def process(self, text) -> Rows: ...

    with pytest.raises(
        DefinitionTypeError, match=r"(?s)'text' has no annotation.*text: str, or text: StringC"
    ):
        processor(lambda text: text)
    with pytest.raises(DefinitionTypeError, match=r"(?s)'text' has no annotation.*text: StringColumn"):
        Same.interface()


def test_what_is_wrong_with_a_function_is_said_at_the_function():
    def bad(text: complex) -> str:
        return str(text)

    with pytest.raises(DefinitionError, match="no feature pattern") as caught:
        processor(bad)
    assert caught.value.site is not None
    assert caught.value.site.line == bad.__code__.co_firstlineno


def test_annotations_may_name_what_the_class_holds():
    class Nested(Processor):
        class Made(NamedTuple):
            n: Int64Column

        def process(self, n: NumberColumn) -> Made:
            return self.Made(n)

    assert evaluate(Nested().call(SRC.n).n, TABLE).to_pylist() == [1]
