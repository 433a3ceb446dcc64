"""The main job: real mails are templated and tokenised, counted and averaged, and written as JSON lines.

Run it with `make demo`, or

    python -m hyped_beam.compile examples/mail.py:job --run
"""

from __future__ import annotations

from pathlib import Path

from hyped_beam import DataFlow
from hyped_beam.aggregators import Count, Max, Mean, Sum
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter
from hyped_beam.ops import collect
from hyped_beam.processors.templates.jinja2 import Jinja2
from hyped_beam.processors.tokenizers.transformers import TransformersTokenizer

HERE = Path(__file__).parent

mails = ParquetReader(str(HERE / "data" / "mail.parquet"))
flow = DataFlow(features=mails)
src = flow.src_features

subject = src.text.extract(r"(?m)^Subject: (?P<subject>.*)$").subject.fill_null("(none)")
words = src.text.split().length()

prompt = Jinja2(template="Subject: {{ inputs.subject }}\n\n{{ inputs.text }}").call(
    features=collect({"subject": subject, "text": src.text})
)
tokens = TransformersTokenizer(
    tokenizer=str(HERE / "data" / "tokenizer"), truncation=True, max_length=256
).call(text=prompt.rendered)

job = (
    flow.job(source=mails)
    .write(
        "tokens",
        collect={"id": src.id, "label": src.label, "words": words, "input_ids": tokens.input_ids},
        to=JsonDatasetWriter("out/mail", overwrite="replace"),
    )
    .aggregate(
        {
            "mails": Count().call(src.id),
            "words": {"mean": Mean().call(words), "max": Max().call(words)},
            "urgent": Sum().call(src.text.lower().contains("urgent").cast("int64")),
        },
        to="out/mail-stats.json",
    )
)
