"""Whole jobs, Parquet to Parquet, against the engines for one machine: polars and duckdb, on the same cores.

    python -m tests.benchmarks engines
    python -m tests.benchmarks.engines [rows]
    python -m tests.benchmarks.engines run JOB ENGINE INPUT OUTPUT

The last form is one job as a program of its own, which is what a cold start is measured with.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks.measure import Row, seconds

ROWS = 5_000_000
GROUP_ROWS = 250_000
TEXTS = 262_144
KEYS = 1_000
PROCESSES = 2

# What each job may take, as a ratio to polars: warm, and as a program from a cold start.
BOUNDS = {"light flow": 0.7, "z-score per group": 1.2, "distinct by text": 1.5, "count per word": 1.0}
COLD_BOUND = 2.0


def write_source(path: Path, rows: int) -> None:
    """Write texts of ten words (262k different ones), a label, a key and a value, in row groups of 250k."""
    from tests.benchmarks.light_flow import make_texts

    random = np.random.default_rng(0)
    texts = pa.array(make_texts(TEXTS))
    labels = pa.array(["ham", "spam", "unknown"])
    schema = pa.schema({"text": "string", "label": "string", "key": "int64", "value": "float64"})
    with pq.ParquetWriter(str(path), schema) as writer:
        for start in range(0, rows, GROUP_ROWS):
            size = min(GROUP_ROWS, rows - start)
            columns = {
                "text": texts.take(pa.array(random.integers(0, TEXTS, size))),
                "label": labels.take(pa.array(random.integers(0, 3, size))),
                "key": pa.array(random.integers(0, KEYS, size)),
                "value": pa.array(random.normal(size=size)),
            }
            writer.write_batch(pa.record_batch(columns, schema=schema))


# ------------------------------------------------------------------------------------------------ hyped_beam


def run_ours(job: str, source: Path, target: Path) -> None:
    """Run a job with hyped_beam, in two processes."""
    from hyped_beam import DataFlow, ops
    from hyped_beam.aggregators import Count, Mean, Std
    from hyped_beam.io.readers.parquet import ParquetReader
    from hyped_beam.io.writers.parquet import ParquetDatasetWriter

    reader = ParquetReader(str(source))
    flow = DataFlow(features=reader)
    src = flow.src_features
    if job == "light flow":
        from hyped_beam.processors.templates.jinja2 import Jinja2

        text = src.text.lower()
        words = text.split().length()
        found = text.contains("unsubscribe")
        prompt = Jinja2(template="Input: {{ inputs.text }}").call(features=ops.collect({"text": src.text}))
        score = ops.if_else(found, 1.0, words / 100)
        collect = {
            "prompt": prompt.rendered,
            "lower": text,
            "words": words,
            "found": found,
            "score": score,
        }
    elif job == "z-score per group":
        mean, std = Mean().call(src.value, by=src.key), Std().call(src.value, by=src.key)
        collect = {"key": src.key, "z": (src.value - mean) / std}
    elif job == "distinct by text":
        rows = ops.distinct(src, by=src.text)
        collect = {"text": rows.text, "label": rows.label, "key": rows.key, "value": rows.value}
    else:
        word = ops.explode(src.text.split())
        groups = ops.group_by({"word": word})
        collect = {"word": groups.keys.word, "count": Count().call(word, by=groups)}
    flow.job(source=reader).write(collect=collect, to=ParquetDatasetWriter(str(target))).run(
        num_proc=PROCESSES
    )


# ---------------------------------------------------------------------------------------------------- polars


def run_polars(job: str, source: Path, target: Path) -> None:
    """Run a job with polars, whose lazy frames use all cores."""
    import polars as pl

    frame, text, value = pl.scan_parquet(source), pl.col("text"), pl.col("value")
    if job == "light flow":
        lower = text.str.to_lowercase()
        words = lower.str.extract_all(r"\S+").list.len()
        found = lower.str.contains("unsubscribe", literal=True)
        frame = frame.select(
            prompt=pl.lit("Input: ") + text,
            lower=lower,
            words=words,
            found=found,
            score=pl.when(found).then(1.0).otherwise(words / 100),
        )
    elif job == "z-score per group":
        frame = frame.select("key", z=(value - value.mean().over("key")) / value.std(ddof=1).over("key"))
    elif job == "distinct by text":
        frame = frame.unique("text", keep="first", maintain_order=True)
    else:
        words = frame.select(word=text.str.split(" ")).explode("word")
        frame = words.group_by("word").agg(count=pl.len()).sort("word")
    target.mkdir()
    frame.sink_parquet(target / "part.parquet")


# ---------------------------------------------------------------------------------------------------- duckdb

QUERIES = {
    "light flow": """
        SELECT prompt, lower, words, found, CASE WHEN found THEN 1.0 ELSE words / 100 END AS score FROM (
            SELECT 'Input: ' || text AS prompt, lower(text) AS lower,
                len(string_split(lower(text), ' ')) AS words, contains(lower(text), 'unsubscribe') AS found
            FROM source)""",
    "z-score per group": """
        SELECT key, (value - mean) / deviation AS z FROM source
        JOIN (SELECT key, avg(value) AS mean, stddev_samp(value) AS deviation FROM source GROUP BY key)
        USING (key)""",
    "distinct by text": """
        SELECT text, first(label) AS label, first(key) AS key, first(value) AS value
        FROM source GROUP BY text""",
    "count per word": """
        SELECT word, count(*) AS count FROM (SELECT unnest(string_split(text, ' ')) AS word FROM source)
        GROUP BY word ORDER BY word""",
}


def run_duckdb(job: str, source: Path, target: Path) -> None:
    """Run a job with duckdb, which uses all cores."""
    import duckdb

    target.mkdir()
    with duckdb.connect() as connection:
        connection.execute(f"CREATE VIEW source AS FROM read_parquet('{source}')")
        connection.execute(f"COPY ({QUERIES[job]}) TO '{target / 'part.parquet'}' (FORMAT parquet)")


ENGINES: dict[str, Callable[[str, Path, Path], None]] = {
    "hyped_beam": run_ours,
    "polars": run_polars,
    "duckdb": run_duckdb,
}


# -------------------------------------------------------------------------------------------------- measuring


def measure(rows: int = ROWS) -> list[Row]:
    """Return the lines of the table."""
    folder = Path(tempfile.mkdtemp())
    try:
        source = folder / "source.parquet"
        write_source(source, rows)
        warm = [
            _row(job, rows, _taken(job, source, folder, _run_here), bound) for job, bound in BOUNDS.items()
        ]
        cold = [
            _row(f"{job}, a program", rows, _taken(job, source, folder, _run_program), COLD_BOUND)
            for job in BOUNDS
        ]
        return warm + cold
    finally:
        shutil.rmtree(folder)


def _taken(
    job: str, source: Path, folder: Path, run: Callable[[str, str, Path, Path], None]
) -> dict[str, float]:
    def timed(engine: str) -> Callable[[], None]:
        def once() -> None:
            target = folder / "out"
            run(job, engine, source, target)
            shutil.rmtree(target)

        return once

    return seconds({engine: timed(engine) for engine in ENGINES})


def _run_here(job: str, engine: str, source: Path, target: Path) -> None:
    ENGINES[engine](job, source, target)


def _run_program(job: str, engine: str, source: Path, target: Path) -> None:
    program = [sys.executable, "-m", __spec__.name, "run", job, engine, str(source), str(target)]
    subprocess.run(program, check=True, capture_output=True)


def _row(what: str, rows: int, taken: dict[str, float], bound: float) -> Row:
    note = f"{taken['hyped_beam']:.2f} / {taken['polars']:.2f}; duckdb {taken['duckdb']:.2f}"
    ratio = taken["hyped_beam"] / taken["polars"]
    return Row(f"{what}, {rows / 1e6:g}M rows", "polars, both cores", ratio, f"<= {bound:g}", note)


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        asked, using, input_path, output_path = sys.argv[2:]
        ENGINES[using](asked, Path(input_path), Path(output_path))
    else:
        for line in measure(*map(int, sys.argv[1:])):
            print(line, flush=True)
