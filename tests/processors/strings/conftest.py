"""What the tests of string nodes share."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import strategies as st

from hyped_beam.testing import evaluate, flow_of

# Characters of every width, with those on which Arrow and Python could disagree drawn more often.
CHARACTERS = st.one_of(
    st.sampled_from("abAB e,.\n"),
    st.sampled_from("ßİΣσéñ\u0301ﬁǆ\u1fb3😀中"),
    st.sampled_from("\t\x0b\x0c\r\x1b\x1c\x1d\x1e\x1f \x85\xa0\u1680\u180e\u2000"),
    st.sampled_from("\u200a\u200b\u2028\u202f\u205f\u3000\ufeff"),
    st.characters(exclude_categories=["Cs", "Cn"]),
)


@pytest.fixture(scope="session")
def texts():
    """Columns of texts, nulls among them; half of them all ASCII."""
    ascii_text = st.text(st.sampled_from("abAB e,.\n\t\x0b\x1c\x1f"))
    return st.one_of(
        st.lists(st.one_of(st.none(), ascii_text)),
        st.lists(st.one_of(st.none(), st.text(CHARACTERS, max_size=20))),
    )


@pytest.fixture(scope="session")
def run():
    """Evaluate an operation on rows, as text and as large text, each from the middle of a longer column."""

    def run(operate, values):
        results = []
        for kind in (pa.string(), pa.large_string()):
            column = pa.array(["é before", *values, "after", None], kind).slice(1, len(values))
            batch = pa.RecordBatch.from_arrays([column], ["text"])
            results.append(evaluate(operate(flow_of(batch.schema).text), batch).to_pylist())
        assert results[0] == results[1]
        return results[0]

    return run


@pytest.fixture(scope="session")
def same_as_python(run):
    """Check an operation against a function of Python on each text."""

    def check(operate, function, values):
        assert run(operate, values) == [None if value is None else function(value) for value in values]

    return check
