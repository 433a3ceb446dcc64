"""Files of polars, which writes large strings, and of pyarrow and `datasets`, which do not, go together."""

from __future__ import annotations

import datasets
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from hyped_beam import DataFlow, FlowError, ops
from hyped_beam.aggregators import Count, CountDistinct
from hyped_beam.compile.__main__ import main
from hyped_beam.dsl.sources import as_source
from hyped_beam.errors import InputError
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.arrow import ArrowDatasetWriter

ROWS = {
    "id": ["b", "a", None, "ä", "b", ""],
    "tags": [["x"], [], None, ["y", None], ["z"], ["x"]],
    "at": [{"path": name} for name in "uvwxyz"],
    "raw": [b"1", None, b"", b"2", b"1", b"3"],
    "n": list(range(6)),
}


def narrow(path, rows=ROWS):
    table = pa.table(rows)
    assert table.schema.field("id").type == pa.string()
    (pq.write_table if path.suffix == ".parquet" else feather.write_feather)(table, path)
    return path


def wide(path, rows=ROWS):
    frame = pl.DataFrame(rows)
    (frame.write_parquet if path.suffix == ".parquet" else frame.write_ipc)(path)
    if path.suffix == ".parquet":
        assert pq.read_schema(path).field("id").type == pa.large_string()
    return path


def asked(flow):
    """All columns, of rows that are filtered where the source is read, and what comes of them."""
    src = flow.src_features
    kept = ops.filter(src, src.id.is_in(["b", "ä", "none"]) | (src.id == ""))
    aggregates = {
        "rows": Count().call(kept),
        "ids": CountDistinct().call(src.id),
        "raws": CountDistinct().call(src.raw),
    }
    return {**{name: kept[name] for name in ROWS}, "rows": Count().call(src.n, by=src.id)}, aggregates


BOTH = pytest.mark.parametrize(("made_for", "given"), [(narrow, wide), (wide, narrow)])
FORMATS = pytest.mark.parametrize("suffix", [".parquet", ".arrow"])


@BOTH
@FORMATS
@pytest.mark.parametrize("num_proc", [1, 2])
def test_a_job_takes_files_of_the_other_width(made_for, given, suffix, num_proc, tmp_path):
    one, other = made_for(tmp_path / f"one{suffix}"), given(tmp_path / f"other{suffix}")
    flow = DataFlow(features=as_source(one))
    collect, aggregates = asked(flow)
    found = []
    for number, source in enumerate((one, other)):
        writer = ArrowDatasetWriter(tmp_path / f"out{number}")
        job = flow.job(source=source).write(collect=collect, to=writer).aggregate(aggregates)
        result = job.run(num_proc=num_proc)
        assert result.aggregates == {"rows": 4, "ids": 4, "raws": 4}
        (shard,) = (tmp_path / f"out{number}").glob("*.arrow")
        found.append(datasets.Dataset.from_file(str(shard)))
    assert found[0].features == found[1].features
    assert found[0].to_list() == found[1].to_list()
    assert found[0]["id"][:] == ["b", "ä", "b", ""]
    assert found[0]["rows"][:] == [2, 1, 2, 1]


@BOTH
def test_a_dataset_of_the_other_width_is_applied_and_fitted(made_for, given, tmp_path):
    one, other = made_for(tmp_path / "one.parquet"), given(tmp_path / "other.parquet")
    flow = DataFlow(features=ParquetReader(one))
    collect, aggregates = asked(flow)
    expected, values = flow.apply(
        datasets.Dataset(pq.read_table(one)), collect=collect, aggregators=aggregates
    )
    data = datasets.Dataset(pq.read_table(other))
    for each in (data, data.select(range(6))):
        rows, found = flow.apply(each, collect=collect, aggregators=aggregates)
        assert rows.features == expected.features
        assert rows.to_list() == expected.to_list()
        assert found == values
    src = flow.src_features
    fitted = flow.fit(data, collect={"id": src.id, "rows": Count().call(src.n, by=src.id)})
    lazily, _ = fitted.apply(data.to_iterable_dataset())
    assert [row["rows"] for row in lazily] == [2, 1, 1, 1, 2, 1]
    assert fitted.batch_process({"id": ["b", "none"], "n": [1, 1]})["rows"] == [2, None]


