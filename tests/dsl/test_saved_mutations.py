"""A saved flow that was changed is refused with one line, or is the flow that the file then says."""

from __future__ import annotations

import copy
import json
import random

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyped_beam import DataFlow, ops
from hyped_beam.aggregators import Count, Mean, Quantiles, TopK
from hyped_beam.errors import InputError
from hyped_beam.processors.templates.jinja2 import Jinja2
from hyped_beam.processors.tokenizers.transformers import TransformersTokenizer
from tests.dsl.saved_flows import ROOT

STRAYS = (
    *(None, True, False, -1, 0, 1, 10**30, -0.5, 1e308),
    *("", "x", "\0", "\ud800", "../x", "rows", "string", "Upper", "auto"),
    *([], [None], [[]], [0], [0, "text"], {}, {"": 0}, {"a": {"b": []}}, {"value": 1}, {"node": "Lookup"}),
    *({"env": "HOME"}, {"beside": "1.scalar"}, {"arrow": "AAAA"}, {"arrow": "?"}),
    *({"_type": "List"}, {"_type": "Audio"}, {"names": ["a", "a"], "_type": "ClassLabel"}),
    *({"dtype": "string", "_type": "Value"}, {"dtype": "nonsense", "_type": "Value"}),
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A saved flow of every kind of node, fitted, with constants beside it: its path and its content."""
    folder = tmp_path_factory.mktemp("mutations")
    pq.write_table(pa.table({"id": ["a", "b"], "group": [1, 2]}), folder / "groups.parquet")
    rows = {"text": ["a b", "b", "c a"], "n": [1, 2, 3], "x": [0.5, 1.5, None], "words": [["a"], [], None]}
    data = datasets.Dataset.from_dict(rows)
    flow = DataFlow(features=data.features)
    src = flow.src_features
    groups = ops.group_by({"n": src.n})
    collect = {
        "t": src.text.upper(),
        "centred": src.x - Mean().call(src.x),
        "of_group": Mean().call(src.x, by=groups),
        "known": src.text.is_in([f"word {number}" for number in range(10_000)]),
        "group": ops.lookup(src.text, in_=str(folder / "groups.parquet"), key="id"),
        "prompt": Jinja2(template="{{ inputs.text }}").call(features=src),
        "tokens": TransformersTokenizer(tokenizer=ROOT / "examples/data/tokenizer").call(text=src.text),
        "day": src.text.cast("string").fill_null("x"),
    }
    path = folder / "fitted.json"
    flow.fit(data, collect=collect).save(path)
    other = folder / "flow.json"
    words = ops.explode(src.words)
    long = src.n > 1
    aggregates = {
        "n": Count().call(src.n, where=long),
        "top": TopK(k=2).call(words),
        "q": Quantiles(q=[0.5]).call(src.x),
        "by": {"k": groups.keys.n, "m": Mean().call(src.x, by=groups)},
    }
    flow.save(other, collect=collect, aggregators={name: aggregates[name] for name in ("n", "top", "q")})
    return [(file, file.read_text()) for file in (path, other)]


def places(value, path=()):
    """The path of each part of a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def part(value, path):
    for key in path:
        value = value[key]
    return value


def mutated(content, chosen):
    """The content with a change or two: parts replaced, removed, added, doubled, moved or nested deep."""
    content = copy.deepcopy(content)
    for _ in range(chosen.choice((1, 1, 1, 2, 5))):
        paths = [path for path in places(content) if path]
        path = chosen.choice(paths)
        if chosen.random() < 0.7:  # most parts lie within features
            path = chosen.choice([path for path in paths if "feature" not in path] or paths)
        holder, key = part(content, path[:-1]), path[-1]
        how = chosen.randrange(6)
        if how == 0:
            holder[key] = chosen.choice(STRAYS)
        elif how == 1:
            del holder[key]
        elif how == 2:
            other = part(content, chosen.choice(paths))
            holder[key] = copy.deepcopy(other)
        elif how == 3 and isinstance(holder, dict):
            holder[chosen.choice(("x", "", "options", "name", "\0"))] = chosen.choice(STRAYS)
        elif how == 4 and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        else:
            for _ in range(chosen.choice((1, 3, 50, 250))):
                holder[key] = [holder[key]] if chosen.random() < 0.5 else {"a": holder[key]}
    return content


def check(path, text):
    """Load a text; whatever is loaded is saved as the same again."""
    changed = path.with_name("changed.json")
    changed.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        loaded = DataFlow.load(changed)
        repr(loaded), loaded.explain()
    except InputError as error:
        said = str(error)
    else:
        said = None
    if said is not None:
        assert len(said.splitlines()) <= 2  # what is wrong, and a hint
        return False
    again = path.with_name("again.json")
    loaded.save(again)
    second = path.with_name("second.json")
    DataFlow.load(again).save(second)
    assert second.read_text().replace("second.", "again.") == again.read_text()
    return True


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_a_mutated_flow_is_refused_or_is_what_it_says(saved, seed):
    chosen = random.Random(seed)  # noqa: S311 - for the same changes each time
    path, text = chosen.choice(saved)
    content = mutated(json.loads(text), chosen)
    lines = (
        [f'"{key}": {json.dumps(value)}' for key, value in content.items()]
        if isinstance(content, dict)
        else []
    )
    check(path, "{" + ",\n".join(lines) + "}" if lines else json.dumps(content))


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_a_flow_with_other_characters_is_refused_or_is_what_it_says(saved, seed):
    chosen = random.Random(seed)  # noqa: S311 - for the same changes each time
    path, text = chosen.choice(saved)
    for _ in range(chosen.choice((1, 1, 3))):
        start = chosen.randrange(len(text))
        stop = min(start + chosen.choice((0, 1, 1, 5, 50)), len(text))
        new = chosen.choice(
            ("", "[", "{", "}", '"', "0", "-", "1e999", "null", "\\u0000", "\x00", ",", "[" * 300)
        )
        text = text[:start] + new + text[stop:]
    check(path, text)


def test_the_flow_itself_is_loaded(saved):
    assert all(check(path, text) for path, text in saved)


@pytest.mark.parametrize(
    "stray",
    [
        {"rendered": []},
        [],
        [[]],
        {"a": [1, 2]},
        None,
        5,
        "x",
        {"_type": []},
        {"_type": "List", "feature": []},
    ],
    ids=str,
)
def test_what_is_no_feature_is_refused_wherever_it_stands(saved, stray):
    for path, text in saved:
        content = json.loads(text)
        found = [
            place for place in places(content) if place[-1:] == ("feature",) and place.count("feature") == 1
        ]
        found += [place for place in places(content) if place[-2:] == ("columns", "id")]
        assert {place[-1] for place in found} == {"feature", "id"}
        for place in found:
            changed = copy.deepcopy(content)
            part(changed, place[:-1])[place[-1]] = stray
            other = path.with_name("stray.json")
            other.write_text(json.dumps(changed))
            with pytest.raises(InputError):
                DataFlow.load(other)
