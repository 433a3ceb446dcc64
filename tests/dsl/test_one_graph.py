"""A flow has one graph: what was fitted, frozen or loaded is what runs, is drawn, saved and recorded on."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import datasets
import pyarrow.parquet as pq
import pytest

from hyped_beam import DataFlow, ops, processor
from hyped_beam.aggregators import Count, Max, Mean, Sum
from hyped_beam.compile.__main__ import main
from hyped_beam.errors import DefinitionError
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.io.writers.parquet import ParquetDatasetWriter

KNOWN = datasets.Dataset.from_dict({"id": ["a", "b"], "x": [0.0, 10.0]})
NEW = datasets.Dataset.from_dict({"id": ["c", "d"], "x": [100.0, 200.0]})
OFF = [95.0, 195.0]


def recorded() -> tuple[DataFlow, Any]:
    flow = DataFlow(features=KNOWN.features)
    x = flow.src_features.x
    return flow, x - Mean().call(x)


def fitted(_: Path, flow_and_ref: Any = None) -> DataFlow:
    flow, off = flow_and_ref or recorded()
    return flow.fit(KNOWN, collect={"off": off})


def frozen(_: Path, flow_and_ref: Any = None) -> DataFlow:
    flow, off = flow_and_ref or recorded()
    x = flow.src_features.x
    built, live = flow.build(collect={"x": x}, aggregators={"m": Mean().call(x)})
    built.batch_process(KNOWN[:])
    return flow.freeze(live, collect={"off": off})


def loaded(folder: Path) -> DataFlow:
    fitted(folder).save(folder / "flow.json")
    return DataFlow.load(folder / "flow.json")


def unpickled(folder: Path) -> DataFlow:
    return pickle.loads(pickle.dumps(fitted(folder)))  # noqa: S301 - of this test


@pytest.fixture(params=[fitted, frozen, loaded, unpickled], ids=lambda made: made.__name__)
def served(request: pytest.FixtureRequest, tmp_path: Path) -> DataFlow:
    """A flow whose mean is that of [0, 10]."""
    return request.param(tmp_path)


def test_its_outputs_are_what_was_fitted(served: DataFlow, tmp_path: Path):
    rows = served.outputs["rows"]
    assert served.apply(NEW, collect=rows)[0]["off"][:] == OFF
    assert served.apply(NEW, collect={"again": rows.off})[0]["again"][:] == OFF
    assert served.batch_process(NEW[:], collect=rows) == {"off": OFF}
    assert served.preview(NEW, collect=rows)["off"].to_list() == OFF
    lazily, _ = served.apply(NEW.to_iterable_dataset(), collect=rows)
    assert [row["off"] for row in lazily] == OFF
    for runner in ("local", "direct"):
        out = tmp_path / runner
        served.job(source=NEW).write(collect=rows, to=ParquetDatasetWriter(str(out))).run(runner=runner)
        assert pq.read_table(out)["off"].to_pylist() == OFF
    built, _ = served.build(collect=rows)
    assert built.batch_process(NEW[:]) == {"off": OFF}
    assert "1 scan," in served.explain(collect=rows)


def test_more_is_recorded_on_it(served: DataFlow, tmp_path: Path):
    src, off = served.src_features, served.outputs["rows"].off
    assert dict(served.features) == dict(KNOWN.features)
    largest = Max().call(off)
    rows, aggregates = served.apply(
        NEW, collect={"id": src.id, "half": off / 2, "share": off / largest}, aggregators={"max": largest}
    )
    assert rows[:] == {"id": ["c", "d"], "half": [47.5, 97.5], "share": [95 / 195, 1.0]}
    assert aggregates == {"max": 195.0}
    again = served.fit(NEW, collect={"share": off / largest, "id": src.id})
    assert again.batch_process({"id": ["e"], "x": [5.0]}) == {"share": [0.0], "id": ["e"]}
    again.save(tmp_path / "again.json")
    known = DataFlow.load(tmp_path / "again.json")
    assert known.batch_process({"id": ["e"], "x": [395.0]}) == {"share": [2.0], "id": ["e"]}


def test_aggregates_of_new_data_are_asked_for_with_refs_of_the_fitted_flow(served: DataFlow):
    asked = {"sum": Sum().call(served.outputs["rows"].off)}
    assert served.apply(NEW, aggregators=asked)[1] == {"sum": sum(OFF)}
    built, live = served.build(collect=served.outputs["rows"], aggregators=asked)
    built.batch_process(NEW[:])
    assert live == {"sum": sum(OFF)}
    off, total = served.outputs["rows"].off, asked["sum"]
    assert served.freeze(live, collect={"d": off / total}).batch_process(NEW[:]) == {
        "d": [one / sum(OFF) for one in OFF]
    }


def test_pictures_and_texts_are_of_what_was_fitted(served: DataFlow, tmp_path: Path):
    assert "mean" not in served._repr_html_()
    served.plot(save=tmp_path / "flow.svg")
    assert "mean" not in (tmp_path / "flow.svg").read_text()
    assert repr(served) == "DataFlow({id: string, x: float64}, 2 nodes)"
    assert "combine" not in served.explain()


def test_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "served_target.py").write_text(
        "import datasets\n"
        "from hyped_beam import DataFlow\n"
        "from hyped_beam.aggregators import Mean\n"
        "known = datasets.Dataset.from_dict({'x': [0.0, 10.0]})\n"
        "flow = DataFlow(features=known.features)\n"
        "x = flow.src_features.x\n"
        "fitted = flow.fit(known, collect={'off': x - Mean().call(x)})\n"
    )
    NEW.to_parquet(tmp_path / "new.parquet")
    command = [sys.executable, "-m", "hyped_beam.compile", "served_target.py:fitted", "--run"]
    command += ["--input", "new.parquet", "--output", "out.parquet"]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    assert pq.read_table(tmp_path / "out.parquet")["off"].to_pylist() == OFF


# ------------------------------------------------------------------------------------ refs of another graph


TAKE_REFS: dict[str, Callable[[DataFlow, Any], Any]] = {
    "apply": lambda flow, refs: flow.apply(NEW, collect=refs),
    "aggregators": lambda flow, refs: flow.apply(NEW, aggregators={"m": Mean().call(refs["off"])}),
    "build": lambda flow, refs: flow.build(collect=refs),
    "fit": lambda flow, refs: flow.fit(NEW, collect=refs),
    "batch_process": lambda flow, refs: flow.batch_process(NEW[:], collect=refs),
    "plot": lambda flow, refs: flow.plot(collect=refs),
    "save": lambda flow, refs: flow.save("never.json", collect=refs),
    "job": lambda flow, refs: flow.job(source=NEW).write(collect=refs, to=JsonDatasetWriter("never")),
    "together": lambda flow, refs: {"both": flow.outputs["rows"].off + refs["off"]},
    "filter": lambda flow, refs: ops.filter(flow.src_features, refs["off"] > 0),
    "by": lambda flow, refs: Count().call(flow.src_features.x, by=ops.group_by(refs["off"])),
    "by key": lambda flow, refs: Count().call(flow.src_features.x, by=refs["off"]),
    "where": lambda flow, refs: Count().call(flow.src_features.x, where=refs["off"] > 0),
}


@pytest.mark.parametrize("take", TAKE_REFS.values(), ids=list(TAKE_REFS))
@pytest.mark.parametrize("made", [fitted, frozen])
def test_refs_of_the_flow_before_the_fit_are_refused(take: Any, made: Any, tmp_path: Path):
    flow, off = recorded()
    with pytest.raises(DefinitionError) as caught:
        take(made(tmp_path, (flow, off)), {"off": off})
    assert 'its src_features and its outputs["rows"]' in caught.value.hint
    assert caught.value.site.file == __file__


def test_refs_of_the_fitted_flow_are_refused_before_the_fit(tmp_path: Path):
    flow, off = recorded()
    with pytest.raises(DefinitionError, match="belongs to another flow") as caught:
        flow.apply(NEW, collect=fitted(tmp_path, (flow, off)).outputs["rows"])
    assert "the ref is of a fitted flow, and this flow is not fitted" in caught.value.hint
    assert "its src_features, or ask the fitted one" in caught.value.hint


def test_the_flow_in_hand_is_called_what_it_is(tmp_path: Path):
    flow, off = recorded()
    with pytest.raises(DefinitionError, match="belongs to another flow") as caught:
        fitted(tmp_path, (flow, off)).apply(NEW, collect={"off": off})
    assert "this flow is fitted, and has refs of its own" in caught.value.hint
    with pytest.raises(DefinitionError, match="belongs to another flow") as caught:
        recorded()[0].apply(NEW, collect={"off": off})
    assert "fitted" not in caught.value.hint


def test_a_built_flow_has_the_graph_of_the_flow():
    flow, off = recorded()
    built, _ = flow.build(collect={"twice": flow.src_features.x * 2})
    assert built.apply(NEW, collect={"off": off})[0]["off"][:] == [-50.0, 50.0]
    assert flow.batch_process(NEW[:], collect=built.outputs["rows"]) == {"twice": [200.0, 400.0]}
    assert repr(built) == "DataFlow({id: string, x: float64}, 2 nodes)"


# ---------------------------------------------------------------------------------------------------- pickle


@processor
def shifted(x: float) -> float:
    return x + 1


def copies(flow_and_refs: Any) -> list[Any]:
    return [
        pickle.loads(pickle.dumps(flow_and_refs)),  # noqa: S301 - of this test
        cloudpickle.loads(cloudpickle.dumps(flow_and_refs)),
        copy.deepcopy(flow_and_refs),
    ]


def test_a_flow_and_its_refs_are_pickled():
    @processor
    def local(x: float) -> float:
        return x * 3

    flow, off = recorded()
    refs = {"off": off, "s": shifted.call(flow.src_features.x), "l": local.call(flow.src_features.x)}
    for copied, asked in copies((flow, refs)):
        assert copied.apply(NEW, collect=asked)[0][:] == flow.apply(NEW, collect=refs)[0][:]
        assert copied.apply(NEW, collect={"n": copied.src_features.x + 1})[0]["n"][:] == [101.0, 201.0]
        with pytest.raises(DefinitionError, match="another flow"):
            flow.apply(NEW, collect=asked)


def test_a_pickled_flow_with_outputs_is_the_same(tmp_path: Path):
    flow, off = recorded()
    groups = {"mean": Mean().call(flow.src_features.x, by=flow.src_features.id), "off": off, "two": [2, None]}
    built, _ = flow.build(
        collect={"x": flow.src_features.x + 1, "c": "text"}, aggregators={"m": Mean().call(off * 2)}
    )
    Max().call(flow.src_features.x)  # recorded after it was built
    for number, one in enumerate((built, flow.fit(KNOWN, collect=groups))):
        one.save(tmp_path / f"{number}.json")
        wanted = one.apply(NEW)
        for copied, (name, beside) in copies((one, ("x", one.src_features.x))):
            copied.save(tmp_path / "copy.json")
            assert (tmp_path / "copy.json").read_bytes() == (tmp_path / f"{number}.json").read_bytes()
            found = copied.apply(NEW)
            assert (found[0][:], found[1]) == (wanted[0][:], wanted[1])
            assert copied.batch_process(NEW[:], collect={name: beside}) == {"x": NEW["x"][:]}


def test_groups_written_again_are_one_in_a_copy():
    flow = DataFlow(features=KNOWN.features)
    first = ops.group_by({"id": flow.src_features.id})
    total = Sum().call(flow.src_features.x, by=first)
    for copied, ref in copies((flow, total)):
        again = Count().call(copied.src_features.x, by={"id": copied.src_features.id})
        rows, _ = copied.apply(KNOWN, collect={"share": ref / again})
        assert rows["share"][:] == [0.0, 10.0]


# ------------------------------------------------------------------------------------------- rows and splits


def test_rows_that_were_chosen_stay_chosen(tmp_path: Path):
    flow, off = recorded()
    one = flow.fit(KNOWN, collect=ops.filter(flow.src_features, off > 100))
    one.save(tmp_path / "flow.json")
    wanted = {"id": ["d"], "x": [200.0]}
    for number, served in enumerate((one, DataFlow.load(tmp_path / "flow.json"), *copies(one))):
        assert served.apply(NEW)[0][:] == wanted
        assert served.apply(NEW, collect=served.outputs["rows"])[0][:] == wanted
        assert served.apply(NEW, collect={"id": served.outputs["rows"].id})[0][:] == {"id": ["d"]}
        out = JsonDatasetWriter(str(tmp_path / f"{number}"))
        served.job(source=NEW).write(collect=served.outputs["rows"], to=out).run(runner="local")
        assert "".join(path.read_text() for path in tmp_path.glob(f"{number}/*.jsonl")).count("id") == 1


def test_a_split_is_fitted_saved_and_run(tmp_path: Path):
    flow, off = recorded()
    parts = ops.split(ops.with_columns(flow.src_features, off=off), by=flow.src_features.id, one=0.5, two=0.5)
    one = flow.fit(KNOWN, collect=parts)
    wanted = {name: rows[:] for name, rows in one.apply(NEW)[0].items()}
    assert sorted(x for rows in wanted.values() for x in rows["off"]) == OFF
    one.save(tmp_path / "flow.json")
    for served in (one, DataFlow.load(tmp_path / "flow.json"), *copies(one)):
        assert list(served.outputs["rows"]) == ["one", "two"]
        found = {name: rows[:] for name, rows in served.apply(NEW)[0].items()}
        assert found == wanted
        part, _ = served.apply(NEW, collect=served.outputs["rows"].one)
        assert part[:] == wanted["one"]
    NEW.to_parquet(tmp_path / "new.parquet")
    command = [
        str(tmp_path / "flow.json"),
        "--run",
        "--runner",
        "local",
        "--input",
        str(tmp_path / "new.parquet"),
    ]
    command += [f"--output={name}={tmp_path}/{name}.parquet" for name in wanted]
    assert main(command) == 0
    for name, rows in wanted.items():
        assert pq.read_table(tmp_path / f"{name}.parquet").to_pydict() == rows
