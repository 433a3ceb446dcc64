"""Errors cross a runner as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.errors import CallSite, DefinitionError, FlowError, InputError, JobError, NodeError
from hyped_beam.lowering.failure import as_text, find_failure

TEXT = st.text(max_size=60)


@given(TEXT, TEXT, TEXT, TEXT, st.none() | TEXT, st.none() | st.integers(0, 2**62))
def test_an_error_of_a_node_comes_back_as_it_was(
    node: str, cause: str, values: str, trace: str, hint: str | None, row: int | None
):
    error = NodeError(
        node=node, cause=cause, site=CallSite("a file.py", 3), row=row, values=values, trace=trace, hint=hint
    )
    wrapped = f"RuntimeError: {as_text(error)!r} [while running 'DoRanges']\n  at line 3"
    found = find_failure(wrapped)
    assert isinstance(found, NodeError)
    assert found.to_json() == error.to_json()
    assert str(found) == str(error)


@pytest.mark.parametrize("kind", [InputError, JobError])
def test_others_keep_their_kind_message_and_hint(kind: type[FlowError]):
    site = CallSite("a file.py", 3)
    found = find_failure(as_text(kind("two\nlines “quoted”", site=site, hint="do this")))
    assert type(found) is kind
    assert (found.message, found.site, found.hint) == ("two\nlines “quoted”", site, "do this")


def test_the_text_can_be_read_by_people_too():
    error = NodeError(node="clean", cause="ValueError: x", site=None, row=3)
    assert as_text(error).startswith("node 'clean' failed at row 3: ValueError: x")


def test_an_empty_message_is_text_too():
    assert find_failure(as_text(JobError(""))).message == ""
    assert find_failure(as_text(DefinitionError("m"))).message == "m"


@pytest.mark.parametrize(
    "text",
    ["", "some error", "<<hyped-beam-failure cut off", " hyped-beam-failure>> <<hyped-beam-failure "],
    ids=["nothing", "another", "cut", "turned round"],
)
def test_what_is_not_ours_is_not_found(text: str):
    assert find_failure(text) is None


def test_the_first_of_several_is_taken():
    both = f"{as_text(JobError('first'))} and {as_text(JobError('second'))}"
    assert find_failure(both).message == "first"
