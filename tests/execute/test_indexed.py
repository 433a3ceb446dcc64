"""Values of parents that nodes take by the map of rows, and are not repeated for each of them."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam import ops
from hyped_beam.aggregators import CollectList
from hyped_beam.dsl.outputs import Outputs, graph_of
from hyped_beam.execute.stage import StageRunner
from hyped_beam.nodes.refs import builder_of
from hyped_beam.passes import optimise
from hyped_beam.plan.planner import make_plan
from hyped_beam.testing import evaluate, flow_of
from hyped_beam.types.indexed import Indexed

WORDS = st.none() | st.lists(st.none() | st.sampled_from("abc"), max_size=5)
ROWS = st.lists(st.tuples(WORDS, WORDS, st.none() | st.integers(-6, 6)), max_size=6)
SCHEMA = {"list": pa.list_(pa.string()), "tags": pa.list_(pa.string()), "n": pa.int64()}


def table_of(rows):
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    arrays = [
        pa.array([None, *column], kind).slice(1)
        for column, kind in zip(columns, SCHEMA.values(), strict=True)
    ]
    return pa.table(arrays, list(SCHEMA))


def element(items, index):
    if items is None or index is None or not -len(items) <= index < len(items):
        return None
    return items[index]


@given(ROWS)
def test_elements_of_the_list_that_rows_were_made_from(rows):
    table = table_of(rows)
    src = flow_of(table.schema)
    word = ops.explode({"word": src["list"]}, with_position=True)
    bigrams = ops.collect(
        {"left": word.word, "right": src["list"][word.position + 1], "tag": src.tags[word.position]}
    )
    assert evaluate(bigrams, table).to_pylist() == [
        {"left": left, "right": element(words, place + 1), "tag": element(tags, place)}
        for words, tags, _ in rows
        for place, left in enumerate(words or [])
    ]


@given(ROWS)
def test_places_in_the_list_that_rows_belong_to(rows):
    table = table_of(rows)
    src = flow_of(table.schema)
    word = ops.explode(src["list"])
    found = ops.collect(
        {
            "is_tag": src.tags.contains(word),
            "place": src.tags.index(word, default=-1),
            "places": src.tags.index(ops.collect([word, word])),
            "has_a": ops.align(src.tags, to=word).contains("a"),
        }
    )

    def place(tags, word):
        return None if tags is None or word is None else tags.index(word) if word in tags else -1

    def row(tags, word):
        at = place(tags, word)
        return {
            "is_tag": None if at is None else at >= 0,
            "place": at,
            "places": None if tags is None else [None if at in (None, -1) else at] * 2,
            "has_a": None if tags is None else "a" in tags,
        }

    assert evaluate(found, table).to_pylist() == [
        row(tags, word) for words, tags, _ in rows for word in words or []
    ]


@given(ROWS)
def test_lists_of_groups_at_their_rows(rows):
    table = table_of(rows)
    src = flow_of(table.schema)
    collected = CollectList(limit=100).call(src.tags.length().fill_null(-1), by=src.n)
    of_group: dict = {}
    for _, tags, key in rows:
        of_group.setdefault(key, []).append(-1 if tags is None else len(tags))
    expected = [element(of_group[key], -1 if key is None else key) for _, _, key in rows]
    assert evaluate(collected[ops.coalesce(src.n, -1)], table).to_pylist() == expected


def test_rows_without_a_parent_have_no_element():
    from hyped_beam.processors.lists.indexing import ListIndex
    from hyped_beam.processors.lists.searching import ListContains
    from hyped_beam.processors.lists.selecting import ListElement

    items = Indexed(pa.array([["a"], None]), pa.array([0, None, 1], pa.int64()))
    words, zeros = pa.array(["a", "a", "a"]), pa.array([0, 0, 0])
    assert ListElement().runtime_copy(pa.string()).process(items, zeros).to_pylist() == ["a", None, None]
    assert ListContains().runtime_copy(pa.bool_()).process(items, words).to_pylist() == [True, None, None]
    assert ListIndex(default=-1).runtime_copy(pa.int64()).process(items, words).to_pylist() == [0, None, None]
    some = pa.array([["a", "b"]] * 3)
    many = ListIndex().runtime_copy(pa.list_(pa.int64())).process(items, some)
    assert many.to_pylist() == [[0, None], None, None]


@pytest.mark.parametrize("count", [2_000, 4_000])
def test_the_list_is_not_repeated_for_each_of_its_elements(count):
    table = pa.table({"list": [[f"word {number}" for number in range(count)]]})
    src = flow_of(table.schema)
    word = ops.explode({"word": src["list"]}, with_position=True)
    bigrams = {
        "left": word.word,
        "right": src["list"][word.position + 1],
        "place": src["list"].index(word.word),
        "again": src["list"].contains(word.word),
    }
    (batch,) = table.to_batches()
    program = make_plan(optimise(graph_of(builder_of(src), Outputs(bigrams)))).scan
    pool, usual = pa.proxy_memory_pool(pa.default_memory_pool()), pa.default_memory_pool()
    with StageRunner(program) as runner:
        pa.set_memory_pool(pool)
        try:
            runner.run(runner.source_batch(batch))
        finally:
            pa.set_memory_pool(usual)
    assert pool.max_memory() < 60 * batch.nbytes  # lists that are repeated would be `count` times as much
