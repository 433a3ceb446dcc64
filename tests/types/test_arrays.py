"""Arrow arrays: made from values, conformed to a type, and taken apart."""

from __future__ import annotations

import datasets
import pyarrow as pa
import pytest

from hyped_beam.types import arrays, features

MATRIX = features.to_arrow(datasets.Array2D((1, 2), "int8"))
JSON = features.to_arrow(datasets.Json())
EXTENSIONS = {
    "list": (pa.list_(MATRIX), [[[[1, 2]], None], None, []]),
    "large list": (pa.large_list(MATRIX), [[[[1, 2]]], None]),
    "list of fixed length": (pa.list_(MATRIX, 2), [[[[1, 2]], [[3, 4]]], None]),
    "struct": (
        pa.struct({"a": MATRIX, "b": pa.string()}),
        [{"a": [[1, 2]], "b": "x"}, None, {"a": None, "b": None}],
    ),
    "list of lists": (pa.list_(pa.list_(JSON)), [[['"x"', None]], None]),
    "struct of structs": (pa.struct({"a": pa.struct({"b": JSON})}), [{"a": {"b": "1"}}, {"a": None}]),
    "itself": (MATRIX, [[[1, 2]], [[3, 4]]]),
}
ALL_EXTENSIONS = pytest.mark.parametrize(
    ("arrow_type", "values"), list(EXTENSIONS.values()), ids=list(EXTENSIONS)
)


def stored(array: pa.Array) -> pa.Array:
    return arrays.conform(array, arrays.storage_type(array.type))


class TestExtensions:
    @ALL_EXTENSIONS
    def test_arrays_are_made_from_values(self, arrow_type, values):
        made = arrays.from_values(values, arrow_type)
        made.validate(full=True)
        assert made.type == arrow_type
        assert stored(made).to_pylist() == values

    @ALL_EXTENSIONS
    def test_storage_conforms_to_them_and_they_to_storage(self, arrow_type, values):
        made = arrays.from_values(values, arrow_type)
        assert arrays.conform(stored(made), arrow_type).equals(made)
        assert arrays.conform(made, arrays.storage_type(arrow_type)).equals(stored(made))

    @ALL_EXTENSIONS
    def test_slices_conform_too(self, arrow_type, values):
        made = arrays.from_values(values, arrow_type)
        assert arrays.conform(stored(made).slice(1), arrow_type).equals(made.slice(1))

    def test_their_storage_may_be_of_another_width(self):
        wide = features.to_arrow(datasets.List(datasets.Array2D((1, 2), "int64")))
        given = arrays.from_values([[[[1, 2]]]], wide)
        assert arrays.conform(given, pa.list_(MATRIX)).equals(
            arrays.from_values([[[[1, 2]]]], pa.list_(MATRIX))
        )

    @ALL_EXTENSIONS
    def test_a_scalar_fills_a_column(self, arrow_type, values):
        made = arrays.from_values(values, arrow_type)
        for row, scalar in enumerate(made):
            found = arrays.full(scalar, 3)
            assert found.type == arrow_type
            assert stored(found).to_pylist() == [values[row]] * 3

    def test_holds_extensions(self):
        assert arrays.holds_extensions(pa.list_(pa.struct({"a": JSON})))
        assert not arrays.holds_extensions(pa.list_(pa.struct({"a": pa.string()})))
        plain = pa.map_(pa.string(), pa.list_(pa.int8()))
        assert arrays.storage_type(plain) is plain