def test_what_differs_is_refused_with_a_way_out(tmp_path):
    flow = DataFlow(features=ParquetReader(narrow(tmp_path / "one.parquet")))
    numbers = tmp_path / "numbers.parquet"
    pl.DataFrame({"id": [1, 2]}).write_parquet(numbers)
    job = flow.job(source=numbers).aggregate({"ids": CountDistinct().call(flow.src_features.id)})
    with pytest.raises(InputError, match="column 'id' is int64, the flow was made for string") as caught:
        job.run()
    assert "convert the column of the data to string" in caught.value.hint


JOB = """
from hyped_beam import DataFlow
from hyped_beam.aggregators import Count
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter
from pathlib import Path

here = Path(__file__).parent
reader = ParquetReader(here / "one.parquet")
flow = DataFlow(features=reader)
src = flow.src_features
job = flow.job(source=reader).write(
    collect={"id": src.id, "at": src.at, "rows": Count().call(src.n, by=src.id)},
    to=JsonDatasetWriter(here / "out"),
)
"""


@BOTH
def test_the_command_line_takes_a_folder_of_the_other_width(made_for, given, tmp_path, capsys):
    (tmp_path / f"job_of_{made_for.__name__}_files.py").write_text(JOB)
    made_for(tmp_path / "one.parquet")
    (tmp_path / "more").mkdir()
    given(tmp_path / "more" / "a.parquet")
    target = str(tmp_path / f"job_of_{made_for.__name__}_files.py")
    assert main([target, "--run"]) == 0
    assert (
        main([target, "--run", "--input", str(tmp_path / "more"), "--output", str(tmp_path / "other")]) == 0
    )
    one, other = ((tmp_path / name) for name in ("out", "other"))
    assert [path.read_bytes() for path in sorted(one.glob("*.jsonl"))] == [
        path.read_bytes() for path in sorted(other.glob("*.jsonl"))
    ]
    assert list(one.glob("*.jsonl"))
    pl.DataFrame({"id": [1], "at": [1], "n": [1]}).write_parquet(tmp_path / "more" / "a.parquet")
    capsys.readouterr()
    assert main([target, "--run", "--input", str(tmp_path / "more"), "--output", str(tmp_path / "x")]) == 2
    told = capsys.readouterr().err
    assert "column 'id' is int64, the flow was made for" in told
    assert "make the flow for such data" in told


@FORMATS
@pytest.mark.parametrize("order", [(narrow, wide), (wide, narrow)])
def test_files_of_both_widths_in_one_folder_are_read_as_the_wider(order, suffix, tmp_path):
    folder = tmp_path / "rows"
    folder.mkdir()
    for number, write in enumerate((*order, order[0])):
        write(folder / f"{number}{suffix}")
    reader = as_source(folder)
    assert reader.features["id"] == datasets.Value("large_string")
    assert reader.features["tags"].feature == datasets.Value("large_string")
    assert reader.features["at"] == {"path": datasets.Value("large_string")}
    batches = [batch for part in reader.ranges() for batch in reader.read(part, list(ROWS))]
    read = pa.Table.from_batches(batches)
    assert read.to_pydict() == {name: values * 3 for name, values in ROWS.items()}
    flow = DataFlow(features=reader)
    collect, aggregates = asked(flow)
    result = flow.job(source=reader).write(collect=collect, to=ArrowDatasetWriter(tmp_path / "out"))
    values = result.aggregate(aggregates).run().aggregates
    assert values == {"rows": 12, "ids": 4, "raws": 4}


def test_files_that_really_differ_say_what_to_declare(tmp_path):
    wide(tmp_path / "0.parquet")
    narrow(tmp_path / "1.parquet")
    pl.DataFrame({**ROWS, "id": list(range(6))}).write_parquet(tmp_path / "2.parquet")
    with pytest.raises(
        InputError, match=r"column 'id': large_string in .*0.parquet, int64 in .*2.p"
    ) as caught:
        _ = ParquetReader(tmp_path).features
    assert "all other columns that are wanted: features={'id': ..., ...}" in caught.value.hint


