"""Where rows of a batch stand: spans of neighbours."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.types.spans import Span, numbers_of, row_at

SPANS = st.lists(
    st.builds(
        Span,
        rows=st.integers(0, 5),
        first=st.integers(0, 1_000),
        path=st.sampled_from(["a", "b"]),
        first_in_file=st.one_of(st.none(), st.integers(0, 9)),
    ),
    max_size=5,
)


@given(SPANS)
def test_each_row_has_the_number_and_the_file_of_its_span(spans):
    told = [
        (span.first + row, span.path, None if span.first_in_file is None else span.first_in_file + row)
        for span in spans
        for row in range(span.rows)
    ]
    found = [row_at(spans, row) for row in range(len(told))]
    assert [(one.first, one.path, one.first_in_file) for one in found] == told
    assert all(one.rows == 1 for one in found)
    assert row_at(spans, len(told)) is None
    numbers = numbers_of(spans)
    assert (numbers.to_pylist() if spans else numbers) == ([number for number, *_ in told] if spans else None)


def test_a_number_that_is_not_known_stays_so():
    span = Span(3, 4, "a", 2)
    assert span.moved(10) == Span(3, 14, "a", 2)
    assert span.moved(None) == Span(3, None, "a", 2)
    assert span.moved(None).slice(1, 2) == Span(2, None, "a", 3)
    assert numbers_of([span, span.moved(None)]) is None