class TestConform:
    @pytest.mark.parametrize(
        ("given", "wanted"),
        [
            (pa.array(["a", None]), pa.large_string()),
            (pa.array(["a", None], pa.large_string()), pa.string()),
            (pa.array([b"a", None]), pa.large_binary()),
            (pa.array([1, None], pa.int64()), pa.int8()),
            (pa.array([1, None], pa.int8()), pa.float64()),
            (pa.array([[1], None], pa.list_(pa.int64())), pa.large_list(pa.int8())),
            (pa.array([{"a": 1}, None], pa.struct({"a": pa.int64()})), pa.struct({"a": pa.int8()})),
            (pa.array([None, None]), pa.list_(pa.string())),
            (pa.array(["a", None]).dictionary_encode(), pa.string()),
            (pa.array([1, None], pa.timestamp("s")), pa.timestamp("us")),
        ],
    )
    def test_the_same_values_in_another_width(self, given, wanted):
        found = arrays.conform(given, wanted)
        assert found.type == wanted
        assert found.to_pylist() == given.to_pylist()

    @pytest.mark.parametrize(
        ("given", "wanted"),
        [
            (pa.array(["1"]), pa.int64()),
            (pa.array([1]), pa.string()),
            (pa.array([1.0]), pa.int64()),
            (pa.array([True]), pa.int8()),
            (pa.array([["1"]]), pa.list_(pa.int64())),
            (pa.array([{"a": 1}]), pa.struct({"b": pa.int64()})),
            (pa.array([1], pa.timestamp("s")), pa.date32()),
            (pa.array(["[[1, 2]]"]), MATRIX),
        ],
    )
    def test_another_family_is_refused(self, given, wanted):
        with pytest.raises(TypeError, match=r"where .* is declared"):
            arrays.conform(given, wanted)

    @pytest.mark.parametrize(
        ("given", "wanted"),
        [(pa.array([300]), pa.int8()), (pa.array([1500], pa.timestamp("ms")), pa.timestamp("s"))],
    )
    def test_a_value_that_is_lost_is_refused(self, given, wanted):
        with pytest.raises(pa.ArrowInvalid):
            arrays.conform(given, wanted)


class TestPaths:
    STRUCTS = pa.array([{"a": {"b": 1}}, {"a": None}, None], pa.struct({"a": pa.struct({"b": pa.int8()})}))

    def test_a_field_is_null_where_a_struct_on_the_way_is(self):
        assert arrays.at_path(self.STRUCTS, ("a", "b")).to_pylist() == [1, None, None]
        assert arrays.at_path(self.STRUCTS.slice(1), ("a", "b")).to_pylist() == [None, None]

    def test_of_columns(self):
        assert arrays.at_path({"x": self.STRUCTS}, ("x", "a", "b")).to_pylist() == [1, None, None]

    def test_of_scalars(self):
        assert [arrays.at_path(scalar, ("a", "b")).as_py() for scalar in self.STRUCTS] == [1, None, None]

    def test_of_a_null_scalar_whose_field_is_an_extension(self):
        kind = pa.struct({"a": pa.list_(MATRIX)})
        found = arrays.at_path(pa.nulls(1, kind)[0], ("a",))
        assert found.type == kind.field("a").type
        assert not found.is_valid

    def test_columns_of_a_struct_are_null_where_it_is(self):
        found = arrays.columns_of(self.STRUCTS, 3)
        assert found["a"].to_pylist() == [{"b": 1}, None, None]


class TestParts:
    def test_consecutive_rows_are_put_together(self):
        parts = [
            {"a": pa.array([1]), "b": {"c": pa.array(["x"])}},
            {"a": pa.array([2]), "b": {"c": pa.array(["y"])}},
        ]
        found = arrays.concat_values(parts)
        assert found["a"].to_pylist() == [1, 2]
        assert found["b"]["c"].to_pylist() == ["x", "y"]

    @ALL_EXTENSIONS
    def test_those_of_extensions_too(self, arrow_type, values):
        made = arrays.from_values(values, arrow_type)
        assert arrays.concat_values([made.slice(0, 1), made.slice(1)]).equals(made)

    def test_columns_of_scalars_and_arrays_are_one_struct(self):
        found = arrays.whole({"a": pa.scalar(1), "b": pa.array(["x", "y"]), "c": {}}, 2)
        assert found.to_pylist() == [{"a": 1, "b": "x", "c": {}}, {"a": 1, "b": "y", "c": {}}]


SLICED = {
    "numbers": pa.array([1, None, 3], pa.int32()),
    "truth": pa.array([True] * 16),
    "text": pa.array(["ab", None, "c"]),
    "wide text": pa.array(["ab", None, "c"], pa.large_string()),
}


def test_neighbouring_slices_are_put_together_without_a_copy():
    for values in SLICED.values():
        array = pa.concat_arrays([values] * 3)
        parts = [array.slice(0, 2), array.slice(2, 0), array.slice(2, 3)]
        found = arrays.concat(parts)
        assert found.equals(array.slice(0, 5))
        assert found.buffers()[-1].address == array.buffers()[-1].address


def test_other_slices_are_copied():
    array = pa.array([1, None, 3, 4])
    for parts in ([array.slice(2), array.slice(0, 2)], [array.slice(0, 1), array.slice(2)], [array, array]):
        found = arrays.concat(parts)
        assert found.to_pylist() == [value for part in parts for value in part.to_pylist()]