@BOTH
@pytest.mark.parametrize("join", ["broadcast", "shuffle"])
def test_keys_of_the_other_width_are_looked_up(made_for, given, join, tmp_path):
    rows = made_for(tmp_path / "rows.parquet")
    given(
        tmp_path / "costs.parquet",
        {"id": ["ä", None, "b", "z"], "cost": [1.5, 2.5, None, 4.0], "to": list("pqrs")},
    )
    flow = DataFlow(features=ParquetReader(rows))
    found = ops.lookup(flow.src_features.id, in_=tmp_path / "costs.parquet", key="id", join=join)
    writer = ArrowDatasetWriter(tmp_path / "out")
    flow.job(source=rows).write(collect={"to": found.to, "cost": found.cost}, to=writer).run()
    (shard,) = (tmp_path / "out").glob("*.arrow")
    made = datasets.Dataset.from_file(str(shard))
    assert made["to"][:] == ["r", None, None, "p", "r", None]
    assert made["cost"][:] == [None, None, None, 1.5, None, None]


def test_lists_and_bytes_are_keys_too(tmp_path):
    flow = DataFlow(features=ParquetReader(narrow(tmp_path / "rows.parquet")))
    wide(
        tmp_path / "wide.parquet",
        {"id": ["k", "l"], "tags": [["y", None], []], "raw": [b"2", b"1"], "v": [1, 2]},
    )
    src = flow.src_features
    by_tags = ops.lookup(src.tags, in_=tmp_path / "wide.parquet", key="tags").v
    by_raw = ops.lookup(src.raw, in_=tmp_path / "wide.parquet", key="raw").v
    rows, _ = flow.apply(datasets.Dataset(pa.table(ROWS)), collect={"tags": by_tags, "raw": by_raw})
    assert rows["tags"][:] == [None, 2, None, 1, None, None]
    assert rows["raw"][:] == [2, None, None, 1, 2, None]


@pytest.mark.parametrize(
    ("table", "hint"),
    [
        (pa.table({"id": ["a"]}), "datasets.Dataset(table)"),
        (pl.DataFrame({"id": ["a"]}), "datasets.Dataset.from_polars(frame)"),
        (pl.DataFrame({"id": ["a"]}).to_pandas(), "datasets.Dataset.from_pandas(frame)"),
    ],
)
def test_a_table_in_memory_is_no_table_to_look_up_in(table, hint):
    flow = DataFlow(features={"id": "string"})
    with pytest.raises(
        FlowError, match=f": in_= takes a reader, a path or a dataset, got {type(table).__name__}"
    ) as caught:
        ops.lookup(flow.src_features.id, in_=table, key="id")
    assert hint in caught.value.hint
    assert "Parquet file" in caught.value.hint
    with pytest.raises(FlowError, match="source= takes a reader") as caught:
        flow.job(source=table)
    assert hint in caught.value.hint
    with pytest.raises(FlowError, match=r"apply\(\) takes a Dataset") as caught:
        flow.apply(table, collect=flow.src_features)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("column", "namespace", "words"), [("t", "dt", "year"), ("s", "str", "lower"), ("l", "list", "length")]
)
def test_namespaces_of_polars_are_not_written(column, namespace, words):
    features = {"t": "timestamp[us]", "s": "string", "l": datasets.List(datasets.Value("string"))}
    ref = DataFlow(features=features).src_features[column]
    with pytest.raises(FlowError, match=f"has no method '{namespace}'") as caught:
        getattr(ref, namespace)
    assert f"write .{words}()" in caught.value.hint
    assert callable(getattr(ref, words))


def test_a_field_that_a_long_struct_lacks_is_told_readably():
    text = datasets.Value("large_string")
    fields = {"id": text, **{f"part_{number}": text for number in range(9)}, "sent": text}
    with pytest.raises(FlowError) as caught:
        _ = DataFlow(features=fields).src_features.snet
    assert "{id: large_string, part_0: large_string," in caught.value.message
    assert "more)} has no field 'snet'" in caught.value.message
    assert caught.value.hint == "did you mean 'sent'?"
