"""The words that tell most about each mail, by TF-IDF.

Run it with

    python -m hyped_beam.compile examples/tfidf.py:job --run
"""

from pathlib import Path

from hyped_beam import DataFlow, features
from hyped_beam.io.readers.parquet import ParquetReader
from hyped_beam.io.writers.json import JsonDatasetWriter

mails = ParquetReader(str(Path(__file__).parent / "data" / "mail.parquet"))
flow = DataFlow(features=mails)
src = flow.src_features
weights = features.tfidf(src.text.lower().split(), min_df=2)
job = flow.job(source=mails).write(
    collect={"id": src.id, "weights": weights},
    to=JsonDatasetWriter("out/tfidf", overwrite="replace"),
)
