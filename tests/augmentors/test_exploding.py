"""More rows: one for each element of a list."""

from __future__ import annotations

import pyarrow as pa
import pytest

from hyped_beam import NodeError, ops
from hyped_beam.aggregators import CollectList, Count, Sum
from hyped_beam.errors import DefinitionError
from hyped_beam.testing import flow_of
from hyped_beam.types import features

TABLE = pa.table(
    {
        "id": [1, 2, 3, 4],
        "words": [["a", "b"], None, [], ["c", None]],
        "ns": [[1, 2], [], None, [3, 4]],
        "fixed": pa.array([[1, 2], None, [3, 4], [5, 6]], pa.list_(pa.int64(), 2)),
        "nested": [[["a"], []], None, [], [None, ["b", "c"]]],
        "s": [
            {"x": [1], "y": ["a"]},
            {"x": [], "y": None},
            {"x": None, "y": []},
            {"x": [2, 3], "y": ["b", "c"]},
        ],
    }
)


@pytest.fixture
def src():
    return flow_of(TABLE.schema)


@pytest.mark.parametrize("batches", [1, 2, 4])
class TestExplode:
    def test_a_row_for_each_element(self, src, in_batches, batches):
        found = in_batches(src, {"id": src.id, "word": ops.explode(src.words)}, TABLE, batches)
        assert found.to_pylist() == [
            {"id": 1, "word": "a"},
            {"id": 1, "word": "b"},
            {"id": 4, "word": "c"},
            {"id": 4, "word": None},
        ]

    def test_rows_without_elements_can_be_kept(self, src, in_batches, batches):
        words = ops.explode(src.words, keep_empty=True)
        found = in_batches(src, {"id": src.id, "word": words}, TABLE, batches)
        assert found["id"].to_pylist() == [1, 1, 2, 3, 4, 4]
        assert found["word"].to_pylist() == ["a", "b", None, None, "c", None]

    def test_positions(self, src, in_batches, batches):
        words = ops.explode(src.words, with_position=True)
        found = in_batches(src, {"id": src.id, "word": words}, TABLE, batches)
        assert found["word"].to_pylist() == [
            {"position": 0, "value": "a"},
            {"position": 1, "value": "b"},
            {"position": 0, "value": "c"},
            {"position": 1, "value": None},
        ]
        kept = ops.explode(src.words, with_position=True, keep_empty=True)
        found = in_batches(src, {"id": src.id, "at": kept.position}, TABLE, batches)
        assert found["at"].to_pylist() == [0, 1, None, None, 0, 1]

    def test_lists_of_one_length(self, src, in_batches, batches):
        found = in_batches(src, {"id": src.id, "n": ops.explode(src.fixed)}, TABLE, batches)
        assert [(row["id"], row["n"]) for row in found.to_pylist()] == [
            (1, 1), (1, 2), (3, 3), (3, 4), (4, 5), (4, 6)
        ]  # fmt: skip

    def test_zips(self, src, in_batches, batches):
        wanted = [{"w": "a", "n": 1}, {"w": "b", "n": 2}, {"w": "c", "n": 3}, {"w": None, "n": 4}]
        pairs = ops.explode({"w": src.words, "n": src.ns})
        assert in_batches(src, pairs, TABLE, batches).to_pylist() == wanted
        struct = ops.explode(src.s)
        wanted = [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}, {"x": 3, "y": "c"}]
        assert in_batches(src, struct, TABLE, batches).to_pylist() == wanted
        kept = ops.explode({"w": src.words, "n": src.ns}, keep_empty=True, with_position=True)
        found = in_batches(src, {"id": src.id, "both": kept}, TABLE, batches)
        nothing = {"position": None, "w": None, "n": None}
        assert found["both"].to_pylist()[2:4] == [nothing, nothing]

    def test_explode_of_an_explode(self, src, in_batches, batches):
        outer = ops.explode(src.nested, with_position=True)
        inner = ops.explode(outer.value)
        found = in_batches(src, {"id": src.id, "at": outer.position, "s": inner}, TABLE, batches)
        assert [tuple(row.values()) for row in found.to_pylist()] == [(1, 0, "a"), (4, 1, "b"), (4, 1, "c")]
        n = Count().call(inner, by=ops.each(src))
        by_outer = Count().call(inner, by=ops.each(outer))
        assert in_batches(src, {"n": n}, TABLE, batches)["n"].to_pylist() == [1, 0, 0, 2]
        assert in_batches(src, {"n": by_outer}, TABLE, batches)["n"].to_pylist() == [1, 0, 0, 2]
        twice = Sum().call(by_outer + outer.position, by=ops.each(src))
        assert in_batches(src, {"n": twice}, TABLE, batches)["n"].to_pylist() == [2, 0, 0, 3]

    def test_what_was_exploded_can_be_put_together_again(self, src, in_batches, batches):
        words = ops.explode(src.words)
        again = CollectList(limit=10, skip_nulls=False).call(words.upper(), by=ops.each(src))
        found = in_batches(src, {"id": src.id, "words": again}, TABLE, batches)
        assert found["words"].to_pylist() == [["A", "B"], [], [], ["C", None]]

    def test_exploded_rows_are_filtered(self, src, in_batches, batches):
        words = ops.explode(src.words)
        some = ops.filter(words, words != "a")
        found = in_batches(
            src, {"id": src.id, "w": some, "n": Count().call(words, by=ops.each(src))}, TABLE, batches
        )
        assert found.to_pylist() == [{"id": 1, "w": "b", "n": 2}, {"id": 4, "w": "c", "n": 1}]


def test_no_rows(src, in_batches):
    for keep_empty in (False, True):
        words = ops.explode(src.words, keep_empty=keep_empty)
        assert in_batches(src, {"w": words}, TABLE.slice(0, 0)).num_rows == 0


def test_lists_that_go_together_are_equally_long(src, in_batches):
    pairs = ops.explode({"words": src.words, "fixed": src.fixed})
    with pytest.raises(NodeError, match=r"'words' has 0 elements, 'fixed' 2.*\n?.*row 2|row 2") as caught:
        in_batches(src, {"p": pairs}, TABLE)
    assert "'words' has 0 elements, 'fixed' 2: they go together one by one" in str(caught.value)


@pytest.mark.parametrize(
    "write",
    [
        lambda src: ops.explode(src.id),
        lambda src: ops.explode({"a": src.words, "b": src.id}),
        ops.explode,
    ],
    ids=["a number", "one of two", "a struct"],
)
def test_only_lists_explode(src, write):
    with pytest.raises(DefinitionError, match=r"explode\(\) takes lists, '(value|b|id)' is int64") as caught:
        write(src)
    assert caught.value.site is not None
    assert caught.value.site.file == __file__


def test_text_is_split_before_it_explodes():
    src = flow_of({"text": features.value("string")})
    with pytest.raises(DefinitionError, match=r"(?s)explode\(\) takes lists, 'value' is string.*\.split\(\)"):
        ops.explode(src.text)


@pytest.mark.parametrize("given", [[1, 2], None, {}, {"a": [1]}])
def test_what_explodes_is_a_ref(src, given):
    with pytest.raises(DefinitionError) as caught:
        ops.explode(given)
    assert caught.value.site is not None
    assert caught.value.site.file == __file__
